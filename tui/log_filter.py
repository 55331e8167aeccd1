"""Which rows of a log pass a filter. Reads the log in small bites, so that no key ever waits for it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from backends.model.logline import LogFilter, LogLevel, LogLine, Marker
from backends.model.port import LogSource

BITE = 0.008
"""Seconds of looking at lines before the screen gets its turn."""

FLOORS: tuple[LogLevel | None, ...] = (None, LogLevel.INFO, LogLevel.WARNING, LogLevel.ERROR)
"""The lowest levels an operator can choose, in the order of choosing; None shows all."""

_BATCH = 500
_ALWAYS = frozenset({Marker.GAP, Marker.DROP})
"""A hole in the log is never hidden by a filter."""


def parsed(text: str, minimum: LogLevel | None) -> LogFilter:
    """What an operator typed: a literal text in any case, with ``!`` in front for lines without it."""
    is_inverse = text.startswith("!") and len(text) > 1
    return LogFilter(minimum=minimum, text=text[1:] if is_inverse else text, is_inverse=is_inverse)


def is_active(wanted: LogFilter) -> bool:
    """Whether it may hide anything."""
    return bool(wanted.text) or wanted.minimum is not None


class LogMatches:
    """The ordinals of the rows that pass, ascending, growing as ``advance`` is called."""

    def __init__(
        self, source: LogSource, wanted: LogFilter, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self.wanted = wanted
        self.ordinals: list[int] = []
        self._source = source
        self._folded = wanted.text.casefold()
        self._next = source.first
        self._timer = timer

    @property
    def hidden(self) -> int:
        """Rows looked at and still kept that are not shown."""
        first = self._source.first
        looked = max(0, self._next - first)
        return max(0, looked - (len(self.ordinals) - bisect_left(self.ordinals, first)))

    def advance(self) -> bool:
        """Look at new rows for at most ``BITE`` seconds; True when there are more to look at."""
        end_of_bite = self._timer() + BITE
        first = self._source.first
        self._next = max(self._next, first)
        self._forget(first)
        while self._next < self._source.end:
            rows = self._source.window(self._next, min(_BATCH, self._source.end - self._next))
            if not rows:
                # The head of the log moved on while we looked.
                self._next = max(self._next, self._source.first)
                return False
            self.ordinals += [row.ordinal for row in rows if self._passes(row)]
            self._next = rows[-1].ordinal + 1
            if self._timer() >= end_of_bite:
                return self._next < self._source.end
        return False

    def _passes(self, row: LogLine) -> bool:
        if row.marker in _ALWAYS:
            return True
        if self.wanted.minimum is not None and row.level.rank < self.wanted.minimum.rank:
            return False
        folded = self._folded
        if not folded:
            return True
        is_found = folded in row.text.casefold() or folded in row.service.casefold()
        return is_found is not self.wanted.is_inverse

    def _forget(self, first: int) -> None:
        gone = bisect_left(self.ordinals, first)
        if gone > _BATCH:
            del self.ordinals[:gone]
