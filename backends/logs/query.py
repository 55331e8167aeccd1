"""Searching and filtering a ring a little at a time, so that no key ever waits for it."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from time import perf_counter
from typing import Final

from backends.logs.level import LEVELS
from backends.logs.ring import LogRing
from backends.model.logline import LogFilter, LogLine, Marker
from backends.model.stamp import TEXT

PATTERN_LIMIT: Final = 200
"""Characters of a regular expression."""

_CHUNK: Final = 2048
_REGEX_TEXT: Final = 1024
"""Bytes of a line that a regular expression sees."""
_CHOICES: Final = 3

_MARKERS: Final = (None, *Marker)
_ALWAYS: Final = (Marker.GAP, Marker.DROP)
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[*+?]\??|\)[*+?{]|\(\?(?!:)|\(\?:|.", re.DOTALL)
"""Escapes and character classes as one, then what makes a pattern slow."""


class PatternError(ValueError):
    """The pattern cannot be used; the message says why, for the operator."""


class FilteredLog:
    """The rows of a ring that pass a filter: a ``LogSource`` with ordinals of its own, without gaps.

    Nothing is found until ``advance`` looks. Not safe from two threads at once.
    """

    def __init__(self, ring: LogRing, wanted: LogFilter) -> None:
        """Raises PatternError for a regular expression that is wrong or could take too long."""
        self.wanted = wanted
        self._ring = ring
        self._matches = text_test(wanted)
        self._next = ring.first
        self._found: array[int] = array("q")
        self._gone = 0
        """How many found rows the ring no longer keeps."""

    @property
    def first(self) -> int:
        """Ordinal of the oldest found row that is still kept."""
        return self._gone

    @property
    def end(self) -> int:
        """Ordinal after the newest row found."""
        return self._gone + len(self._found)

    def advance(self, seconds: float) -> bool:
        """Look through the ring for at most about ``seconds``; True when all of it has been seen."""
        until = perf_counter() + seconds
        is_slow = self.wanted.is_regex
        self._forget()
        while perf_counter() < until:
            start, lines, tags = self._ring.raw(self._next, _CHUNK)
            if not lines:
                self._next = max(self._next, start)
                return True
            for place, (line, tag) in enumerate(zip(lines, tags, strict=True), start):
                if self._passes(line, tag):
                    self._found.append(place)
                self._next = place + 1
                if is_slow and perf_counter() >= until:
                    break
        return self._next >= self._ring.end

    def ring_ordinal(self, ordinal: int) -> int | None:
        """Where a found row is in the ring; None when it is no longer kept."""
        place = ordinal - self._gone
        return self._found[place] if 0 <= place < len(self._found) else None

    def line(self, ordinal: int) -> LogLine | None:
        """The row as the ring has it, with the ring's ordinal."""
        there = self.ring_ordinal(ordinal)
        return None if there is None else self._ring.line(there)

    def window(self, ordinal: int, count: int) -> list[LogLine]:
        """Up to ``count`` found rows from ``ordinal`` on, oldest first."""
        start = max(ordinal, self._gone)
        rows = (self.line(place) for place in range(start, min(start + count, self.end)))
        return [row for row in rows if row is not None]

    def _passes(self, line: bytes, tag: int) -> bool:
        if tag >> 4 & 0x0F and _MARKERS[tag >> 4 & 0x0F] in _ALWAYS:
            return True
        wanted = self.wanted
        if wanted.minimum is not None and LEVELS[tag & 0x0F].rank < wanted.minimum.rank:
            return False
        if wanted.services and self._ring.name(tag) not in wanted.services:
            return False
        return not wanted.text or self._matches(line[TEXT:]) is not wanted.is_inverse

    def _forget(self) -> None:
        """Rows that the ring has let go."""
        first = self._ring.first
        gone = 0
        for place in self._found:
            if place >= first:
                break
            gone += 1
        if gone:
            del self._found[:gone]
            self._gone += gone


def text_test(wanted: LogFilter) -> Callable[[bytes], bool]:
    """Whether a line's bytes contain the text of a filter. Raises PatternError."""
    if wanted.is_regex:
        pattern = _compiled(wanted.text)
        return lambda text: pattern.search(text[:_REGEX_TEXT].decode("utf-8", "replace")) is not None
    if wanted.text.isascii():
        ascii_needle = wanted.text.lower().encode()
        return lambda text: ascii_needle in text.lower()
    needle = wanted.text.casefold()
    return lambda text: needle in text.decode("utf-8", "replace").casefold()


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern whose worst case is short: Python's engine cannot be interrupted and holds every thread."""
    if len(pattern) > PATTERN_LIMIT:
        raise PatternError(f"the pattern is longer than {PATTERN_LIMIT} characters")
    tokens = _TOKEN.findall(pattern)
    for is_slow, why in (
        (any(token[0] == ")" and len(token) > 1 for token in tokens), "a repeated group"),
        ("(?" in tokens, "a group that begins with (?"),
        (sum(token[0] in "*+{" for token in tokens) > 1, "more than one *, + or {"),
        (sum(token[0] in "?|" for token in tokens) > _CHOICES, f"more than {_CHOICES} of ? and |"),
    ):
        if is_slow:
            raise PatternError(f"{why} could take too long here; use a simpler pattern, or plain text")
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise PatternError(f"the pattern is wrong at character {(error.pos or 0) + 1}: {error.msg}") from None
