"""On which line of a TOML file each key stands. ``tomli`` reads the values but not their places."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

Place = tuple[str | int, ...]
"""Keys and list indices from the top of the file: ``("fact", 3, "label")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_INLINE_BLANK: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]+")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def locate(text: str) -> Mapping[Place, int]:
    """The line (from 1) of every table, key and list item of ``text``, which must be valid TOML."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Place:
        is_list = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if is_list else 1
        *parents, last = self._key()
        self._at += 2 if is_list else 1
        place: Place = ()
        for part in parents:
            self._mark((*place, part), line)
            place = self._newest((*place, part))
        place = (*place, last)
        self._mark(place, line)
        if is_list:
            self._counts[place] = self._counts.get(place, 0) + 1
            place = self._newest(place)
            self._mark(place, line)
        return place

    def _newest(self, place: Place) -> Place:
        """The last item of a list of tables, or the table itself."""
        count = self._counts.get(place)
        return place if count is None else (*place, count - 1)

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = table
        for part in self._key():
            place = (*place, part)
            self._mark(place, line)
        self._at += 1  # the equals sign
        self._skip(_INLINE_BLANK)
        self._value(place)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_INLINE_BLANK)
            quote = self._text[self._at]
            if quote in "\"'":
                raw = self._take(_STRINGS[2] if quote == '"' else _STRINGS[3])[1:-1]
                parts.append(_unescape(raw) if quote == '"' else raw)
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_INLINE_BLANK)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, place: Place) -> None:
        for pattern in _STRINGS:
            if match := pattern.match(self._text, self._at):
                self._at = match.end()
                return
        if self._text[self._at] == "[":
            self._items(place)
        elif self._text[self._at] == "{":
            self._inline_table(place)
        else:
            self._take(_SCALAR)

    def _items(self, place: Place) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._mark((*place, index), self._line())
            self._value((*place, index))
            index += 1

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(place)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._line()} is not TOML")
        self._at = match.end()
        return match[0]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _mark(self, place: Place, line: int) -> None:
        self._lines.setdefault(place, line)


def _unescape(raw: str) -> str:
    def char(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(match[3], match[3])

    return _ESCAPE.sub(char, raw)
