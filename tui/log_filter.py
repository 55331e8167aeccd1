"""Which rows of a log are shown: a text, a lowest level. Reads the ring in small bites, never all at once."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from enum import Enum

from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.port import LogSource

BITE = 0.008
"""Seconds of looking at lines before the screen gets its turn."""

_BATCH = 500
_NEEDLE_LIMIT = 200


class Floor(Enum):
    """The lowest level shown. A line whose level is not known passes up to INFO."""

    ALL = "all levels"
    INFO = "info and up"
    WARNING = "warning and up"
    ERROR = "error and up"

    def next(self) -> Floor:
        """The following one, round and round."""
        floors = list(Floor)
        return floors[(floors.index(self) + 1) % len(floors)]


_PASSING = {
    Floor.INFO: frozenset(set(LogLevel) - {LogLevel.DEBUG}),
    Floor.WARNING: frozenset({LogLevel.WARNING, LogLevel.ERROR, LogLevel.CRITICAL}),
    Floor.ERROR: frozenset({LogLevel.ERROR, LogLevel.CRITICAL}),
}

_ALWAYS = frozenset({Marker.GAP, Marker.DROP})
"""A hole in the log is never hidden by a filter."""


class LogFilter:
    """The ordinals that match, ascending, growing as ``advance`` is called."""

    def __init__(
        self,
        source: LogSource,
        needle: str = "",
        floor: Floor = Floor.ALL,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``needle`` is a literal text in any case; a longer one than 200 characters is cut."""
        self.needle = needle[:_NEEDLE_LIMIT]
        self.floor = floor
        self.matches: list[int] = []
        self._source = source
        self._folded = self.needle.casefold()
        self._next = source.first
        self._timer = timer

    @property
    def is_active(self) -> bool:
        """Whether anything may be hidden."""
        return bool(self.needle) or self.floor is not Floor.ALL

    @property
    def hidden(self) -> int:
        """Rows looked at that are not shown and are still kept."""
        first = self._source.first
        looked = max(0, self._next - first)
        return max(0, looked - (len(self.matches) - bisect_left(self.matches, first)))

    def advance(self) -> bool:
        """Look at new rows for at most ``BITE`` seconds; True when there are more to look at."""
        end_of_bite = self._timer() + BITE
        first = self._source.first
        self._next = max(self._next, first)
        self._forget(first)
        while self._next < self._source.end:
            rows = self._source.window(self._next, min(_BATCH, self._source.end - self._next))
            if not rows:
                # The head of the ring moved on while we looked.
                self._next = max(self._next, self._source.first)
                return False
            self.matches += [row.ordinal for row in rows if self._matches(row)]
            self._next = rows[-1].ordinal + 1
            if self._timer() >= end_of_bite:
                return self._next < self._source.end
        return False

    def _matches(self, row: LogLine) -> bool:
        if row.marker in _ALWAYS:
            return True
        passing = _PASSING.get(self.floor)
        if passing is not None and row.level not in passing and row.marker is not Marker.EVENT:
            return False
        folded = self._folded
        return not folded or folded in row.text.casefold() or folded in row.service.casefold()

    def _forget(self, first: int) -> None:
        gone = bisect_left(self.matches, first)
        if gone > _BATCH:
            del self.matches[:gone]
