"""Lines of many streams put into one order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from math import inf
from typing import Final

from msgspec import Struct

from backends.model.stamp import STAMP

Entry = tuple[bytes, int]
"""A line and the tag it was given."""

PATIENCE: Final = 0.25
"""Seconds a line waits for older ones of other streams."""

PAUSE: Final = 0.1
"""Seconds without a line after which the first ones need wait no longer, where all streams begin together."""


class _Run(Struct):
    """Lines of one stream that came together, in the stream's own order."""

    at: float
    tag: int
    lines: Sequence[bytes]

    @property
    def last(self) -> bytes:
        return self.lines[-1][:STAMP]


class Merger:
    """Holds lines back for a moment and gives them out by time.

    A line comes out when it has waited ``patience`` seconds; whatever waits and is older comes out before
    it. Lines of the same time keep the order in which they came. The very first come out earlier, when none
    has come for ``pause`` seconds.
    """

    def __init__(self, patience: float = PATIENCE, pause: float = PATIENCE) -> None:
        self._patience = patience
        self._pause = pause
        self._runs: list[_Run] = []
        self.waiting = 0
        """How many lines are held back."""
        self._begins = True

    def add(self, now: float, tag: int, lines: Sequence[bytes]) -> None:
        """Take lines of one stream at ``now`` (monotonic seconds)."""
        if lines:
            self._runs.append(_Run(now, tag, lines))
            self.waiting += len(lines)

    def due(self, now: float, everything: bool = False) -> list[Entry]:
        """The lines that need wait no longer, oldest first."""
        ripe = [run for run in self._runs if everything or self._ready_at(run) <= now]
        if not ripe:
            return []
        self._begins = False
        until = max(run.last for run in ripe)
        out: list[Entry] = []
        kept: list[_Run] = []
        for run in self._runs:
            out.extend(self._split(run, until, kept))
        # Stable, and each run nearly sorted already.
        out.sort(key=_time)
        self._runs = kept
        self.waiting -= len(out)
        return out

    def next_due(self, now: float) -> float:
        """Seconds until a line that waits need wait no longer; infinity when none waits."""
        return min(map(self._ready_at, self._runs), default=inf) - now

    def _ready_at(self, run: _Run) -> float:
        at = run.at + self._patience
        return min(at, self._runs[-1].at + self._pause) if self._begins else at

    def _split(self, run: _Run, until: bytes, kept: list[_Run]) -> Iterator[Entry]:
        """The part of a run that is not younger than ``until``; the rest goes to ``kept``."""
        if run.last <= until:
            return zip(run.lines, repeat(run.tag))
        first_young = next(i for i, line in enumerate(run.lines) if line[:STAMP] > until)
        kept.append(_Run(run.at, run.tag, run.lines[first_young:]))
        return zip(run.lines[:first_young], repeat(run.tag))


def _time(entry: Entry) -> bytes:
    return entry[0][:STAMP]
