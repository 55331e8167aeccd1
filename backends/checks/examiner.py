"""Runs checks and diagnoses on readings taken for them, never on what a board happens to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from backends.model.board import SERVICE, Board
from backends.model.check import Check, Diagnosis
from backends.model.clock import Clock, Instant
from backends.model.condition import Condition
from backends.model.examination import Examined, answer_of, key_of
from backends.model.reading import Reading
from backends.model.stack import ROOM, Stack
from backends.model.weigh import Weighed, weigh

LONGEST: Final = 10.0
"""Seconds any source may take for all that is asked of it."""


class Looks(Protocol):
    """Reads many facts and services afresh, each source once and all at once; never raises."""

    async def look_all(self, keys: Iterable[str], longest: float) -> Mapping[str, Reading[Any]]: ...


class Examiner:
    """Weighs every demand against a reading of this moment. What the room derives itself, from the polls
    of the last while, is taken from the board: there is no other place to ask.
    """

    def __init__(self, stack: Stack, looks: Looks, board: Callable[[], Board], clock: Clock) -> None:
        self._stack = stack
        self._looks = looks
        self._board = board
        self._clock = clock

    async def examine(self, wanted: Sequence[Check | Diagnosis]) -> dict[str, Examined]:
        """One result for each, by ``key_of``. Never raises, and takes ``LONGEST`` seconds at the most."""
        keys = {condition.fact for it in wanted for condition in it.demands}
        derived = {key for key in keys if is_derived(self._stack, key)}
        readings = dict(await self._looks.look_all(sorted(keys - derived), LONGEST))
        board = self._board()
        readings |= {key: board.readings[key] for key in derived & board.readings.keys()}
        now = self._clock.now()
        results = {}
        for it in wanted:
            weighed = tuple(
                self._weigh(condition, readings.get(condition.fact), now) for condition in it.demands
            )
            results[key_of(it)] = Examined(key_of(it), answer_of(weighed), weighed, now)
        return results

    def _weigh(self, condition: Condition, reading: Reading[Any] | None, now: Instant) -> Weighed:
        fact = self._stack.facts.get(condition.fact)
        if reading is None or is_derived(self._stack, condition.fact):
            return weigh(condition, fact, reading, now)
        # One source's answer is not made old by waiting for a slower one.
        weighed = weigh(condition, fact, reading, reading.received)
        return weighed if weighed.age is None else replace(weighed, age=reading.age(now))


def is_derived(stack: Stack, key: str) -> bool:
    """Whether the room makes this value itself, from polls."""
    return not key.startswith(SERVICE) and stack.facts[key].source == ROOM
