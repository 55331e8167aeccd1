"""Small stacks and readings for tests that need no file and no server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from backends.model.alarm import Priority
from backends.model.check import Check, Diagnosis
from backends.model.clock import Instant
from backends.model.examination import Answer, Examined, answer_of
from backends.model.fact import Fact, Level, ValueType
from backends.model.query import RedisQuery
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import (
    AlarmRule,
    EchoSpec,
    Environment,
    GateSpec,
    LogGrammar,
    ServiceSpec,
    Source,
    SourceKind,
    Stack,
)
from backends.model.trading import TradingState
from backends.model.weigh import weigh
from backends.stacks.loader import built_in, describe

START = Instant(mono=1000.0, wall=1_790_000_000.0)


def later(seconds: float, start: Instant = START) -> Instant:
    return Instant(start.mono + seconds, start.wall + seconds)


def can_become(fact: Fact, level: Level) -> bool:
    """Whether something the fact may read, or that it is missing, means this (WARN or CRIT)."""
    limits = {
        Level.WARN: (fact.warn_above, fact.warn_below),
        Level.CRIT: (fact.crit_above, fact.crit_below),
    }[level]
    return level in {*(fact.meanings or {}).values(), fact.missing} or limits != (None, None)


def redis_source(url: str = "redis://127.0.0.1:1/0") -> Source:
    return Source("redis", SourceKind.REDIS, "Redis", url, every=1.0, deadline=0.5)


def docker_source() -> Source:
    return Source("docker", SourceKind.DOCKER, "Docker", "unix:///nowhere.sock", every=2.0, deadline=1.0)


def fact(ident: str, key: str | None = None, kind: ValueType = ValueType.TEXT, **more: Any) -> Fact:
    return Fact(ident, ident, "Safety", "redis", RedisQuery("get", key or ident), kind, **more)


KILL = fact(
    "kill.state", "kill_switch:state", pick="state", meanings={"ACTIVE": Level.OK, "ENGAGED": Level.CRIT}
)
BREAKER = fact("breaker.state", "circuit_breaker:state", pick="state", meanings={"OPEN": Level.OK})
ECHO = fact("orchestrator.kill")
LOSS = fact("loss", kind=ValueType.FLOAT, warn_above=100.0, crit_above=200.0, unit="USD")


def stack(**changes: Any) -> Stack:
    """Two gates (kill switch, breaker), an echo of the first, one threshold, one required service."""
    made = Stack(
        id="tiny",
        title="Tiny",
        environment=Environment.PAPER,
        sources={"redis": redis_source(), "docker": docker_source()},
        services=(ServiceSpec("trader", ("tiny_trader",), "order flow", "docker"),),
        facts={item.id: item for item in (KILL, BREAKER, ECHO, LOSS)},
        gates=(
            GateSpec(
                "kill.state", "kill switch", frozenset({"ACTIVE"}), frozenset({"ENGAGED"}),
                TradingState.UNKNOWN, "missing: orders are refused",
            ),
            GateSpec(
                "breaker.state", "circuit breaker", frozenset({"OPEN"}), frozenset({"TRIPPED"}),
                TradingState.UNKNOWN, "missing: orders are refused",
            ),
        ),
        echoes=(EchoSpec("kill.state", "orchestrator.kill", "the orchestrator"),),
        alarms=(
            AlarmRule(
                "loss", "loss", Level.WARN, Priority.HIGH, "Daily loss", "a losing day",
                "the limit is near", "Watch it", "Loss",
            ),
        ),
        checks={},
        checklists={},
        diagnoses={},
        procedures={},
        logs=LogGrammar(()),
    )  # fmt: skip
    return replace(made, **changes)


def ok(key: str, value: Any, at: Instant = START, **more: Any) -> Reading[Any]:
    safe = SafeText(value) if isinstance(value, str) else value
    return Reading(key, "redis", Outcome.OK, at, period=1.0, value=safe, **more)


def missing(key: str, at: Instant = START) -> Reading[Any]:
    return Reading(key, "redis", Outcome.MISSING, at, period=1.0)


def failed(key: str, at: Instant = START, why: str = "timed out", **more: Any) -> Reading[Any]:
    return Reading(key, "redis", Outcome.FAILED, at, period=1.0, error=SafeText(why), **more)


def running(name: str, state: RunState = RunState.RUNNING, health: Health = Health.NO_CHECK) -> Reading[Any]:
    """A service in that state, read now."""
    value = Service(name, Runtime.DOCKER, name, SafeText(name), state, health)
    return ok(f"service:{name}", value)


def diagnosed(stack: Stack, diagnosis: str, *readings: Reading[Any]) -> Examined:
    """What that known failure says on these readings, of which each of its demands needs one."""
    return _examined(stack, stack.diagnoses[diagnosis], readings)


def checked(stack: Stack, check: str, *readings: Reading[Any]) -> Answer:
    """What that check comes to on these readings, of which each of its demands needs one."""
    return _examined(stack, stack.checks[check], readings).answer


def answered(stack: Stack, check: str, values: Mapping[str, Any]) -> Answer:
    """What that check comes to on these values by fact, or readings of it; None is what is missing."""
    demanded = dict.fromkeys(each.fact for each in stack.checks[check].demands)
    return checked(stack, check, *(_read(fact, values[fact]) for fact in demanded))


def check_turns_on(stack: Stack, check: str, well: Mapping[str, Any], wrong: Mapping[str, Any]) -> None:
    """It passes when all is ``well``, not when this is ``wrong``, and is unknown when that cannot be read."""
    assert answered(stack, check, well) is Answer.YES
    assert answered(stack, check, {**well, **wrong}) is Answer.NO
    assert answered(stack, check, {**well, **{fact: failed(fact) for fact in wrong}}) is Answer.UNKNOWN


def _read(fact: str, value: Any) -> Reading[Any]:
    if isinstance(value, Reading):
        return value
    return missing(fact) if value is None else ok(fact, value)


def _examined(stack: Stack, item: Check | Diagnosis, readings: Iterable[Reading[Any]]) -> Examined:
    found = {each.key: each for each in readings}
    demands = item.demands
    weighed = tuple(weigh(each, stack.facts.get(each.fact), found[each.fact], START) for each in demands)
    return Examined(item.id, answer_of(weighed), weighed, START)


def is_found(stack: Stack, diagnosis: str, *readings: Reading[Any]) -> bool:
    """Whether these readings are that known failure."""
    return diagnosed(stack, diagnosis, *readings).answer is Answer.YES


def text(examined: Examined) -> str:
    """What was read for each of its demands."""
    return "; ".join(f"{each.condition.fact} {each.text}" for each in examined.weighed)


def is_known(stack: Stack, name: str, says: str, procedure: str | None, after: Examined) -> None:
    """It is found; the word is in its cause, in what to do or in what was read; what mends it, if anything
    here does, is that procedure, which there is."""
    diagnosis = stack.diagnoses[name]
    assert after.answer is Answer.YES, text(after)
    assert says in " ".join((diagnosis.title, diagnosis.cause, diagnosis.response, text(after)))
    assert diagnosis.procedure == procedure
    assert procedure is None or procedure in stack.procedures


def generations(ident: str) -> dict[str, Stack]:
    """Each generation of a stack's own file, by its name."""
    described = describe(built_in()[ident])
    forms = [(form, form.generation) for form in (described, *described.others)]
    return {known.id: form.build(form.sources()) for form, known in forms if known is not None}
