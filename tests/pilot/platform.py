"""The trading platform as its stack file describes it, on boards on which everything can be read."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table, ValueType
from backends.model.reading import Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Environment, Stack
from backends.model.trading import Gate, Trading, TradingState
from backends.stacks.loader import built_in, load_stack
from tests.pilot.world import service

STACK: Stack = replace(load_stack(built_in()["trading-platform"]), environment=Environment.DEMO)

HALTED: dict[str, Any] = {
    "kill.state": "ENGAGED",
    "orchestrator.kill": "ENGAGED",
    "kill.epoch": "2026-09-21T11:00:00.000000+00:00",
    "gateway.dry_run": False,
    "positions.open": 3,
}
"""What a resume asks for: halted for ten minutes, everything else well."""

TRADING: dict[str, Any] = {**HALTED, "kill.state": "ACTIVE", "orchestrator.kill": "ACTIVE", "orders.open": 2}

TABLES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "host.services": (
        ("pid", "command", "started", "parent"),
        (("4711", "uvicorn apps.signal_service.main:app --port 8001", "1790000000", "1"),),
    ),
    "orders.ids": (
        ("client_order_id", "symbol", "status"),
        (("ac6b2161aedb5a17", "SPY", "accepted"), ("ae0d0ed3fc4f1c10", "MSFT", "accepted")),
    ),
    "orders.symbols": (("symbol",), (("SPY",), ("MSFT",))),
    "positions.list": (("symbol", "qty"), (("AAPL", "100"), ("NVDA", "-20"), ("TSLA", "7"))),
}


def board(now: Instant, values: dict[str, Any], stack: Stack = STACK) -> Board:
    """Every fact read 0.3 s ago: as ``values`` say, else something harmless of its type."""
    readings = {fact.id: _reading(stack, fact, now, values) for fact in stack.facts.values()}
    for spec in stack.services:
        key = SERVICE + spec.name
        it = service(spec.name, now, name=spec.name)
        readings[key] = Reading(key, spec.source, Outcome.OK, _ago(now, 0.8), 2.0, value=it)
    gates = []
    for gate in stack.gates:
        word = str(readings[gate.fact].value).lower() if isinstance(readings[gate.fact].value, bool) else None
        raw = word or str(readings[gate.fact].value)
        state = TradingState.HALTED if raw in gate.halted else TradingState.TRADING
        gates.append(Gate(gate.fact, gate.label, SafeText(raw), state, SafeText(f"reads {raw}")))
    is_halted = any(gate.state is TradingState.HALTED for gate in gates)
    state = TradingState.HALTED if is_halted else TradingState.TRADING
    because = SafeText("Kill switch reads ENGAGED" if is_halted else f"all {len(gates)} gates allow trading")
    return Board(
        stack=stack.id,
        seq=41,
        taken=now,
        environment=stack.environment,
        readings=readings,
        sources={it.id: SourceHealth(it.id, it.title, True, now, now) for it in stack.sources.values()},
        trading=Trading(state, because, _ago(now, 600), _ago(now, 0.3), tuple(gates)),
    )


def halted(now: Instant) -> Board:
    """Halted ten minutes ago; nothing stands against a resume."""
    return board(now, HALTED)


def trading(now: Instant) -> Board:
    """Trading, with two open orders and three positions."""
    return board(now, TRADING)


def unread(now: Instant) -> Board:
    """Nothing was ever read."""
    made = board(now, TRADING)
    never = {key: Reading(key, it.source, Outcome.NEVER, now, it.period) for key, it in made.readings.items()}
    gates = tuple(
        replace(gate, raw=None, state=TradingState.UNKNOWN, because=SafeText("not read yet"))
        for gate in made.trading.gates
    )
    unknown = replace(made.trading, state=TradingState.UNKNOWN, because=SafeText("nothing read"), gates=gates)
    return replace(made, readings=never, trading=unknown)


def _reading(stack: Stack, fact: Fact, now: Instant, values: dict[str, Any]) -> Reading[Any]:
    value = _value(fact, now, values)
    period = stack.sources[fact.source].every
    at = _ago(now, 0.3)
    return Reading(fact.id, fact.source, Outcome.OK, at, period, value=value, last_good=Good(value, at))


def _value(fact: Fact, now: Instant, values: dict[str, Any]) -> Any:
    if fact.type is ValueType.TABLE:
        columns, rows = TABLES.get(fact.id, (("name",), ()))
        return Table(columns, tuple(tuple(SafeText(text) for text in row) for row in rows), len(rows))
    if fact.id in values:
        return SafeText(values[fact.id]) if isinstance(values[fact.id], str) else values[fact.id]
    good = (word for word, level in (fact.meanings or {}).items() if level in (Level.OK, Level.INFO))
    if fact.type is ValueType.TEXT:
        return SafeText(next(good, "kim"))
    if fact.type is ValueType.BOOL:
        return next(good, "true") == "true"
    harmless = {ValueType.TIME: now.wall - 600.0, ValueType.FLOAT: 1.5}
    return harmless.get(fact.type, 0)


def _ago(now: Instant, seconds: float) -> Instant:
    return Instant(now.mono - seconds, now.wall - seconds)
