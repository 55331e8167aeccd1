"""Runs checks and diagnoses on readings taken for them, never on what a board happens to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec.structs import replace

from backends.model.check import Check, Diagnosis
from backends.model.clock import Clock, Instant
from backends.model.condition import Condition
from backends.model.examination import Examined, answer_of, key_of
from backends.model.query import Derivation
from backends.model.reading import Reading
from backends.model.stack import Stack
from backends.model.weigh import Weighed, weigh

LONGEST: Final = 10.0
"""Seconds any source may take for all that is asked of it."""


class Looks(Protocol):
    """Reads many facts and services afresh, each source once and all at once; never raises."""

    async def look_all(self, keys: Iterable[str], longest: float) -> Mapping[str, Reading[Any]]: ...


class Examiner:
    """Weighs every demand against a reading of this moment."""

    def __init__(self, stack: Stack, looks: Looks, clock: Clock) -> None:
        self._stack = stack
        self._looks = looks
        self._clock = clock

    async def examine(self, wanted: Sequence[Check | Diagnosis]) -> dict[str, Examined]:
        """One result for each, by ``key_of``. Never raises, and takes ``LONGEST`` seconds at the most."""
        keys = {condition.fact for it in wanted for condition in it.demands}
        readings = await self._looks.look_all(sorted(keys), LONGEST)
        now = self._clock.now()
        results = {}
        for it in wanted:
            weighed = tuple(
                self._weigh(condition, readings.get(condition.fact), now) for condition in it.demands
            )
            results[key_of(it)] = Examined(key_of(it), answer_of(weighed), weighed, now)
        return results

    async def look(self, facts: Iterable[str]) -> Mapping[str, Reading[Any]]:
        """These facts as they are now; takes ``LONGEST`` seconds at the most."""
        return await self._looks.look_all(facts, LONGEST)

    def _weigh(self, condition: Condition, reading: Reading[Any] | None, now: Instant) -> Weighed:
        fact = self._stack.facts.get(condition.fact)
        if reading is None:
            return weigh(condition, fact, None, now)
        # One source's answer is not made old by waiting for a slower one.
        weighed = weigh(condition, fact, reading, reading.received)
        return weighed if weighed.age is None else replace(weighed, age=reading.age(now))


def looked_back(stack: Stack, wanted: Iterable[Check | Diagnosis]) -> float:
    """Seconds the stack has to be watched before all of these can be told; 0 when one look will do."""
    facts = (stack.facts.get(condition.fact) for it in wanted for condition in it.demands)
    queries = (fact.query for fact in facts if fact is not None)
    return max(
        (query.over for query in queries if isinstance(query, Derivation) and query.looks_back), default=0.0
    )
