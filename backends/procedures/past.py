"""How long ago a halt certainly was, whatever the host's clock was set to since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from backends.journal.entry import wall_of
from backends.journal.tail import NotYetError
from backends.model.clock import Instant
from backends.model.reading import Outcome, Reading
from backends.model.stack import Stack
from backends.procedures.resumes import Record

APART: Final = 1.0
"""Seconds by which the clock that wrote a time may differ from this host's; a restore demands no more."""


class Past:
    """Adds to the times that a procedure demands to be past what the monotonic clock says of them.

    A time is past at least since this process first read that very time, or since the journal got a record
    that was written after it, in this run of the host: so a room that starts anew knows what the one before
    it knew. ``recent`` gives the newest records of the journal, oldest first. Times that no procedure
    demands that of are left as they are.
    """

    def __init__(self, stack: Stack, recent: Callable[[], Iterable[Record]], host: str, boot: str) -> None:
        conditions = (each for procedure in stack.procedures.values() for each in procedure.requires)
        self._facts = {each.fact for each in conditions if each.min_age is not None}
        self._recent = recent
        self._host = host
        self._boot = boot
        self._first: dict[str, tuple[float, float]] = {}
        """The time each fact says, and since when by the monotonic clock it is known to be past."""
        self._unasked: set[str] = set()
        """Facts whose present time the journal was not asked about yet."""

    def dated(self, readings: Mapping[str, Reading[Any]]) -> dict[str, Reading[Any]]:
        """The readings, those times with ``past_at_least``."""
        return {key: self._dated(each) if key in self._facts else each for key, each in readings.items()}

    def _dated(self, reading: Reading[Any]) -> Reading[Any]:
        if reading.outcome is Outcome.MISSING:
            self._first.pop(reading.key, None)
        if not isinstance(reading.value, float):
            return reading
        said, since = self._first.get(reading.key, (None, 0.0))
        if said != reading.value:
            since = reading.received.mono
            self._unasked.add(reading.key)
        if reading.key in self._unasked:
            since = min(since, self._journalled(reading.key, reading.value, reading.received))
        self._first[reading.key] = reading.value, since
        return replace(reading, past_at_least=max(0.0, reading.received.mono - since))

    def _journalled(self, fact: str, time: float, now: Instant) -> float:
        """Since when that time is past by the journal. What cannot be read now is asked for again."""
        try:
            records = list(self._recent())
        except (OSError, NotYetError):
            return now.mono
        self._unasked.discard(fact)
        since = now.mono
        for record in reversed(records):
            mono = record.get("mono")
            if record.get("host") != self._host or not isinstance(mono, (int, float)):
                continue
            is_later = wall_of(record) >= time + APART
            if not self._boot or record.get("boot") != self._boot or not is_later:
                break
            since = min(since, float(mono))
        return since
