"""What other rooms on this host are doing: read from the journal they share with this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.journal.chain import BrokenError, unseal
from backends.journal.entry import Kind
from backends.journal.tail import Lines
from backends.journal.unfinished import TAIL, CutOff, is_running

KEPT: Final = 20
"""Ended runs of which a late outcome is still news."""

_ENDS: Final = (Kind.OUTCOME.value, Kind.REFUSED.value)

Record = Mapping[str, Any]


class Neighbour(Struct, frozen=True):
    """A real run of another process, as far as it has come."""

    told: CutOff
    end: Record | None = None
    """Its outcome; None while it is under way, and while nobody has told that of what was cut off."""
    is_cut_off: bool = False
    """Its process is no more and has left no outcome."""

    @property
    def is_under_way(self) -> bool:
        return self.end is None and not self.is_cut_off


class Neighbours:
    """Follows the journal from where it was. For one thread at a time; raises OSError like any read."""

    def __init__(self, folder: Path, host: str, is_alive: Callable[[Record], bool] = is_running) -> None:
        self._host = host
        self._is_alive = is_alive
        self._lines = Lines(folder, TAIL)
        self._open: dict[str, CutOff] = {}
        self._ended: dict[str, CutOff] = {}

    @property
    def under_way(self) -> tuple[CutOff, ...]:
        """Runs that have begun and not ended, of processes that still live, as of the last ``look``."""
        return tuple(self._open.values())

    def look(self) -> tuple[Neighbour, ...]:
        """The runs about which there is news since the last look, oldest news first.

        The first look tells only what is under way; an outcome that comes again, late, is news again. Where
        the journal is another than before, what was under way goes on and the rest is as at a first look.
        """
        news: dict[str, Neighbour] = {}
        known = set(self._open)
        is_first = self._read(news)
        dead = [key for key, each in self._open.items() if not self._is_alive(each.intent)]
        if dead:
            # What they wrote before they left is there by now.
            is_first = self._read(news) or is_first
        for operation in [key for key in dead if key in self._open]:
            news[operation] = Neighbour(self._open[operation], is_cut_off=True)
            self._close(operation)
        told = news.items()
        return tuple(each for key, each in told if not is_first or key in known or each.is_under_way)

    def _read(self, news: dict[str, Neighbour]) -> bool:
        """Take in what is new; whether it follows upon nothing."""
        for line in self._lines.new():
            try:
                record = unseal(line, None)
            except BrokenError:
                continue
            if record.get("pid") != os.getpid() and record.get("host") == self._host:
                self._take(record, news)
        return self._lines.is_first

    def _close(self, operation: str) -> None:
        """It is over; what is told of it later is still news for a while."""
        known = self._open.pop(operation, None) or self._ended[operation]
        self._ended = {**dict(list(self._ended.items())[-KEPT:]), operation: known}

    def _take(self, record: Record, news: dict[str, Neighbour]) -> None:
        operation = str(record.get("operation", ""))
        known = self._open.get(operation) or self._ended.get(operation)
        if record.get("kind") == Kind.INTENT.value and record.get("mode") == "live":
            self._open[operation] = CutOff(record, (), record)
            news[operation] = Neighbour(self._open[operation])
        elif known is not None and record.get("kind") in _ENDS:
            self._close(operation)
            news[operation] = Neighbour(known, record)
        elif operation in self._open and known is not None and record.get("kind") == Kind.STEP.value:
            self._open[operation] = replace(known, steps=(*known.steps, record), last=record)
            news[operation] = Neighbour(self._open[operation])
