"""What a piece of text means, as a name; which of the theme's colours show it is written here once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

Role = Literal[
    "text",
    "strong",
    "muted",
    "accent",
    "state-ok",
    "state-warn",
    "state-bad",
    "state-unknown",
    "state-halted",
    "state-allowed",
    "stale",
    "ageing",
    "changed",
    "level-error",
    "level-warn",
    "level-info",
    "level-debug",
    "marker-gap",
    "tone-1",
    "tone-2",
    "tone-3",
    "tone-4",
    "tone-5",
    "tone-6",
    "badge-bad",
    "badge-warn",
    "badge-unknown",
    "badge-halted",
    "badge-live",
    "badge-paper",
    "badge-demo",
    "badge-key",
    "match",
    "frame",
    "frame-focus",
]
"""The names a caller may give. A word that is none of them is a type error."""


class Look(Struct, frozen=True):
    """The theme variables of one role."""

    ink: str
    fill: str | None = None
    """Behind the text, None for whatever the text stands on."""
    is_bold: bool = False


LOOKS: Final[Mapping[Role, Look]] = {
    "text": Look("foreground"),
    "strong": Look("strong"),
    "muted": Look("muted"),
    "accent": Look("accent"),
    "state-ok": Look("state-ok"),
    "state-warn": Look("state-warn"),
    "state-bad": Look("state-bad"),
    "state-unknown": Look("state-unknown"),
    "state-halted": Look("state-halted"),
    "state-allowed": Look("state-allowed"),
    "stale": Look("stale"),
    "ageing": Look("ageing"),
    "changed": Look("changed"),
    "level-error": Look("level-error"),
    "level-warn": Look("level-warn"),
    "level-info": Look("level-info"),
    "level-debug": Look("level-debug"),
    "marker-gap": Look("marker-gap"),
    "tone-1": Look("tone-1"),
    "tone-2": Look("tone-2"),
    "tone-3": Look("tone-3"),
    "tone-4": Look("tone-4"),
    "tone-5": Look("tone-5"),
    "tone-6": Look("tone-6"),
    "badge-bad": Look("ink-alarm", "fill-bad", is_bold=True),
    "badge-warn": Look("ink-alarm", "fill-warn", is_bold=True),
    "badge-unknown": Look("ink-alarm", "fill-unknown", is_bold=True),
    "badge-halted": Look("ink-alarm", "fill-halted", is_bold=True),
    "badge-live": Look("ink-env", "env-live", is_bold=True),
    "badge-paper": Look("ink-env", "env-paper", is_bold=True),
    "badge-demo": Look("ink-env", "env-demo", is_bold=True),
    "badge-key": Look("ink-key", "fill-key", is_bold=True),
    "match": Look("ink-match", "fill-match"),
    "frame": Look("frame"),
    "frame-focus": Look("frame-focus"),
}

TONES: Final[tuple[Role, ...]] = ("tone-1", "tone-2", "tone-3", "tone-4", "tone-5", "tone-6")
"""Quiet colours that tell services apart; none of them means anything by itself."""

BADGES: Final[frozenset[Role]] = frozenset(role for role, look in LOOKS.items() if look.fill is not None)
"""Roles with a fill of their own."""
