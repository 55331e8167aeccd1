"""What a terminal sends, put together into whole keys however the line cut it into pieces. Pure; no clock.

A function key is several bytes that a busy machine or a slow line may deliver in two reads, far apart. The
toolkit's parser gives up on the rest after a tenth of a second and types what it has as letters: F9 becomes
``[``, ``2``, ``0``, ``~``. It also types what it does not know, reads keys out of pasted text, and takes all
that follows for pasted when the end of a paste is lost. Here a sequence is whole or it is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

ESC: Final = "\x1b"

SEQUENCE_PATIENCE: Final = 1.0
"""Seconds a sequence that has begun may stand still before it is dropped."""

RESUME_PATIENCE: Final = 1.0
"""Seconds after an Escape within which its sequence may still follow: then it was none."""

PASTE_PATIENCE: Final = 2.0
"""Seconds a paste may stand still before it counts as ended: keys must work again."""

PASTE_LIMIT: Final = 100_000
"""Characters of one paste that are kept."""

_PASTE_BEGINS: Final = f"{ESC}[200~"
_PASTE_ENDS: Final = f"{ESC}[201~"

_WHOLE: Final = re.compile(
    r"\x1b(?:\[(?:M.{3}|\[.|(?![\[M])[0-?]*[ -/]*[@-~])|O[0-9;]*[@-~]|[^\x1b\[O])", re.DOTALL
)
"""A control sequence, one of a mouse of old, of the Linux console, a keypad's, or Alt with a character."""

_BEGUN: Final = re.compile(r"\x1b(?:\[(?:M.{0,2}|\[|[0-?]*[ -/]*)|O[0-9;]*)?", re.DOTALL)


class Kind(Enum):
    TEXT = "text"
    SEQUENCE = "sequence"
    """Whole; one that nobody knows is to be dropped."""
    ALT = "alt"
    """Escape and one character."""
    ESCAPE = "escape"
    """The key: nothing followed in time."""
    LATE = "late"
    """A whole sequence whose first byte was already taken for the key Escape; one that nobody knows is to
    be typed without it."""
    PASTE = "paste"


class Piece(Struct, frozen=True):
    kind: Kind
    text: str


class KeyStream:
    """Takes text as it was read, gives pieces that are whole."""

    def __init__(self, escape_delay: float) -> None:
        """``escape_delay``: seconds after which an Escape is the key of that name."""
        self._escape_delay = escape_delay
        self._held = ""
        self._pasted: str | None = None
        self._is_late = False
        self._fed_at = 0.0
        self._escaped_at = float("-inf")

    def deadline(self) -> float | None:
        """When ``due`` has something to say if nothing is read until then; None for never."""
        if self._held == ESC and not self._is_late:
            return self._fed_at + self._escape_delay
        if self._held:
            return self._fed_at + SEQUENCE_PATIENCE
        return None if self._pasted is None else self._fed_at + PASTE_PATIENCE

    def feed(self, text: str, now: float) -> list[Piece]:
        """What is whole with this text, read at ``now`` seconds."""
        is_resumed = text.startswith("[") or (text.startswith("O") and len(text) > 1)
        if not self._held and is_resumed and now - self._escaped_at <= RESUME_PATIENCE:
            self._held = ESC
            self._is_late = True
        self._escaped_at = float("-inf")
        self._fed_at = now
        text, self._held = self._held + text, ""
        return list(self._split(text))

    def due(self, now: float) -> list[Piece]:
        """What time has decided; to be asked only when there is nothing left to read."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        held, self._held = self._held, ""
        is_late, self._is_late = self._is_late, False
        if self._pasted is not None:
            pasted, self._pasted = self._pasted, None
            return [Piece(Kind.PASTE, pasted[:PASTE_LIMIT])]
        if held == ESC:
            self._escaped_at = now
            return [Piece(Kind.ESCAPE, ESC)]
        return [Piece(Kind.TEXT, held[1:])] if is_late else []

    def _split(self, text: str) -> Iterator[Piece]:
        while text:
            if self._pasted is not None:
                pasted, end, text = (self._pasted + text).partition(_PASTE_ENDS)
                # Beyond the limit only what may be the beginning of the end is kept.
                self._pasted = (
                    None if end else pasted[:PASTE_LIMIT] + pasted[PASTE_LIMIT:][-len(_PASTE_ENDS) :]
                )
                if end:
                    yield Piece(Kind.PASTE, pasted[:PASTE_LIMIT])
                continue
            plain, escape, rest = text.partition(ESC)
            if plain:
                yield Piece(Kind.TEXT, plain)
            text = escape + rest
            found = _WHOLE.match(text)
            if found is not None:
                text = text[found.end() :]
                yield from self._sequence(found[0])
            elif _BEGUN.fullmatch(text):
                self._held = text
                return
            elif text.startswith(ESC + ESC):
                text = text[1:]
                yield Piece(Kind.ESCAPE, ESC)
            else:
                # Cut off by something that no sequence holds: what came of it is dropped.
                begun = _BEGUN.match(text)
                text = text[begun.end() :] if begun else ""
                self._is_late = False

    def _sequence(self, sequence: str) -> Iterator[Piece]:
        is_late, self._is_late = self._is_late, False
        if sequence == _PASTE_BEGINS:
            self._pasted = ""
        elif sequence != _PASTE_ENDS:
            is_alt = sequence[1] not in "[O"
            yield Piece(Kind.LATE if is_late else Kind.ALT if is_alt else Kind.SEQUENCE, sequence)
