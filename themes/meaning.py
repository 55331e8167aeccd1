"""The colours a theme must name, by what they mean, and where each of them is painted.

A theme decides how a meaning looks. It cannot take the meaning away: every state also has a sign and a
word, and those are not in the theme.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

FIELDS: Final = ("background", "surface", "panel", "cursor")
"""What text is painted on: panes, header and footer, dialogs, the row under the cursor."""

TEXT: Final = 4.5
CRITICAL: Final = 7.0
MARK: Final = 3.0
"""Least contrast of text, of what must never be missed, and of signs that are not text."""

INKS: Final[dict[str, float]] = {
    "foreground": CRITICAL,
    "strong": CRITICAL,
    "muted": TEXT,
    "accent": TEXT,
    "state-ok": TEXT,
    "state-warn": TEXT,
    "state-bad": CRITICAL,
    "state-unknown": CRITICAL,
    "state-halted": CRITICAL,
    "state-allowed": TEXT,
    "stale": TEXT,
    "ageing": TEXT,
    "changed": TEXT,
    "level-error": TEXT,
    "level-warn": TEXT,
    "level-info": TEXT,
    "level-debug": TEXT,
    "marker-gap": TEXT,
    "tone-1": TEXT,
    "tone-2": TEXT,
    "tone-3": TEXT,
    "tone-4": TEXT,
    "tone-5": TEXT,
    "tone-6": TEXT,
    "frame-focus": MARK,
}
"""Painted on every field, with the least contrast each needs."""

FILLS: Final[dict[str, tuple[str, float]]] = {
    "fill-bad": ("ink-alarm", CRITICAL),
    "fill-warn": ("ink-alarm", CRITICAL),
    "fill-unknown": ("ink-alarm", CRITICAL),
    "fill-halted": ("ink-alarm", CRITICAL),
    "fill-key": ("ink-key", TEXT),
    "fill-match": ("ink-match", TEXT),
    "env-live": ("ink-env", TEXT),
    "env-paper": ("ink-env", TEXT),
    "env-demo": ("ink-env", TEXT),
}
"""A filled badge, the ink on it, and the least contrast between the two."""

DECORATION: Final = ("frame",)
"""Lines that carry no meaning."""

COLORS: Final[frozenset[str]] = frozenset(
    [*FIELDS, *INKS, *FILLS, *(ink for ink, _ in FILLS.values()), *DECORATION],
)
"""Every colour a theme names, no more and no fewer."""

STYLES: Final = frozenset({"bold", "italic", "underline", "reverse"})
"""What a theme may add to an ink. Never ``dim`` (nobody can say what contrast is left) nor ``blink``."""


class Pair(Struct, frozen=True):
    """One colour on another, and the least contrast the two need."""

    ink: str
    field: str
    least: float


def pairs() -> Iterator[Pair]:
    """Every pair of colours the widgets paint."""
    for ink, least in INKS.items():
        for field in FIELDS:
            yield Pair(ink, field, least)
    for fill, (ink, least) in FILLS.items():
        yield Pair(ink, fill, least)
