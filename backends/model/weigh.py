"""What a reading says about a demand: it holds, it fails, it is stale, or nobody can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.board import SERVICE
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.fact import Fact, Level, Table
from backends.model.figure import figure
from backends.model.judge import judge, judge_service
from backends.model.reading import Outcome, Quality, Reading
from backends.model.row import UncountableError, meets
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Service

_GOOD: Final = (Level.OK, Level.INFO)

_LEFT: Final = 3
"""Rows that are named when there should be none."""


class Standing(Enum):
    HOLDS = "holds"
    FAILS = "fails"
    """It was read, and it is not so."""
    STALE = "stale"
    """It was read too long ago."""
    UNKNOWN = "unknown"
    """It could not be read."""


class Weighed(Struct, frozen=True):
    """One precondition against one reading. Everything but HOLDS counts as not so."""

    condition: Condition
    standing: Standing
    text: SafeText
    """What was read: ``reads ACTIVE``, ``not read yet``."""
    age: float | None = None
    lacks: float | None = None
    """Seconds until it holds, when it fails for want of time alone."""

    @property
    def holds(self) -> bool:
        return self.standing is Standing.HOLDS

    @property
    def is_well(self) -> bool:
        """Whether it holds, or will by waiting alone: nothing is wrong with it."""
        return self.holds or self.lacks is not None

    @property
    def sentence(self) -> SafeText:
        """Why it keeps the procedure from starting."""
        return SafeText(f"{self.condition.because} ({self.text})", 400)

    def as_record(self) -> Mapping[str, Any]:
        """For the journal."""
        return {"require": self.condition.id, "standing": self.standing.value, "text": str(self.text)}


def weigh(condition: Condition, fact: Fact | None, reading: Reading[Any] | None, now: Instant) -> Weighed:
    """What the reading says about the condition at ``now``."""
    if reading is None or reading.outcome is Outcome.NEVER:
        why = reading.error if reading is not None else None
        return Weighed(condition, Standing.UNKNOWN, why or SafeText("not read yet"))
    age = reading.age(now)
    if reading.outcome is Outcome.FAILED:
        said = f": {reading.error}" if reading.error else ""
        return Weighed(condition, Standing.UNKNOWN, SafeText(f"not readable{said}", 300), age)
    if age > reading.stale_after or age < 0:
        return Weighed(condition, Standing.STALE, SafeText(f"last read {age:.0f} s ago"), age)
    is_usable = reading.outcome is Outcome.MISSING or reading.quality(now) in (Quality.FRESH, Quality.AGEING)
    if not is_usable:
        return Weighed(condition, Standing.STALE, SafeText("its own time is old or in the future"), age)
    return _answered(condition, fact, reading, now)


def _answered(condition: Condition, fact: Fact | None, reading: Reading[Any], now: Instant) -> Weighed:
    """For a fresh answer: a value, or that there is no such thing."""
    age, is_missing = reading.age(now), reading.outcome is Outcome.MISSING
    shown = "missing" if is_missing else f"reads {_shown(condition, reading, now)}"
    if not (_may_be_missing(condition, fact) if is_missing else _is_so(condition, fact, reading, now)):
        return Weighed(condition, Standing.FAILS, SafeText(shown, 300), age)
    lacks = _lacks(condition, reading, now)
    text = _unwatched(condition, reading, now) or f"{shown}{_watched(condition, reading)}"
    if lacks == 0:
        return Weighed(condition, Standing.HOLDS, SafeText(text, 300), age)
    return Weighed(condition, Standing.FAILS, SafeText(text, 300), age, lacks)


def word_of(value: Any) -> str:
    """A value in one word, as proofs and preconditions name it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Service):
        is_checked = value.state is RunState.RUNNING and value.health is not Health.NO_CHECK
        return value.health.value if is_checked else value.state.value
    return str(value.total if isinstance(value, Table) else value)


def counted(value: Any, where: Mapping[str, str]) -> tuple[float | None, str]:
    """The number a value is, or the rows of a table that read as ``where`` says, and the first of them.

    None when it is no number, and when the rows that were read cannot tell.
    """
    if isinstance(value, bool):
        return None, ""
    if isinstance(value, (int, float)):
        return float(value), ""
    if not isinstance(value, Table) or (value.total and not set(where) <= set(value.columns)):
        return None, ""
    try:
        # An answer without rows names no columns either.
        rows = [row for row in value.rows if meets(dict(zip(value.columns, row, strict=True)), where)]
    except UncountableError:
        return None, ""
    left = ", ".join(row[0] for row in rows[:_LEFT]) + (" …" if len(rows) > _LEFT else "")
    if not where:
        return float(value.total), left
    return (None, "") if not rows and value.total > len(value.rows) else (float(len(rows)), left)


