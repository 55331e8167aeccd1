"""A board as plain data: the whole of it, in names that stay. ``status --json`` prints this."""

from __future__ import annotations

from typing import Any

from backends.model.alarm import Alarm
from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table
from backends.model.judge import judge, judge_service
from backends.model.reading import Outcome, Quality, Reading
from backends.model.service import Service
from backends.model.stack import ServiceSpec, Source, Stack
from backends.model.trading import Gate

SCHEMA = 1
"""Grows when a name changes or goes; names may be added without."""


def stack_data(stack: Stack, board: Board, now: Instant) -> dict[str, Any]:
    """Everything the room knows about one stack. Ages are seconds by the room's clock; times are UTC."""
    trading = board.trading
    return {
        "id": stack.id,
        "title": stack.title,
        "environment": board.environment.value,
        "seq": board.seq,
        "taken": board.taken.iso(),
        "trading": {
            "state": trading.state.value,
            "because": str(trading.because),
            "since": trading.since.iso(),
            "age": _seconds(now.since(trading.as_of)),
            "gates": [_gate(gate) for gate in trading.gates],
        },
        "sources": [_source(source, board.sources.get(source.id), now) for source in stack.sources.values()],
        "services": _services(stack, board, now),
        "facts": [
            _fact(fact, board.readings.get(fact.id), now)
            for fact in stack.facts.values()
            if not fact.on_demand
        ],
        "alarms": [_alarm(alarm, now) for alarm in board.alarms],
    }


def service_level(reading: Reading[Service] | None, now: Instant, *, is_required: bool) -> Level:
    """What a service's reading means now; only a current answer can be good."""
    if reading is None or reading.outcome in (Outcome.NEVER, Outcome.FAILED):
        return Level.UNKNOWN
    if reading.age(now) > reading.stale_after:
        return Level.UNKNOWN
    if reading.value is None:
        return Level.CRIT if is_required else Level.INFO
    if reading.quality(now) not in (Quality.FRESH, Quality.AGEING):
        return Level.UNKNOWN
    return judge_service(reading.value, is_required=is_required)


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "fact": gate.fact,
        "label": gate.label,
        "raw": None if gate.raw is None else str(gate.raw),
        "state": gate.state.value,
        "because": str(gate.because),
    }


def _source(source: Source, health: SourceHealth | None, now: Instant) -> dict[str, Any]:
    return {
        "id": source.id,
        "title": source.title,
        "kind": source.kind.value,
        "url": source.url,
        "up": None if health is None else health.is_up,
        "since": None if health is None else health.since.iso(),
        "last_ok_age": None
        if health is None or health.last_ok is None
        else _seconds(now.since(health.last_ok)),
        "failures": 0 if health is None else health.failures,
        "error": None if health is None or health.error is None else str(health.error),
    }


def _services(stack: Stack, board: Board, now: Instant) -> list[dict[str, Any]]:
    specs = {spec.name: spec for spec in stack.services}
    found = [key.removeprefix(SERVICE) for key in board.readings if key.startswith(SERVICE)]
    names = [*specs, *sorted(name for name in found if name not in specs)]
    return [_service(name, specs.get(name), board.readings.get(SERVICE + name), now) for name in names]


def _service(
    name: str, spec: ServiceSpec | None, reading: Reading[Service] | None, now: Instant
) -> dict[str, Any]:
    is_required = spec is not None and spec.is_required
    data = {
        "name": name,
        "role": None if spec is None else spec.role,
        "expected": spec is not None,
        "required": is_required,
        **_quality(reading, now),
        "level": service_level(reading, now, is_required=is_required).value,
    }
    service = None if reading is None else reading.value
    if service is None:
        return data
    started = service.started_wall
    return data | {
        "container": str(service.title),
        "ident": service.ident,
        "state": service.state.value,
        "health": service.health.value,
        "health_output": None if service.health_output is None else str(service.health_output),
        "restarts": service.restarts,
        "exit_code": service.exit_code,
        "oom_killed": service.oom_killed,
        "uptime": None if started is None else _seconds(now.wall - started),
        "cpu": service.usage.cpu,
        "memory": service.usage.memory,
        "memory_limit": service.usage.memory_limit,
        "image": str(service.image),
        "digest": service.digest,
    }


def _fact(fact: Fact, reading: Reading[Any] | None, now: Instant) -> dict[str, Any]:
    value = None if reading is None else reading.value
    good = None if reading is None else reading.kept(now)
    level = Level.UNKNOWN if reading is None else judge(fact, reading, now)
    return {
        "id": fact.id,
        "label": fact.label,
        "group": fact.group,
        "source": fact.source,
        "type": fact.type.value,
        "unit": fact.unit,
        **_quality(reading, now),
        "level": level.value,
        "value": plain(value),
        "last_good": None
        if good is None
        else {"value": plain(good.value), "age": _seconds(now.since(good.at))},
    }


def _quality(reading: Reading[Any] | None, now: Instant) -> dict[str, Any]:
    """The part every reading has: what the source said, how far it can be trusted, how old it is."""
    if reading is None or reading.outcome is Outcome.NEVER:
        outcome, quality = Outcome.NEVER, Quality.UNKNOWN
        return {
            "outcome": outcome.value,
            "quality": quality.value,
            "age": None,
            "observed_age": None,
            "error": None,
        }
    observed = reading.observed_age(now)
    return {
        "outcome": reading.outcome.value,
        "quality": reading.quality(now).value,
        "age": _seconds(reading.age(now)),
        "observed_age": None if observed is None else _seconds(observed),
        "error": None if reading.error is None else str(reading.error),
    }


def _alarm(alarm: Alarm, now: Instant) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "priority": alarm.priority.value,
        "title": str(alarm.title),
        "cause": str(alarm.cause),
        "consequence": str(alarm.consequence),
        "response": str(alarm.response),
        "subject": alarm.subject,
        "section": alarm.section,
        "since": alarm.since.iso(),
        "age": _seconds(now.since(alarm.since)),
    }


def plain(value: Any) -> Any:
    """A fact's value as JSON has it; a table as its columns, rows and total."""
    if isinstance(value, Table):
        rows = [[str(cell) for cell in row] for row in value.rows]
        return {"columns": list(value.columns), "rows": rows, "total": value.total}
    return str(value) if isinstance(value, str) else value


def _seconds(number: float) -> float:
    return round(number, 3)
