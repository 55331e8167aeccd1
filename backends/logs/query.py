"""Searching and filtering a ring a little at a time, so that no key ever waits for it."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from backends.logs.level import LEVELS
from backends.logs.ring import LogRing
from backends.model.logline import LogFilter, Marker
from backends.model.safetext import LINE_LIMIT
from backends.model.stamp import TEXT

PATTERN_LIMIT: Final = 200
"""Characters of a regular expression."""

_CHUNK: Final = 2048
_ROWS: Final = 64
"""Rows between two looks at the clock."""
_LOOK: Final = 2 * LINE_LIMIT
"""Bytes of a line that are searched: what can be shown of it."""
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
    """``LogMatches`` of a ring. Nothing is found until ``advance`` looks."""

    def __init__(self, ring: LogRing, wanted: LogFilter) -> None:
        """Raises PatternError for a regular expression that is wrong or could take too long."""
        self.wanted = wanted
        self._ring = ring
        self._matches = text_test(wanted)
        self._needle = "" if wanted.is_regex else wanted.text.casefold()
        self._is_named: dict[int, bool] = {}
        """By number of a service: whether the text is part of its name."""
        self._next = ring.first
        self._found: array[int] = array("q")

    @property
    def ordinals(self) -> Sequence[int]:
        """As ``LogMatches.ordinals``."""
        return self._found

    @property
    def hidden(self) -> int:
        """As ``LogMatches.hidden``."""
        first = self._ring.first
        return max(0, self._next - first) - (len(self._found) - bisect_left(self._found, first))

    def advance(self, seconds: float) -> bool:
        """As ``LogMatches.advance``."""
        until = perf_counter() + seconds
        every = 1 if self.wanted.is_regex else _ROWS
        del self._found[: bisect_left(self._found, self._ring.first)]
        while perf_counter() < until:
            start, lines, tags = self._ring.raw(self._next, _CHUNK)
            if not lines:
                self._next = max(self._next, start)
                return True
            for place, (line, tag) in enumerate(zip(lines, tags, strict=True), start):
                if self._passes(line, tag):
                    self._found.append(place)
                self._next = place + 1
                if place % every == 0 and perf_counter() >= until:
                    break
        return self._next >= self._ring.end

    def _passes(self, line: bytes, tag: int) -> bool:
        if tag >> 4 & 0x0F and _MARKERS[tag >> 4 & 0x0F] in _ALWAYS:
            return True
        wanted = self.wanted
        if wanted.minimum is not None and LEVELS[tag & 0x0F].rank < wanted.minimum.rank:
            return False
        if wanted.services and self._ring.name(tag) not in wanted.services:
            return False
        if not wanted.text:
            return True
        is_found = self._matches(line[TEXT : TEXT + _LOOK]) or self._names(tag >> 8, tag)
        return is_found is not wanted.is_inverse

    def _names(self, service: int, tag: int) -> bool:
        known = self._is_named.get(service)
        if known is None:
            known = bool(self._needle) and self._needle in self._ring.name(tag).casefold()
            self._is_named[service] = known
        return known


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
