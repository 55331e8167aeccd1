"""The halt as a latch: what was halted, or ordered to be, is on again only by a journalled resume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from backends.journal.tail import NotYetError
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.figure import figure
from backends.model.procedure import Procedure, Run, Verdict
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.trading import TradingState
from backends.model.weigh import counted
from backends.procedures.resumes import DONE, Record, Resumes, is_done, resumes

ALARM: Final = "trading:resumed"
UNMET: Final = "trading:halt-not-in-force"
ACCEPTED: Final = "trading:orders-accepted"

PENDING: Final = 180.0
"""Seconds a resume under way, here or in another room, has to be journalled as done, from when trading is on:
its proof may be a health that a container says of itself every half minute."""

EARLIER: Final = 30.0
"""Seconds by which a resume may be journalled before trading was last seen halted."""

SLACK: Final = 2.0
"""Seconds after a halt was seen in which orders that were on their way are not held against it."""

JOURNAL_EVERY: Final = 2.0
"""Seconds between two looks into the journal while an alarm waits for what another room may record."""


class Latch:
    """Watches the boards of one stack. ``recent`` gives the newest records of the journal, oldest first.

    ``spec`` says which gates latch, which procedures close them, and what a halt must keep from growing.
    Where none latches and each is a trader of its own, only a halt that is not in force is told: one that
    goes on by itself is watched by ``TraderLatch``.
    """

    def __init__(self, stack: str, recent: Callable[[], Iterable[Record]], spec: Stack | None = None) -> None:
        self._resumes = Resumes(stack, recent)
        self._gates = {gate.fact for gate in spec.gates if gate.latches} if spec is not None else None
        self._is_of_traders = spec is not None and spec.is_several and not self._gates
        halts = (
            [] if spec is None else [each for each in spec.procedures.values() if halts_trading(each, spec)]
        )
        self._halts = {each.id for each in halts}
        self._halt = halts[0] if halts else None
        """The one whose commands and section of the runbook go with an alarm."""
        self._counts = [(each.quiet, _proved(each)) for each in halts if each.quiet is not None]
        self._on: Instant | None = None
        """When trading was first seen on after that halt."""
        self._halted: Instant | None = None
        """When trading was last seen halted, while nothing has explained that it is on."""
        self._ordered: Instant | None = None
        """The newest halt ordered that was neither read back nor released since."""
        self._met = float("-inf")
        """Halts ordered until then were read back, or released by a resume; by the monotonic clock."""
        self._since: Instant | None = None
        """Since when the halt that stands has been seen."""
        self._count: float | None = None
        self._accepted = 0.0
        self._asked = float("-inf")
        self._is_first = True
        self._alarm: Alarm | None = None

    @property
    def alarm(self) -> Alarm | None:
        """What must be known about the halt now; the gravest, if anything."""
        return self._alarm

    def acknowledge(self) -> None:
        """Somebody has seen that trading was resumed and takes it so. A halt not in force stays told."""
        if self._alarm is not None and self._alarm.id == ALARM:
            self._alarm, self._halted = None, None

    def see(self, board: Board, now: Instant) -> None:
        """Take in a board. Reads the journal only at first and when something must be explained."""
        state = self._state(board)
        if state is not TradingState.UNKNOWN and self._is_first:
            self._remember(state, now)
        if state is TradingState.HALTED:
            self._halted, self._ordered, self._met, self._on = now, None, now.mono, None
            self._see_halted(board, now)
            return
        if state is TradingState.TRADING:
            self._on = self._on or now
            self._since, self._count, self._accepted = None, None, 0.0
        self._see_unmet(board, state, now)
        if self._ordered is not None:
            self._raise(self._about(_unmet(self._ordered, state, self._halt, now)))
        elif state is TradingState.TRADING:
            self._see_trading(board, now)
        elif self._alarm is not None and self._alarm.id == UNMET:
            self._alarm = None

    def _remember(self, state: TradingState, now: Instant) -> None:
        """What former rooms left behind, once the journal can be read."""
        try:
            if state is TradingState.TRADING:
                self._halted, self._ordered = self._resumes.left(self._halts, now)
        except NotYetError:
            return
        self._is_first = False

    def _state(self, board: Board) -> TradingState:
        """By the gates that latch alone, if any: one that opens by itself says nothing about a resume."""
        trading = board.trading
        if self._gates is None or self._is_of_traders or trading.state is TradingState.CONFLICT:
            return _plain(trading.state)
        states = {gate.state for gate in trading.gates if gate.fact in self._gates}
        if TradingState.HALTED in states:
            return TradingState.HALTED
        return TradingState.TRADING if states == {TradingState.TRADING} else TradingState.UNKNOWN

    def _see_halted(self, board: Board, now: Instant) -> None:
        """While halted: whether what must not grow does."""
        self._since = self._since or now
        for fact, proofs in self._counts:
            closed = {g.fact for g in board.trading.gates if g.state is TradingState.HALTED}
            reading = board.readings.get(fact)
            if not proofs & closed or reading is None or reading.outcome is not Outcome.OK:
                continue
            count = counted(reading.value, {})[0]
            if count is None or reading.received.since(self._since) < SLACK:
                continue
            if self._count is not None and count > self._count:
                self._accepted += count - self._count
            self._count = count
        accepted = self._accepted
        self._alarm = self._about(_accepted(accepted, self._since, self._alarm)) if accepted else None

    def _see_unmet(self, board: Board, state: TradingState, now: Instant) -> None:
        """Whether a halt that was ordered is not in force; it is forgotten only for a reason."""
        ordered = [run.started for run in board.runs if self._is_unmet(run, board, state)]
        newest = max(ordered, key=lambda at: at.mono, default=None)
        if newest is not None and (self._ordered is None or newest.mono > self._ordered.mono):
            self._ordered, self._asked = newest, float("-inf")
        if self._ordered is None:
            return
        released = any(run.started.mono > self._ordered.mono for run in resumes(board) if is_done(run))
        if not released and now.mono - self._asked >= JOURNAL_EVERY:
            self._asked = now.mono
            released = self._resumes.explain(board, self._ordered)[0]
        if released:
            self._met, self._ordered, self._halted = self._ordered.mono, None, None
            self._alarm = None

    def _is_unmet(self, run: Run, board: Board, state: TradingState) -> bool:
        if run.procedure not in self._halts or run.is_dry or run.started.mono <= self._met:
            return False
        if run.verdict is None or run.verdict is Verdict.REFUSED:
            return False
        if run.verdict.value not in DONE:
            return True
        # It was proved; the board says otherwise only by what it has read since.
        read = [board.readings[fact].received.mono for fact in self._gates or () if fact in board.readings]
        ended = (run.ended or run.started).mono
        return state is TradingState.TRADING and bool(read) and min(read) > ended

    def _see_trading(self, board: Board, now: Instant) -> None:
        if self._alarm is not None and self._alarm.id == ACCEPTED:
            self._alarm = None
        if self._halted is None or self._alarm is not None or self._is_of_traders:
            return
        earliest = Instant(self._halted.mono - EARLIER, self._halted.wall - EARLIER)
        explained, pending = self._resumes.explain(board, earliest)
        if explained:
            self._halted = None
        elif not (pending and self._on is not None and now.since(self._on) < PENDING):
            self._alarm = self._about(_resumed(self._halted, now))

    def _about(self, alarm: Alarm) -> Alarm:
        """With the section of the runbook that deals with halting."""
        return alarm if self._halt is None else replace(alarm, section=self._halt.section)

    def _raise(self, alarm: Alarm) -> None:
        if self._alarm is None or (self._alarm.id, self._alarm.title) != (alarm.id, alarm.title):
            self._alarm = alarm


def halts_trading(procedure: Procedure, stack: Stack) -> bool:
    """Whether it is how the stack is halted, or a stop proved by a gate which latches and reads closed."""
    return procedure.id == stack.halt_path or any(
        gate.latches and gate.is_closed_by(procedure) for gate in stack.gates
    )


def _proved(procedure: Procedure) -> frozenset[str]:
    return frozenset(proof.fact for step in procedure.steps for proof in step.proof)


def _plain(state: TradingState) -> TradingState:
    return state if state in (TradingState.HALTED, TradingState.TRADING) else TradingState.UNKNOWN


def _clock(at: Instant) -> str:
    return datetime.fromtimestamp(at.wall, UTC).strftime("%H:%M:%SZ")


def _resumed(halted: Instant, now: Instant) -> Alarm:
    return Alarm(
        id=ALARM,
        priority=Priority.CRITICAL,
        title=SafeText(f"UNEXPLAINED RESUME: halted until {_clock(halted)}, trading now"),
        cause=SafeText("no journalled resume did it: another tool, a restart that lost the key, a person"),
        consequence=SafeText("orders are accepted although nobody here released the halt"),
        response=SafeText("Halt again now. Then find who or what resumed, before anything else."),
        since=now,
        subject="trading",
    )


def _unmet(ordered: Instant, state: TradingState, halt: Procedure | None, now: Instant) -> Alarm:
    commands = " ".join(halt.fallback.split()).removeprefix("By hand: ") if halt is not None else ""
    by_hand = f" By hand: {commands}" if commands else ""
    word = "NOT in force" if state is TradingState.TRADING else "NOT CONFIRMED"
    return Alarm(
        id=UNMET,
        priority=Priority.CRITICAL,
        title=SafeText(f"Halt ordered {_clock(ordered)} is {word}"),
        cause=SafeText("the halt did not reach its switch, or was undone at once"),
        consequence=SafeText("orders may be accepted although somebody here ordered a halt"),
        response=SafeText(
            f"Halt again, or by hand. It stays told until a halt is read back or a resume done.{by_hand}"
        ),
        since=now,
        subject="trading",
    )


def _accepted(number: float, halted: Instant, before: Alarm | None) -> Alarm:
    return Alarm(
        id=ACCEPTED,
        priority=Priority.CRITICAL,
        title=SafeText(f"Orders accepted since the halt: {figure(number)}"),
        cause=SafeText(f"the switch has read halted since {_clock(halted)}, and not every service obeys it"),
        consequence=SafeText("trading goes on although it looks halted"),
        response=SafeText("Stop the services that place orders by hand, now; see the halt's own commands."),
        since=before.since if before is not None and before.id == ACCEPTED else halted,
        subject="trading",
    )
