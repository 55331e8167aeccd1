"""``controlroom status``: every source asked once, everything known printed, nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backends.journal.drills import PRACTICE
from backends.model.alarm import Priority
from backends.model.board import SERVICE, Board
from backends.model.clock import Instant, SystemClock
from backends.model.fact import Fact
from backends.model.judge import judge
from backends.model.reading import Outcome, Reading
from backends.model.service import RunState, Service
from backends.model.stack import Stack
from backends.model.trading import TradingState
from tui.commands.exitcode import ExitCode
from tui.commands.grid import grid
from tui.commands.output import answer, document
from tui.commands.session import Session, choose, engine_of, wait_answered
from tui.commands.snapshot import SCHEMA, service_level, stack_data
from tui.presenters import words


def show(session: Session, wanted: str | None, *, as_json: bool, seconds: float) -> ExitCode:
    """Print the state. 0 only when every source answered, trading is known and nothing urgent is on."""
    config = session.config()
    stacks = choose(config, wanted)
    engine = engine_of(config, stacks, may_act=False)
    engine.start()
    try:
        wait_answered(engine, seconds)
        now = SystemClock().now()
        boards = [engine.board(stack.id) for stack in stacks]
    finally:
        engine.stop(grace=0.0)
    answer(_json(stacks, boards, now) if as_json else "\n".join(stacks_text(stacks, boards, now)))
    return max(exit_code(board) for board in boards)


def exit_code(board: Board) -> ExitCode:
    """What a script is told about one board."""
    if board.trading.state is TradingState.CONFLICT:
        return ExitCode.CONFLICT
    if board.trading.state is TradingState.UNKNOWN:
        return ExitCode.UNKNOWN
    is_deaf = any(not source.is_up for source in board.sources.values())
    # A drill that is overdue for days would hide from a script what has just begun.
    present = (alarm for alarm in board.alarms if alarm.subject != PRACTICE)
    is_urgent = any(alarm.priority in (Priority.CRITICAL, Priority.HIGH) for alarm in present)
    return ExitCode.PARTIAL if is_deaf or is_urgent else ExitCode.VERIFIED


def _json(stacks: Sequence[Stack], boards: Sequence[Board], now: Instant) -> str:
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "taken": now.iso(),
        "stacks": [stack_data(stack, board, now) for stack, board in zip(stacks, boards, strict=True)],
    }
    return document(data)


def stacks_text(stacks: Sequence[Stack], boards: Sequence[Board], now: Instant) -> Iterator[str]:
    """All of them for people, one after the other."""
    for stack, board in zip(stacks, boards, strict=True):
        yield from stack_text(stack, board, now)
    yield from overview(boards)


def overview(boards: Sequence[Board]) -> Iterator[str]:
    """A line for each of several stacks, to be printed last: it is the end that a terminal shows."""
    if len(boards) > 1:
        yield "All stacks"
        yield from grid(_stack_row(board) for board in boards)


def _stack_row(board: Board) -> list[str]:
    answering = sum(bool(source.is_up) for source in board.sources.values())
    worst = "no alarm" if answering == len(board.sources) else "no alarm, but not all is known"
    if board.alarms:
        worst = f"{board.alarms[0].priority.value.upper()} {board.alarms[0].title}"
        worst += f"  +{len(board.alarms) - 1}" if len(board.alarms) > 1 else ""
    sources = f"{answering}/{len(board.sources)} sources"
    return [board.stack, board.environment.value, board.trading.state.value, sources, worst]


def stack_text(stack: Stack, board: Board, now: Instant) -> Iterator[str]:
    """The same board for people, most important first."""
    trading = board.trading
    yield f"{stack.title}  [{board.environment.value}]  {now.iso()}"
    yield f"{trading.state.value}: {trading.because} ({words.age(now.since(trading.as_of))} old)"
    yield from grid(
        [gate.label, gate.state.value, str(gate.raw or "not read"), gate.because] for gate in trading.gates
    )
    if board.alarms:
        yield "Alarms"
        yield from grid(
            [alarm.priority.value.upper(), words.age(now.since(alarm.since)), str(alarm.title)]
            for alarm in board.alarms
        )
    yield "Sources"
    yield from grid(_source_row(stack, board, ident) for ident in stack.sources)
    yield "Services"
    keys = [SERVICE + spec.name for spec in stack.services]
    keys += sorted(key for key in board.readings if key.startswith(SERVICE) and key not in keys)
    required = {SERVICE + spec.name for spec in stack.services if spec.is_required}
    yield from grid(_service_row(key, board.readings.get(key), now, key in required) for key in keys)
    group = None
    rows: list[list[str]] = []
    for fact in (fact for fact in stack.facts.values() if fact.is_shown):
        if fact.group != group:
            yield from grid(rows)
            rows, group = [], fact.group
            yield group
        rows.append(_fact_row(fact, board.readings.get(fact.id), now))
    yield from grid(rows)


def _source_row(stack: Stack, board: Board, ident: str) -> list[str]:
    health = board.sources.get(ident)
    state = {None: "NO ANSWER YET", True: "ok", False: "DOWN"}[None if health is None else health.is_up]
    why = "" if health is None or health.error is None else str(health.error)
    return [ident, state, stack.sources[ident].url, why]


def _service_row(key: str, reading: Reading[Service] | None, now: Instant, is_required: bool) -> list[str]:
    level = words.level_word(service_level(reading, now, is_required=is_required))
    name = key.removeprefix(SERVICE)
    service = None if reading is None else reading.value
    if reading is None or service is None:
        is_absent = reading is not None and reading.outcome is Outcome.MISSING
        if is_absent and not is_required and words.is_current(reading, now):
            return [name, level, words.NOT_USED, ""]
        error = "" if reading is None or reading.error is None else str(reading.error)
        return [name, level, words.outcome(reading, now), error]
    restarts = "?" if service.restarts is None else str(service.restarts)
    memory = "" if service.usage.memory is None else f", memory {words.size(service.usage.memory)}"
    facts = f"{_since(service, now)}, restarts {restarts}{memory}"
    return [name, level, f"{service.state.value}, {service.health.value}", facts]


def _since(service: Service, now: Instant) -> str:
    """For how long it runs; of one that does not, how it ended."""
    if service.state is not RunState.RUNNING:
        return f"exit code {'?' if service.exit_code is None else service.exit_code}"
    up = words.NOTHING if service.started_wall is None else words.span(now.wall - service.started_wall)
    return f"up {up}"


def _fact_row(fact: Fact, reading: Reading[Any] | None, now: Instant) -> list[str]:
    good = None if reading is None else reading.kept(now)
    if reading is not None and reading.value is not None:
        shown = str(words.shown(fact, reading.value, now))
    elif good is not None:
        shown = f"was {words.shown(fact, good.value, now)} {words.age(now.since(good.at))} ago"
    elif reading is not None and reading.outcome is Outcome.MISSING:
        shown = fact.missing_note or "?"
    else:
        shown = "?"
    level = "UNKNOWN" if reading is None else words.level_word(judge(fact, reading, now))
    why = "" if reading is None or reading.error is None else str(reading.error)
    return [fact.label, shown, level, words.outcome(reading, now), why]
