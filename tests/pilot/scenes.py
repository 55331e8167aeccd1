"""The states that every snapshot and screen test walks through, one board each."""

from __future__ import annotations

from msgspec.structs import replace

from backends.model.alarm import Priority
from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.procedure import Receipt, ReceiptKind, Run, StepResult, StepState, Verdict
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState
from backends.model.trading import Gate, TradingState
from tests.pilot.world import (
    FACTS,
    HALT,
    SOURCES,
    STACK,
    alarm,
    fresh,
    never,
    reading,
    service,
    with_readings,
)

HOSTILE = "[@click=app.kill]x[/] \x1b]52;c;aGk=\x07[bold \x1b[2J\u202eevil\u202c " + "漢字" * 3 + "x [/"
"""Markup, escape sequences, direction overrides and wide characters in one."""


def failed(now: Instant) -> Board:
    """Redis hangs, PostgreSQL refuses, one container is gone and one is unhealthy; old values are kept."""
    board = fresh(now)
    readings = []
    for key, fact in FACTS.items():
        if fact.source not in ("redis", "postgres"):
            continue
        before = board.readings[key]
        why = SafeText("no answer in 0.5 s" if fact.source == "redis" else "connection refused")
        good = None if before.last_good is None else replace(before.last_good, at=_ago(now, 12))
        readings.append(reading(key, now, old=0.4, outcome=Outcome.FAILED, error=why, last_good=good))
    readings.append(reading("pnl.drawdown", now, 1.27, old=42))
    for name in ("signal_service", "market_data_service"):
        key = SERVICE + name
        readings.append(reading(key, now, service(name, now), old=31))
    readings.append(
        reading(
            SERVICE + "orchestrator",
            now,
            service(
                "orchestrator",
                now,
                state=RunState.EXITED,
                health=Health.UNKNOWN,
                restarts=7,
                exit_code=137,
                oom_killed=True,
                finished_wall=now.wall - 95,
            ),
            old=0.8,
        )
    )
    readings.append(
        reading(
            SERVICE + "execution_gateway",
            now,
            service("execution_gateway", now, health=Health.UNHEALTHY, restarts=2),
            old=0.8,
        )
    )
    readings.append(reading(SERVICE + "alert_worker", now, old=0.8))
    down = {
        ident: SourceHealth(
            ident, SOURCES[ident].title, False, _ago(now, 12), _ago(now, 12), 9, SafeText(why)
        )
        for ident, why in (("redis", "no answer in 0.5 s"), ("postgres", "connection refused"))
    }
    gates = tuple(
        Gate(
            gate.fact, gate.label, None, TradingState.UNKNOWN, SafeText("cannot be read: no answer in 0.5 s")
        )
        if gate.fact != "recon.complete"
        else gate
        for gate in board.trading.gates
    )
    return with_readings(
        board,
        *readings,
        sources={**board.sources, **down},
        trading=replace(
            board.trading,
            state=TradingState.UNKNOWN,
            because=SafeText("kill switch cannot be read: no answer in 0.5 s"),
            since=_ago(now, 11),
            as_of=_ago(now, 0.4),
            gates=gates,
        ),
        alarms=(
            alarm(
                "source:redis", now, Priority.CRITICAL, "Redis does not answer: no answer in 0.5 s", old=11
            ),
            alarm(SERVICE + "orchestrator", now, Priority.CRITICAL, "orchestrator exited 137 (OOM)", old=95),
            alarm(
                SERVICE + "execution_gateway", now, Priority.HIGH, "execution_gateway is unhealthy", old=240
            ),
            alarm("source:postgres", now, Priority.HIGH, "PostgreSQL does not answer: refused", old=12),
        ),
    )