def _may_be_missing(condition: Condition, fact: Fact | None) -> bool:
    """Whether that is the demand, or all that is demanded is that it be ok, and its file calls that ok."""
    only_ok = replace(Condition(condition.id, condition.fact, condition.because), is_ok=True)
    is_ok_so = fact is not None and fact.missing is Level.OK
    return condition.is_missing or (is_ok_so and condition == only_ok)


def _is_so(condition: Condition, fact: Fact | None, reading: Reading[Any], now: Instant) -> bool:
    """Whether it is met but for what needs time."""
    value = reading.value
    if condition.equals and word_of(value) not in condition.equals:
        return False
    only_missing = Condition(condition.id, condition.fact, condition.because, is_missing=True)
    if condition == replace(only_missing, where=condition.where) or word_of(value) in condition.differs:
        return False
    if condition.is_ok and _level(fact, reading, now) not in _GOOD:
        return False
    if not _is_within(condition, value):
        return False
    past = _past(fact, reading, now)
    return condition.max_age is None or (past is not None and 0 <= past <= condition.max_age)


def _lacks(condition: Condition, reading: Reading[Any], now: Instant) -> float | None:
    """Seconds until its time is long enough past and it has stood for long enough; None when nobody knows."""
    spans = list[tuple[float | None, float]]()
    if condition.min_age is not None and reading.outcome is Outcome.OK:
        spans.append((_lies_back(reading, now), condition.min_age))
    if condition.unchanged_for is not None:
        # What came since the last answer nobody has seen.
        spans.append((reading.unchanged_at_least, condition.unchanged_for))
    if any(span is None or span < 0 for span, _ in spans):
        return None
    return max((least - span for span, least in spans if span is not None and span < least), default=0)


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


def _lies_back(reading: Reading[Any], now: Instant) -> float | None:
    """Seconds the time it says lies back at the least: a clock that was set forward makes nothing older."""
    if not isinstance(reading.value, float):
        return None
    certain = reading.past_at_least
    by_clock = now.wall - reading.value
    return by_clock if certain is None else min(by_clock, certain + reading.age(now))


def _past(fact: Fact | None, reading: Reading[Any], now: Instant) -> float | None:
    """Seconds since the time it says, or since the answer's own timestamp."""
    if fact is not None and fact.type.value == "time":
        return now.wall - reading.value if isinstance(reading.value, float) else None
    return reading.observed_age(now)


def _unwatched(condition: Condition, reading: Reading[Any], now: Instant) -> str:
    """Of a time that is past by the clock alone: for how long that is certain, and how long to wait."""
    certain, least = _lies_back(reading, now), condition.min_age
    if certain is None or least is None or not isinstance(reading.value, float):
        return ""
    past = now.wall - reading.value
    if not certain < least <= past:
        return ""
    watched = f"this room has watched it for only {certain:.0f} of {least:.0f} s"
    return f"{watched}; its own time, {past:.0f} s ago, can be set: wait {math.ceil(least - certain)} s"


def _watched(condition: Condition, reading: Reading[Any]) -> str:
    """Of what must have stood for a while: for how long that was seen."""
    seen, least = reading.unchanged_at_least, condition.unchanged_for
    if least is None:
        return ""
    if seen is None:
        return ", and nobody watches for how long"
    if seen >= least:
        return f", for {least:.0f} s and more"
    return f", seen so by this room, and no stop since, for only {seen:.0f} of {least:.0f} s"


def _shown(condition: Condition, reading: Reading[Any], now: Instant) -> str:
    if condition.min_age is not None or condition.max_age is not None:
        value = reading.value
        past = now.wall - value if isinstance(value, float) else reading.observed_age(now)
        return "no time" if past is None else f"{past:.0f} s ago"
    if condition.at_most is not None or condition.at_least is not None:
        number, left = counted(reading.value, condition.where)
        return "no complete count" if number is None else figure(number) + (f": {left}" if left else "")
    word, said = word_of(reading.value), reading.value
    if isinstance(said, Service) and word == Health.UNHEALTHY.value and said.health_output:
        return f"{word}: {said.health_output}"
    return word
