"""Which conditions of a board are alarms: thresholds, services, sources, and the trading state itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from msgspec import Struct

from backends.model.alarm import Alarm, Priority
from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table
from backends.model.figure import figure
from backends.model.judge import is_ended, judge, level_of
from backends.model.query import Derivation
from backends.model.reading import UNTOLD, Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Service
from backends.model.stack import AlarmRule, Generation, ServiceSpec, Stack
from backends.model.trading import TradingState

GRACE = 5.0
"""Seconds after start in which something not asked yet is no alarm."""

MISSING = "(missing)"
"""The word of a rule for a fact that is missing."""

OTHER = "(other)"
"""The word of a rule for any that its fact does not list."""

ANEW = 1.9
"""Seconds after which it is concluded anew what follows from a reading that no longer counts."""

ON_DELAY = 2.0
"""Seconds a source or the trading state must be unknown to be an alarm; the screen shows it at once."""

REFUSED = "the source wants to know who asks, and does not accept what this room proves it with"
CREDENTIALS = (
    "Set the source's secret in this room's configuration as the source has it, and start the room anew."
)
"""Of a fact that its source keeps from the room."""


class Condition(NamedTuple):
    """What may follow from one reading."""

    on: str
    """The board key of the reading."""
    conclude: Callable[[Reading[Any], Instant], Alarm | None]
    counts: Callable[[Board, Instant], bool]
    """Whether the rest of the board lets it be an alarm."""


class _Seen(Struct):
    """The reading of one key as last seen, and what followed from it."""

    conditions: list[Condition]
    reading: Reading[Any] | None = None
    until: float = math.inf
    """The room's time until which that stands; nothing follows where there is no reading."""
    found: tuple[tuple[Condition, Alarm], ...] = ()

    def conclude(self, reading: Reading[Any] | None, now: Instant) -> None:
        self.reading, self.until, self.found = None, math.inf, ()
        if reading is None:
            return
        found: tuple[tuple[Condition, Alarm], ...] = ()
        for each in self.conditions:
            if (alarm := each.conclude(reading, now)) is not None:
                found = (*found, (each, alarm))
        until = reading.counts_until
        self.until = until if reading.received.mono <= now.mono <= until else now.mono + ANEW
        self.reading, self.found = reading, found


class Conditions:
    """What is wrong on the boards of one stack, without a memory of since when.

    What follows from a reading is concluded when the reading is new, and anew when it has grown too old to
    count, and now and then after that: two boards that follow each other differ in few.
    """

    def __init__(self, stack: Stack, started: Instant) -> None:
        self._stack = stack
        self._started = started
        self._gate_sources = {stack.facts[gate.fact].source for gate in stack.gates}
        self._seen: dict[str, _Seen] = {}
        for condition in _conditions(stack):
            self._seen.setdefault(condition.on, _Seen([])).conditions.append(condition)

    def on(self, board: Board, now: Instant) -> Iterator[Alarm]:
        """Every alarm condition true on ``board`` at ``now``, as alarms that begin now or just before."""
        yield from _trading(board, self._started, now)
        if self._stack.generation is not None and now.since(self._started) > GRACE:
            yield from _assumed(self._stack.generation, board, now)
        for health in board.sources.values():
            if health.is_up is False and now.since(health.since) > ON_DELAY:
                yield _source_down(health, health.id in self._gate_sources, now)
        readings, mono = board.readings, now.mono
        for key, seen in self._seen.items():
            reading = readings.get(key)
            if reading is not seen.reading or mono > seen.until:
                seen.conclude(reading, now)
            for condition, alarm in seen.found:
                if condition.counts(board, now):
                    yield alarm


def _conditions(stack: Stack) -> Iterator[Condition]:
    for rule in stack.alarms:
        conclude = partial(_rule, rule, stack.facts[rule.fact])
        yield Condition(rule.fact, conclude, partial(_is_at_work, rule))
    watched = {rule.fact for rule in stack.alarms} | {gate.fact for gate in stack.gates}
    for fact in stack.facts.values():
        # What a derived fact is made of raises the alarm.
        if not isinstance(fact.query, Derivation):
            conclude = partial(_unreadable, fact, fact.id in watched)
            yield Condition(fact.id, conclude, partial(_is_up, fact.source))
    for spec in stack.services:
        yield Condition(SERVICE + spec.name, partial(_service, spec), _always)