def halted(now: Instant) -> Board:
    """The kill switch is engaged, by kim, for a reason."""
    board = fresh(now)
    gates = tuple(
        replace(gate, raw=SafeText("ENGAGED"), state=TradingState.HALTED, because=SafeText("reads ENGAGED"))
        if gate.fact == "kill.state"
        else gate
        for gate in board.trading.gates
    )
    return with_readings(
        board,
        reading("kill.state", now, SafeText("ENGAGED"), old=0.3),
        reading("kill.by", now, SafeText("kim"), old=0.3),
        reading("kill.reason", now, SafeText("emergency halt from the control room"), old=0.3),
        trading=replace(
            board.trading,
            state=TradingState.HALTED,
            because=SafeText("kill switch reads ENGAGED"),
            since=_ago(now, 64),
            gates=gates,
        ),
        alarms=(
            alarm("kill.state", now, Priority.CRITICAL, "Kill switch ENGAGED: trading is halted", old=64),
        ),
    )


def conflict(now: Instant) -> Board:
    """The key says halted, the service says running."""
    board = halted(now)
    return replace(
        board,
        seq=board.seq + 1,
        trading=replace(
            board.trading,
            state=TradingState.CONFLICT,
            because=SafeText("kill switch reads ENGAGED, but the orchestrator says ACTIVE"),
        ),
    )


def hostile(now: Instant) -> Board:
    """Text from outside that tries everything, in every place it can reach."""
    board = fresh(now)
    nasty = SafeText(HOSTILE)
    huge = SafeText("x" * 10_000)
    return with_readings(
        board,
        reading("kill.by", now, nasty, old=0.3),
        reading("kill.reason", now, huge, old=0.3),
        reading("breaker.trips", now, 10**30, old=0.3),
        reading("account.cash", now, outcome=Outcome.FAILED, error=nasty, old=0.3),
        reading(SERVICE + "redis", now, service("redis", now, name=HOSTILE, title=nasty), old=0.8),
        reading(SERVICE + "zz-stray", now, service("zz-stray", now, title=huge, is_expected=False), old=0.8),
        trading=replace(board.trading, because=nasty),
        alarms=(alarm("kill.by", now, Priority.HIGH, HOSTILE), alarm("x", now, Priority.LOW, "y" * 500)),
    )


def run(now: Instant, verdict: Verdict | None = None, *, states: tuple[StepState, ...] = ()) -> Run:
    """A run of the halt: under way without a verdict, ended with one."""
    states = states or (StepState.SENT, StepState.PENDING)
    sentences = {
        Verdict.VERIFIED: "HALTED: the kill switch reads ENGAGED on a second connection (rung 1).",
        Verdict.FAILED: "NOT STOPPED: Redis refused the connection and the orchestrator answered 500.",
        Verdict.WRITTEN: "HALTED, WRITTEN, NOT CONFIRMED. But Orchestrator could not be read: refused",
        Verdict.UNCONFIRMED: "Sent, but nothing could be read back within 1 s.",
    }
    steps = tuple(
        StepResult(
            step.id,
            step.title,
            state,
            Receipt(ReceiptKind.DONE, SafeText("ok")) if state is StepState.VERIFIED else None,
            SafeText("kill.state reads ENGAGED") if state is StepState.VERIFIED else None,
            0.041 if state is StepState.VERIFIED else None,
        )
        for step, state in zip(HALT.steps, states, strict=True)
    )
    return Run(
        operation="op-1",
        stack=STACK.id,
        procedure="halt",
        title=HALT.title,
        started=now,
        steps=steps,
        verdict=verdict,
        sentence=SafeText(sentences.get(verdict, "") if verdict else ""),
        ended=now if verdict else None,
        rung=1 if verdict is Verdict.VERIFIED else None,
    )


def _ago(now: Instant, seconds: float) -> Instant:
    return Instant(now.mono - seconds, now.wall - seconds)


SCENES = {
    "never": never,
    "fresh": fresh,
    "failed": failed,
    "halted": halted,
    "conflict": conflict,
    "hostile": hostile,
}
