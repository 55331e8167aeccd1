"""For how long something has certainly read as it does: the age of a halt that tells no time itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from backends.model.procedure import Procedure, RiskClass, Run, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.stack import Stack
from backends.model.substitution import names_in
from backends.model.weigh import word_of
from backends.procedures.conditions import filled


class _Stood(Struct, frozen=True):
    """What was read without a break, by the monotonic clock."""

    word: str | None
    """None for: no such thing."""
    since: float
    last: float


class Unchanged:
    """Adds to what a procedure demands to have stood for a while how long that was certainly so.

    Certain is only what this process has seen, answer after answer: a room that starts anew knows nothing, an
    answer that failed or came late begins the count again, and so does a stop that was ordered since, in this
    room or another one of this host, because it may be a halt of what was halted. ``runs`` gives those.
    Readings of which no procedure demands that are left as they are.
    """

    def __init__(self, stack: Stack, runs: Callable[[], Iterable[Run]]) -> None:
        self._facts = {fact for procedure in stack.procedures.values() for fact in _facts(procedure)}
        self._runs = runs
        self._stood: dict[str, _Stood] = {}

    def dated(self, readings: Mapping[str, Reading[Any]]) -> dict[str, Reading[Any]]:
        """The readings, those with ``unchanged_at_least``."""
        return {key: self._dated(each) if key in self._facts else each for key, each in readings.items()}

    def _dated(self, reading: Reading[Any]) -> Reading[Any]:
        if reading.outcome not in (Outcome.OK, Outcome.MISSING):
            self._stood.pop(reading.key, None)
            return reading
        now = reading.received.mono
        word = word_of(reading.value) if reading.outcome is Outcome.OK else None
        before = self._stood.get(reading.key)
        goes_on = before is not None and before.word == word and now - before.last <= reading.stale_after
        since = before.since if before is not None and goes_on else now
        self._stood[reading.key] = _Stood(word, since, max(now, before.last) if before is not None else now)
        return replace(reading, unchanged_at_least=max(0.0, now - max(since, self._stopped(now))))

    def _stopped(self, now: float) -> float:
        """When a stop was last at work, ``now`` while one is."""
        stops = (run for run in self._runs() if run.risk is RiskClass.STOP and not run.is_dry)
        ended = (
            now if run.verdict is None or run.ended is None else run.ended.mono
            for run in stops
            if run.verdict is not Verdict.REFUSED
        )
        return max(ended, default=float("-inf"))


def _facts(procedure: Procedure) -> Iterator[str]:
    """What must have stood for a while, for whatever may be chosen."""
    for each in procedure.requires:
        if each.unchanged_for is not None:
            chosen = [param for param in procedure.params if param.name in names_in(each.fact)]
            for values in product(*(param.one_of for param in chosen)):
                named = {param.name: value for param, value in zip(chosen, values, strict=True)}
                yield filled(each, named).fact