def _is_up(source: str, board: Board, now: Instant) -> bool:
    del now
    return board.sources[source].is_up is True


def _always(board: Board, now: Instant) -> bool:
    del board, now
    return True


def _trading(board: Board, started: Instant, now: Instant) -> Iterator[Alarm]:
    trading = board.trading
    if trading.state is TradingState.CONFLICT:
        yield _alarm(
            "trading:conflict", Priority.CRITICAL, "trading", now,
            title=f"Two sources disagree: {trading.because}",
            cause="one of them is wrong, cut off or was changed by hand",
            consequence="the stack may be trading although it looks halted",
            response="Treat it as trading. Halt again and look at both sources.",
        )  # fmt: skip
    is_settled = now.since(started) > GRACE and now.since(trading.since) > ON_DELAY
    if trading.state is TradingState.UNKNOWN and is_settled:
        yield _alarm(
            "trading:unknown", Priority.CRITICAL, "trading", now,
            title=f"Trading state is not known: {trading.because}",
            cause="a switch that decides about trading cannot be read, or holds a word nobody knows",
            consequence="nobody can tell from here whether orders are being accepted",
            response="Treat it as trading. Find out why the switch cannot be read; halt if in doubt.",
        )  # fmt: skip


def _assumed(generation: Generation, board: Board, now: Instant) -> Iterator[Alarm]:
    """That it was not seen which generation runs, unless the containers seen since are those of this one."""
    services = (it.value for it in board.readings.values() if isinstance(it.value, Service))
    seen = {str(service.title): generation.project or "" for service in services}
    if generation.doubt is not None and not generation.fits(seen):
        yield _alarm(
            "generation:assumed", Priority.HIGH, "generation", now,
            title=f"That {generation.title} runs is {generation.doubt}",
            cause="Docker could not tell when the room was opened, and nothing seen since shows it",
            consequence="what is shown and ordered may be about containers that are not those that run",
            response="Open the room anew when Docker answers, or name the variant in the configuration.",
        )  # fmt: skip


def _source_down(health: SourceHealth, decides: bool, now: Instant) -> Alarm:
    return _alarm(
        f"source:{health.id}", Priority.CRITICAL if decides else Priority.HIGH, f"source:{health.id}", now,
        title=f"{health.title} does not answer: {health.error}",
        cause="the service is down, too slow, or the way to it is cut",
        consequence="everything shown from it is old or unknown",
        response="Run the doctor for this source; look at its container and its log.",
    )  # fmt: skip


def _rule(rule: AlarmRule, fact: Fact, reading: Reading[Any], now: Instant) -> Alarm | None:
    level = judge(fact, reading, now)
    fires = level is rule.at or (level is Level.CRIT and rule.at is Level.WARN)
    if not fires and reading.quality(now) is Quality.STALE and reading.outcome is Outcome.OK:
        # A bad value does not become good by growing old.
        fires = level_of(fact, reading.value) is Level.CRIT and rule.at in (Level.WARN, Level.CRIT)
    if fires and _is_for(rule, fact, reading):
        return _alarm(
            rule.id, rule.priority, fact.id, now,
            title=f"{rule.title} ({shown(fact, reading)})",
            cause=rule.cause, consequence=rule.consequence, response=rule.response, section=rule.section,
        )  # fmt: skip
    return None


def _is_at_work(rule: AlarmRule, board: Board, now: Instant) -> bool:
    """Whether the service that the rule is about, if any, may run."""
    return rule.service is None or not is_ended(board.readings.get(f"{SERVICE}{rule.service}"), now)


def _is_for(rule: AlarmRule, fact: Fact, reading: Reading[Any]) -> bool:
    """Whether what it reads is one of the rule's words."""
    value = reading.value
    if value is None:
        return not rule.words or MISSING in rule.words
    word = str(value).lower() if isinstance(value, bool) else str(value)
    is_other = fact.meanings is not None and word not in fact.meanings
    return not rule.words or word in rule.words or (OTHER in rule.words and is_other)


