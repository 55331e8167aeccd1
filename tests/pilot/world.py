"""A small trading platform made by hand: its stack, and boards in the states a screen must show."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from backends.model.action import HttpCall, RedisTransition
from backends.model.alarm import Alarm, Priority
from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, ValueType
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.query import HttpQuery, RedisQuery, SqlQuery
from backends.model.reading import Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service, Usage
from backends.model.stack import (
    Environment,
    GateSpec,
    LogGrammar,
    ServiceSpec,
    Source,
    SourceKind,
    Stack,
)
from backends.model.trading import Gate, Trading, TradingState

SOURCES = {
    source.id: source
    for source in (
        Source("docker", SourceKind.DOCKER, "Docker", "unix:///var/run/docker.sock", 2.0, 1.0),
        Source("redis", SourceKind.REDIS, "Redis", "redis://127.0.0.1:6379/0", 1.0, 0.5),
        Source("postgres", SourceKind.POSTGRES, "PostgreSQL", "postgresql://127.0.0.1:5433/trader", 5.0, 2.0),
        Source("gateway", SourceKind.HTTP, "execution gateway", "http://127.0.0.1:8002", 5.0, 2.0),
        Source("orchestrator", SourceKind.HTTP, "orchestrator", "http://127.0.0.1:8003", 5.0, 2.0),
    )
}

_KILL = RedisQuery("get", "kill_switch:state")
_BREAKER = RedisQuery("get", "circuit_breaker:state")

FACTS = {
    fact.id: fact
    for fact in (
        Fact("kill.state", "kill switch", "kill switch", "redis", _KILL, ValueType.TEXT, pick="state",
             meanings={"ACTIVE": Level.OK, "ENGAGED": Level.CRIT}, missing=Level.CRIT,
             missing_note="no key: the gateway blocks every order", runbook=("RB-14",)),
        Fact("kill.by", "engaged by", "kill switch", "redis", _KILL, ValueType.TEXT, pick="engaged_by",
             missing=Level.INFO, missing_note="never engaged"),
        Fact("kill.reason", "reason", "kill switch", "redis", _KILL, ValueType.TEXT,
             pick="engagement_reason", missing=Level.INFO, missing_note="no reason given"),
        Fact("breaker.state", "circuit breaker", "circuit breaker", "redis", _BREAKER, ValueType.TEXT,
             pick="state", meanings={"OPEN": Level.OK, "TRIPPED": Level.CRIT}, missing=Level.CRIT,
             missing_note="no key: the gateway blocks every order"),
        Fact("breaker.trips", "trips (lifetime)", "circuit breaker", "redis", _BREAKER, ValueType.INT,
             pick="trip_count_today", note="The platform never resets this counter: it is not today's."),
        Fact("recon.complete", "start-up reconciliation", "reconciliation", "gateway",
             HttpQuery("/api/v1/reconciliation/status"), ValueType.BOOL, pick="startup_complete",
             meanings={"true": Level.OK, "false": Level.CRIT}),
        Fact("orders.open", "open orders", "orders", "postgres",
             SqlQuery("SELECT count(*) FROM orders WHERE NOT is_terminal"), ValueType.COUNT,
             warn_above=50, crit_above=200),
        Fact("orders.oldest", "oldest open order", "orders", "postgres",
             SqlQuery("SELECT min(created_at) FROM orders WHERE NOT is_terminal"), ValueType.TIME,
             missing=Level.INFO, missing_note="no open order"),
        Fact("positions.open", "open positions", "positions", "postgres",
             SqlQuery("SELECT count(*) FROM positions WHERE qty <> 0"), ValueType.COUNT),
        Fact("pnl.drawdown", "drawdown", "positions", "gateway", HttpQuery("/api/v1/positions/pnl"),
             ValueType.FLOAT, pick="drawdown", unit="%", warn_above=3.0, crit_above=5.0),
        Fact("account.cash", "cash", "positions", "gateway", HttpQuery("/api/v1/account"), ValueType.FLOAT,
             pick="cash", unit="USD"),
        Fact("gateway.dry_run", "dry run", "mode", "gateway", HttpQuery("/api/v1/config"), ValueType.BOOL,
             pick="dry_run"),
    )
}  # fmt: skip

HALT = Procedure(
    id="halt",
    title="Halt trading",
    risk=RiskClass.STOP,
    summary="No new order passes the gateway from the next check on; open orders stay at the broker.",
    will_not=("Open orders stay.", "Positions stay.", "No container is stopped."),
    fallback=(
        "docker exec -it trading_platform_redis redis-cli\n"
        "  GET kill_switch:state\n"
        "curl -X POST http://127.0.0.1:8003/api/v1/kill-switch/engage \\\n"
        '  -d \'{"reason": "manual", "operator": "NAME"}\''
    ),
    steps=(
        Step(
            "redis",
            "Engage the kill switch in Redis",
            RedisTransition("redis", "kill_switch:state", "state", ("ACTIVE",), "ENGAGED"),
            (Proof("kill.state", ("ENGAGED",)),),
        ),
        Step(
            "orchestrator",
            "Engage it through the orchestrator",
            HttpCall("orchestrator", "POST", "/api/v1/kill-switch/engage"),
            (Proof("kill.state", ("ENGAGED",)),),
            after=0.5,
        ),
    ),
    shows=("orders.open", "orders.oldest", "positions.open"),
    reversible_by="resume",
    section="Kill switch",
)

_SPECS = tuple(
    ServiceSpec(name, (f"trading_platform_{name}",), role, "docker", has_check=checked)
    for name, role, checked in (
        ("postgres", "durable state", True),
        ("redis", "safety state", True),
        ("prometheus", "metrics", False),
        ("grafana", "dashboards", False),
        ("loki_server", "log store", True),
        ("promtail", "ships logs", False),
        ("execution_gateway", "orders, positions", True),
        ("signal_service", "model inference", True),
        ("market_data_service", "price stream", True),
        ("model_registry", "models", True),
        ("orchestrator", "signals to orders", True),
        ("web_console_dev", "operator console", False),
        ("alert_worker", "delivers alerts", False),
    )
)

STACK = Stack(
    id="trading-platform",
    title="Equities trading platform",
    environment=Environment.DEMO,
    sources=SOURCES,
    services=_SPECS,
    facts=FACTS,
    gates=(
        GateSpec("kill.state", "kill switch", frozenset({"ACTIVE"}), frozenset({"ENGAGED"}),
                 TradingState.HALTED, "no key: every order is blocked"),
        GateSpec("breaker.state", "circuit breaker", frozenset({"OPEN"}), frozenset({"TRIPPED"}),
                 TradingState.HALTED, "no key: every order is blocked"),
        GateSpec("recon.complete", "reconciliation gate", frozenset({"true"}), frozenset({"false"}),
                 TradingState.UNKNOWN, "the gateway does not say"),
    ),
    echoes=(),
    alarms=(),
    checks={},
    checklists={},
    diagnoses={},
    procedures={"halt": HALT},
    logs=LogGrammar(()),
)  # fmt: skip

_VALUES: dict[str, Any] = {
    "kill.state": SafeText("ACTIVE"),
    "breaker.state": SafeText("OPEN"),
    "breaker.trips": 3,
    "recon.complete": True,
    "orders.open": 14,
    "positions.open": 6,
    "pnl.drawdown": 1.27,
    "account.cash": 104_233.18,
    "gateway.dry_run": False,
}

_MEMORY = (180, 64, 212, 140, 96, 41, 388, 512, 120, 77, 164, 233, 58)


def reading(key: str, now: Instant, value: Any = None, *, old: float = 0.0, **rest: Any) -> Reading[Any]:
    """A reading received ``old`` seconds ago: OK with a value, else MISSING unless said otherwise."""
    source = SOURCES[FACTS[key].source if key in FACTS else "docker"]
    rest.setdefault("outcome", Outcome.MISSING if value is None else Outcome.OK)
    at = Instant(now.mono - old, now.wall - old)
    good = None if value is None else Good(value, at)
    rest.setdefault("last_good", good)
    return Reading(key, source.id, received=at, period=source.every, value=value, **rest)


def service(name: str, now: Instant, /, **changes: Any) -> Service:
    """A healthy one, up for three hours, using a little."""
    index = next((n for n, spec in enumerate(_SPECS) if spec.name == name), 0)
    checked = _SPECS[index].has_check
    it = Service(
        name=name,
        runtime=Runtime.DOCKER,
        ident=f"{index:02x}" * 32,
        title=SafeText(f"trading_platform_{name}"),
        state=RunState.RUNNING,
        health=Health.HEALTHY if checked else Health.NO_CHECK,
        image=SafeText(f"trading_platform-{name}:latest"),
        digest="sha256:" + f"{index:02x}" * 32,
        restarts=0,
        started_wall=now.wall - 11_000 - 60 * index,
        usage=Usage(0.4 + 1.3 * index, _MEMORY[index] << 20, 2 << 30, 1200.0 * index, 800.0 * index),
        health_output=SafeText("ok") if checked else None,
    )
    return replace(it, **changes)


def never(now: Instant) -> Board:
    """Before the first answer of any source."""
    keys = [*FACTS, *(SERVICE + spec.name for spec in _SPECS)]
    gates = tuple(
        Gate(spec.fact, spec.label, None, TradingState.UNKNOWN, SafeText("not read yet"))
        for spec in STACK.gates
    )
    return Board(
        stack=STACK.id,
        seq=0,
        taken=now,
        environment=Environment.DEMO,
        readings={key: reading(key, now, outcome=Outcome.NEVER, last_good=None) for key in keys},
        sources={it.id: SourceHealth(it.id, it.title, None, now) for it in SOURCES.values()},
        trading=Trading(TradingState.UNKNOWN, SafeText("nothing read yet"), now, now, gates),
    )


def fresh(now: Instant) -> Board:
    """Everything answers, trading is allowed."""
    readings = {key: reading(key, now, value, old=0.3) for key, value in _VALUES.items()}
    readings["orders.oldest"] = reading("orders.oldest", now, now.wall - 754.0, old=0.3)
    for key in ("kill.by", "kill.reason"):
        readings[key] = reading(key, now, old=0.3)
    for spec in _SPECS:
        key = SERVICE + spec.name
        readings[key] = reading(key, now, service(spec.name, now), old=0.8)
    trails: dict[str, tuple[float | None, ...]] = {
        SERVICE + spec.name: tuple(
            float((_MEMORY[n] << 20) * (1 + 0.06 * ((i * (n + 3)) % 7))) if (i + n) % 11 else None
            for i in range(24)
        )
        for n, spec in enumerate(_SPECS)
    }
    return Board(
        stack=STACK.id,
        seq=41,
        taken=now,
        environment=Environment.DEMO,
        readings=readings,
        sources={it.id: SourceHealth(it.id, it.title, True, now, now) for it in SOURCES.values()},
        trading=Trading(
            TradingState.TRADING,
            SafeText("all 3 gates allow trading"),
            Instant(now.mono - 900, now.wall - 900),
            Instant(now.mono - 0.3, now.wall - 0.3),
            tuple(
                Gate(spec.fact, spec.label, SafeText(word), TradingState.TRADING, SafeText(f"reads {word}"))
                for spec, word in zip(STACK.gates, ("ACTIVE", "OPEN", "true"), strict=True)
            ),
        ),
        trails=trails,
    )


def with_readings(board: Board, *readings: Reading[Any], **changes: Any) -> Board:
    """The board with some readings replaced and its number one higher."""
    merged = {**board.readings, **{it.key: it for it in readings}}
    return replace(board, readings=merged, seq=board.seq + 1, **changes)


def alarm(
    ident: str, now: Instant, priority: Priority = Priority.HIGH, title: str = "", **rest: Any
) -> Alarm:
    """An alarm that is ten minutes old."""
    at = rest.pop("old", 600.0)
    rest.setdefault("subject", ident)
    return Alarm(
        id=ident,
        priority=priority,
        title=SafeText(title or f"{ident} needs you"),
        cause=SafeText("what it stands on does not answer"),
        consequence=SafeText("orders may be late"),
        response=SafeText("Look at its log, then at the network of the host."),
        since=Instant(now.mono - at, now.wall - at),
        section="Kill switch",
        **rest,
    )
