"""What is typed before something is confirmed, and where the keyboard is. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from backends.model.safetext import SafeText

CANCEL: Final = "cancel"
CONFIRM: Final = "confirm"

LONGEST: Final = 200
"""Characters one line takes."""


class Entry(Struct):
    """One line to be typed, or with ``is_button`` one that is only pressed."""

    id: str
    label: str
    hint: str = ""
    """What is expected, shown while it is empty."""
    text: str = ""
    is_button: bool = False


class Form:
    """Entries between a cancel and a confirm button. The keyboard starts on cancel."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.focus = CANCEL

    @property
    def entry(self) -> Entry | None:
        """The line that takes letters now."""
        found = self._find(self.focus)
        return None if found is None or found.is_button else found

    def text(self, ident: str) -> str:
        """What was typed there; nothing where there is no such line."""
        found = self._find(ident)
        return "" if found is None else found.text

    def move(self, step: int) -> None:
        """To the next stop of the keyboard, round and round."""
        stops = (CANCEL, *(entry.id for entry in self.entries), CONFIRM)
        self.focus = stops[(stops.index(self.focus) + step) % len(stops)]

    def insert(self, char: str) -> bool:
        """Type a character; False where nothing can be typed."""
        entry = self.entry
        if entry is None:
            return False
        entry.text = (entry.text + SafeText(char))[:LONGEST]
        return True

    def erase(self) -> None:
        """Take back the last character."""
        if (entry := self.entry) is not None:
            entry.text = entry.text[:-1]

    def clear(self, ident: str) -> None:
        """Empty a line and put the keyboard there."""
        if self._find(ident) is not None:
            self.forget(ident)
            self.focus = ident

    def forget(self, ident: str) -> bool:
        """Empty a line and leave the keyboard where it is; whether there was anything in it."""
        found = self._find(ident)
        if found is None or not found.text:
            return False
        found.text = ""
        return True

    def wipe(self) -> None:
        """Keep nothing of what was typed."""
        for entry in self.entries:
            entry.text = ""

    def _find(self, ident: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == ident), None)