def _unreadable(fact: Fact, is_watched: bool, reading: Reading[Any], now: Instant) -> Alarm | None:
    """A fact that cannot be judged although its source answers."""
    priority = Priority.HIGH if is_watched else Priority.LOW
    if reading.outcome is Outcome.FAILED:
        why = reading.error or ""
        if why.endswith(UNTOLD) and not is_watched:
            # Nobody meant the room to read it, and nothing rests on it; the fact itself says so.
            return None
        is_refused = why.startswith("refused (")
        return _alarm(
            f"unreadable:{fact.id}", priority, fact.id, now,
            title=f"{fact.label} cannot be read: {reading.error}",
            cause=REFUSED if is_refused else "the source answers, but not with what this fact expects",
            consequence="this value is unknown",
            response=CREDENTIALS
            if is_refused
            else "Look at the raw value; it may have been written by hand or by another version.",
        )  # fmt: skip
    if reading.outcome is Outcome.OK and reading.quality(now) in (Quality.STALE, Quality.BAD):
        age = reading.observed_age(now)
        old = "from the future" if age is not None and age < 0 else f"{_span(age or reading.age(now))} old"
        return _alarm(
            f"stale:{fact.id}", priority, fact.id, now,
            title=f"{fact.label} is {old}",
            cause="whoever writes it has stopped writing, or clocks differ",
            consequence="the value shown is not the present one",
            response="Look at the service that writes it.",
        )  # fmt: skip
    return None


def _service(spec: ServiceSpec, reading: Reading[Any], now: Instant) -> Alarm | None:
    key = SERVICE + spec.name
    if reading.outcome is Outcome.MISSING and spec.is_required:
        return _alarm(
            key, Priority.HIGH, key, now,
            title=f"{spec.name} is not there",
            cause=reading.error or "it was never created, installed or started, or has been removed",
            consequence=f"no {spec.role}",
            response="Create or start it as this stack is started.",
        )  # fmt: skip
    service = reading.value
    if isinstance(service, Service):
        wrong = _what_is_wrong(service, spec.is_required)
        if wrong is not None:
            return _alarm(
                key, Priority.HIGH, key, now,
                title=f"{spec.name} {wrong}",
                cause="see the last lines of its log",
                consequence=f"no dependable {spec.role}",
                response="Read its log from the time it failed; restart it when the cause is known.",
            )  # fmt: skip
    return None


def _what_is_wrong(service: Service, is_required: bool) -> str | None:
    if service.state is RunState.RUNNING:
        return "is unhealthy" if service.health is Health.UNHEALTHY else None
    if service.state is RunState.RESTARTING:
        return f"keeps restarting ({service.restarts or 0} times, last exit code {service.exit_code})"
    if service.state in (RunState.EXITED, RunState.CREATED) and not is_required:
        return None
    why = ", out of memory" if service.oom_killed else ""
    code = "" if service.exit_code is None else f" with code {service.exit_code}"
    verb = "has" if service.state is RunState.EXITED else "is"
    return f"{verb} {service.state.value}{code}{why}"


def shown(fact: Fact, reading: Reading[Any]) -> str:
    """The value in a few words, for a title."""
    if reading.outcome is Outcome.MISSING:
        return fact.missing_note or "missing"
    value = reading.value
    if isinstance(value, Table):
        return "1 row" if value.total == 1 else f"{value.total} rows"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value} {fact.unit}".strip()
    return figure(value, fact.unit)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _alarm(
    ident: str,
    priority: Priority,
    subject: str,
    now: Instant,
    *,
    title: str,
    cause: str,
    consequence: str,
    response: str,
    section: str | None = None,
) -> Alarm:
    return Alarm(
        id=ident,
        priority=priority,
        title=SafeText(title),
        cause=SafeText(cause),
        consequence=SafeText(consequence),
        response=SafeText(response),
        since=now,
        subject=subject,
        section=section,
    )
