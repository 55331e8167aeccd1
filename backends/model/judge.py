"""What a reading means now: the one place where a value becomes good or bad."""

from __future__ import annotations

from typing import Any

from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table
from backends.model.reading import Outcome, Quality, Reading
from backends.model.service import ENDED, Health, RunState, Service


def judge(fact: Fact, reading: Reading[Any], now: Instant) -> Level:
    """The level of ``reading`` at ``now``. OK and INFO only for a fresh (or ageing) answer."""
    quality = reading.quality(now)
    if reading.outcome is Outcome.MISSING:
        return fact.missing if reading.age(now) <= reading.stale_after else Level.UNKNOWN
    if quality not in (Quality.FRESH, Quality.AGEING):
        return Level.UNKNOWN
    return level_of(fact, reading.value)


def level_of(fact: Fact, value: Any) -> Level:
    """The level of a value that is known to be good."""
    if fact.meanings is not None:
        word = str(value).lower() if isinstance(value, bool) else str(value)
        return fact.meanings.get(word, Level.CRIT)
    number = float(value.total) if isinstance(value, Table) else value
    limits = (fact.warn_above, fact.crit_above, fact.warn_below, fact.crit_below)
    if all(limit is None for limit in limits):
        return Level.INFO
    if not isinstance(number, (int, float)):
        return Level.UNKNOWN
    if _beyond(number, fact.crit_above, fact.crit_below):
        return Level.CRIT
    return Level.WARN if _beyond(number, fact.warn_above, fact.warn_below) else Level.OK


def _beyond(number: float, above: float | None, below: float | None) -> bool:
    return (above is not None and number > above) or (below is not None and number < below)


def is_ended(reading: Reading[Any] | None, now: Instant) -> bool:
    """Whether the reading of a service says, and lately enough, that none of its code runs."""
    if reading is None or not 0 <= reading.age(now) <= reading.stale_after:
        return False
    is_down = isinstance(reading.value, Service) and reading.value.state in ENDED
    return is_gone(reading) or is_down


def is_gone(reading: Reading[Any]) -> bool:
    """Whether a service is not there, by a runtime that has another one of the stack: one that has none may
    be another than the stack runs on."""
    return reading.outcome is Outcome.MISSING and reading.error is None


def has_spoken_since(said: Reading[Any], ended: Reading[Any]) -> bool:
    """Whether what a service said was said after it ``ended``, or nobody knows when that was: what is not
    there may run under another name, or on another engine."""
    finished = ended.value.finished_wall if isinstance(ended.value, Service) else None
    return finished is None or finished < said.received.wall - (said.observed_lag or 0.0)


def judge_service(service: Service, *, is_required: bool = True) -> Level:
    """The level of a service, from what its runtime says. One that is not required may have ended."""
    if not is_required and service.state in (RunState.EXITED, RunState.CREATED):
        return Level.INFO
    if service.state is not RunState.RUNNING:
        return Level.UNKNOWN if service.state is RunState.UNKNOWN else Level.CRIT
    return {
        Health.HEALTHY: Level.OK,
        Health.NO_CHECK: Level.INFO,
        Health.STARTING: Level.WARN,
        Health.UNHEALTHY: Level.CRIT,
        Health.UNKNOWN: Level.UNKNOWN,
    }[service.health]
