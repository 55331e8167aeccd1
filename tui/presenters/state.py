"""What a board means at this moment. A board ages while it lies there; these never trust it beyond that."""

from __future__ import annotations

from msgspec import Struct

from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Level
from backends.model.judge import judge, judge_service
from backends.model.procedure import Run, Verdict
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import ServiceSpec, Stack
from backends.model.trading import TradingState
from tui.presenters.words import is_current, whole_age

PROVED = (Verdict.VERIFIED, Verdict.ALREADY)
"""Verdicts that say the wanted state was read back."""


SILENT_AFTER = 5.0
"""Seconds without a new board after which the engine counts as silent; it makes one every second."""


class TradingNow(Struct, frozen=True):
    """The trading state as it can be claimed now."""

    state: TradingState
    because: SafeText
    age: float | None
    """Seconds since the oldest answer it rests on; None when there was none."""
    held: float
    """Seconds since the engine first concluded it; of the word before when that has gone stale."""


def trading_now(board: Board, now: Instant) -> TradingNow:
    """The engine's conclusion while the readings under it are current, else UNKNOWN with the last word.

    HALTED stands while one halted gate is current; TRADING only while every gate is.
    """
    said = board.trading
    readings = [board.readings.get(gate.key) for gate in said.gates]
    answered = [it for it in readings if it is not None and it.outcome is not Outcome.NEVER]
    oldest = max((it.age(now) for it in answered), default=None)
    held = max(0.0, now.since(said.since))
    if said.state is TradingState.HALTED:
        halted = [gate for gate in said.gates if gate.state is TradingState.HALTED]
        is_held_up = any(is_current(board.readings.get(gate.key), now) for gate in halted)
    elif said.state is TradingState.NO_HALT_PATH:
        is_held_up = True
    else:
        is_held_up = all(is_current(it, now) for it in readings)
    if is_held_up or said.state is TradingState.UNKNOWN:
        return TradingNow(said.state, said.because, oldest, held)
    old = "no answer yet" if oldest is None else f"last answer {whole_age(oldest)} ago"
    return TradingNow(TradingState.UNKNOWN, SafeText(f"{old}; it was {said.state.value}"), oldest, held)


def service_level(board: Board, name: str, spec: ServiceSpec | None, now: Instant) -> Level:
    """What a service's reading means: only a current answer can be good."""
    reading = board.readings.get(SERVICE + name)
    is_required = spec is None or spec.is_required
    if reading is None or not is_current(reading, now):
        return Level.UNKNOWN
    if reading.value is None:
        return Level.CRIT if is_required else Level.INFO
    return judge_service(reading.value, is_required=is_required)


def fact_level(stack: Stack, board: Board, ident: str, now: Instant) -> Level:
    """The level of a fact, UNKNOWN when it has no reading."""
    reading = board.readings.get(ident)
    return Level.UNKNOWN if reading is None else judge(stack.facts[ident], reading, now)


def engine_silence(board: Board, now: Instant) -> float | None:
    """Seconds since the last board when that is too long, else None: then no alarm is being raised."""
    age = now.since(board.taken)
    return age if age > SILENT_AFTER else None


def data_age(board: Board, now: Instant) -> float | None:
    """Seconds since any source last answered anything; None before the first answer."""
    answered = (Outcome.OK, Outcome.MISSING)
    newest = max((it.received.mono for it in board.readings.values() if it.outcome in answered), default=None)
    return None if newest is None else now.mono - newest


def urgent(board: Board) -> tuple[object, ...]:
    """What must be on the screen at once when it changes; the rest is drawn with the beat, as ages are."""
    trading = board.trading
    return (
        board.stack,
        board.environment,
        trading.state,
        tuple((gate.raw, gate.state) for gate in trading.gates),
        tuple((alarm.id, alarm.priority, alarm.title) for alarm in board.alarms),
        tuple(source.is_up for source in board.sources.values()),
        board.runs,
    )


def has_aged(board: Board, earlier: float, now: float) -> bool:
    """Whether what counted, or was still shown, at that time of the room is so no more, by its age alone."""
    return any(
        earlier <= until < now
        for reading in board.readings.values()
        for until in (reading.counts_until, reading.kept_until)
    )


def source_is_down(source: SourceHealth) -> bool:
    """Whether its last answer was none."""
    return source.is_up is False


def last_run(board: Board, procedure: str | None = None) -> Run | None:
    """The newest run, of that procedure when one is named."""
    return next((run for run in board.runs if procedure in (None, run.procedure)), None)


def is_proved(run: Run) -> bool:
    """Whether the run ended with the wanted state read back."""
    return run.verdict in PROVED


def is_held(run: Run) -> bool:
    """Whether it was read back at least where it is written: it counts as done, if not as proved."""
    return is_proved(run) or run.verdict is Verdict.WRITTEN
