"""Preconditions: what must be so before anything but a stop, and since when it has been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from backends.model.board import SERVICE
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.fact import Fact, Level
from backends.model.judge import judge, judge_service
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.service import Service
from backends.model.substitution import fill, names_in
from backends.procedures.evidence import counted, word_of

_GOOD: Final = (Level.OK, Level.INFO)

GAP: Final = 5.0
"""Seconds without a look after which nobody can say that a precondition has held."""


class Standing(Enum):
    HOLDS = "holds"
    FAILS = "fails"
    """It was read, and it is not so."""
    STALE = "stale"
    """It was read too long ago."""
    UNKNOWN = "unknown"
    """It could not be read."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One precondition against one reading. Everything but HOLDS counts as not so."""

    condition: Condition
    standing: Standing
    text: SafeText
    """What was read: ``reads ACTIVE``, ``not read yet``."""
    age: float | None = None

    @property
    def holds(self) -> bool:
        return self.standing is Standing.HOLDS

    @property
    def sentence(self) -> SafeText:
        """Why it keeps the procedure from starting."""
        return SafeText(f"{self.condition.because} ({self.text})", 400)

    def as_record(self) -> Mapping[str, Any]:
        """For the journal."""
        return {"require": self.condition.id, "standing": self.standing.value, "text": str(self.text)}


def filled(condition: Condition, values: Mapping[str, Any]) -> Condition:
    """The condition for one run. A name that has no value stays, and nothing will match it."""

    def put(text: str) -> str:
        return str(fill(text, values)) if names_in(text) <= values.keys() else text

    where = {column: put(text) for column, text in condition.where.items()}
    return replace(condition, fact=put(condition.fact), because=put(condition.because), where=where)


def weigh(condition: Condition, fact: Fact | None, reading: Reading[Any] | None, now: Instant) -> Weighed:
    """What the reading says about the condition at ``now``."""
    if reading is None or reading.outcome is Outcome.NEVER:
        return Weighed(condition, Standing.UNKNOWN, SafeText("not read yet"))
    age = reading.age(now)
    if reading.outcome is Outcome.FAILED:
        why = f": {reading.error}" if reading.error else ""
        return Weighed(condition, Standing.UNKNOWN, SafeText(f"not readable{why}", 300), age)
    if age > reading.stale_after or age < 0:
        return Weighed(condition, Standing.STALE, SafeText(f"last read {age:.0f} s ago"), age)
    if reading.outcome is Outcome.MISSING:
        standing = Standing.HOLDS if condition.is_missing else Standing.FAILS
        return Weighed(condition, standing, SafeText("missing"), age)
    if reading.quality(now) not in (Quality.FRESH, Quality.AGEING):
        return Weighed(condition, Standing.STALE, SafeText("its own time is old or in the future"), age)
    standing = Standing.HOLDS if _is_met(condition, fact, reading, now) else Standing.FAILS
    return Weighed(condition, standing, SafeText(f"reads {_shown(condition, reading, now)}", 300), age)


def needed(conditions: Iterable[Condition]) -> list[str]:
    """The facts that are asked for, each once."""
    return list(dict.fromkeys(condition.fact for condition in conditions))


class Holding:
    """Since when all preconditions of each procedure have held without a break, as seen on boards."""

    def __init__(self) -> None:
        self._since: dict[str, Instant] = {}
        self._last: dict[str, Instant] = {}

    def note(self, procedure: str, weighed: Iterable[Weighed], now: Instant) -> None:
        """Take in one look at all of them."""
        last = self._last.get(procedure)
        if last is not None and now.since(last) > GAP:
            self._since.pop(procedure, None)
        self._last[procedure] = now
        if all(each.holds for each in weighed):
            self._since.setdefault(procedure, now)
        else:
            self._since.pop(procedure, None)

    def held(self, procedure: str, now: Instant) -> float:
        """Seconds they have held; 0 when they do not, or were not looked at lately."""
        since, last = self._since.get(procedure), self._last.get(procedure)
        if since is None or last is None or now.since(last) > GAP:
            return 0.0
        return max(0.0, now.since(since))


def _is_met(condition: Condition, fact: Fact | None, reading: Reading[Any], now: Instant) -> bool:
    value = reading.value
    if condition.is_missing or (condition.equals and word_of(value) not in condition.equals):
        return False
    if condition.differs and word_of(value) in condition.differs:
        return False
    if condition.is_ok and _level(fact, reading, now) not in _GOOD:
        return False
    if not _is_within(condition, value):
        return False
    past = _past(fact, reading, now)
    if condition.max_age is not None and (past is None or not 0 <= past <= condition.max_age):
        return False
    return condition.min_age is None or (past is not None and past >= condition.min_age)


def _is_within(condition: Condition, value: Any) -> bool:
    if condition.at_most is None and condition.at_least is None:
        return True
    number, _ = counted(value, condition.where)
    if number is None:
        return False
    return (condition.at_most is None or number <= condition.at_most) and (
        condition.at_least is None or number >= condition.at_least
    )


def _level(fact: Fact | None, reading: Reading[Any], now: Instant) -> Level:
    if reading.key.startswith(SERVICE):
        return judge_service(reading.value) if isinstance(reading.value, Service) else Level.UNKNOWN
    return judge(fact, reading, now) if fact is not None else Level.UNKNOWN


def _past(fact: Fact | None, reading: Reading[Any], now: Instant) -> float | None:
    """Seconds since the time it says, or since the answer's own timestamp."""
    if fact is not None and fact.type.value == "time":
        return now.wall - reading.value if isinstance(reading.value, float) else None
    return reading.observed_age(now)


def _shown(condition: Condition, reading: Reading[Any], now: Instant) -> str:
    if condition.min_age is not None or condition.max_age is not None:
        value = reading.value
        past = now.wall - value if isinstance(value, float) else reading.observed_age(now)
        return "no time" if past is None else f"{past:.0f} s ago"
    if condition.at_most is not None or condition.at_least is not None:
        number, left = counted(reading.value, condition.where)
        return "no complete count" if number is None else f"{number:g}" + (f": {left}" if left else "")
    return word_of(reading.value)
