"""A halt that was lost is ordered again: its key vanished, or an older state of the store came back.

Only a lost stop is put back. Whoever released the halt, here or by another tool that left its record in
the store, is not overruled: that is told by the latch, and a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from backends.journal.tail import NotYetError
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import GateSpec, Reassertion, Stack
from backends.model.trading import TradingState
from backends.procedures.resumes import Record, Resumes, is_held
from backends.procedures.rung import CONVERGE

EVERY: Final = 5.0
"""Seconds between two tries to put the same halt back."""

PENDING: Final = 30.0
"""Seconds a resume under way, here or in another room, has to be journalled as done."""

CATCH_UP: Final = 3.0
"""Seconds the ways of a young stop that are still being tried have to bring the gate to say the same, and
the board to show what was read since."""

SLACK: Final = 2.0
"""Seconds by which the clocks of those who halt and release may differ."""


class Wanted(Struct, frozen=True):
    """A halt to be ordered again."""

    procedure: str
    reason: str


class HaltKeeper:
    """Watches the gates of one stack that say how a lost halt is put back.

    ``see`` takes every board, in every kind of session. Only an armed one asks ``due`` and acts on it.
    """

    def __init__(self, stack: Stack, recent: Callable[[], Iterable[Record]]) -> None:
        resumes = Resumes(stack.id, recent)
        self._kept = [
            _Kept(gate, gate.reassert, stack.procedures.values(), resumes)
            for gate in stack.gates
            if gate.reassert is not None
        ]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was lost, until it is in force again and somebody has seen that."""
        return tuple(each.alarm for each in self._kept if each.alarm is not None)

    def see(self, board: Board, now: Instant) -> None:
        """Take in a board."""
        for each in self._kept:
            each.see(board, now)

    def due(self, board: Board, now: Instant) -> Iterator[Wanted]:
        """What must be ordered again now; each is given once in ``EVERY`` seconds."""
        ours = [run for run in board.runs if not run.is_dry and not run.room]
        running = {run.procedure for run in ours if run.verdict is None}
        for each in self._kept:
            if each.how.procedure not in running and each.take(now):
                yield Wanted(each.how.procedure, each.why)

    def acknowledge(self) -> None:
        """Somebody has seen it. What is still lost stays told."""
        for each in self._kept:
            each.acknowledge()


class _Kept:
    """One gate."""

    def __init__(
        self,
        gate: GateSpec,
        how: Reassertion,
        procedures: Collection[Procedure],
        resumes: Resumes,
    ) -> None:
        self.how = how
        self.alarm: Alarm | None = None
        self.why = ""
        self._gate = gate
        self._openers = frozenset(each.id for each in procedures if gate.is_opened_by(each))
        self._closers = frozenset(each.id for each in procedures if gate.is_closed_by(each))
        self._resumes = resumes
        self._closed: Instant | None = None
        """When it was last known closed, while nothing has released it."""
        self._stopped: Instant | None = None
        """When the newest stop was proved, by whatever way, of this room or another one of this host."""
        self._epoch: float | None = None
        """Since when it is closed, by the store: epoch seconds."""
        self._noticed: Instant | None = None
        """Since when it is not as it was; lost, once no resume can explain it."""
        self._lost: Instant | None = None
        self._asked = float("-inf")
        self._is_first = True

    def see(self, board: Board, now: Instant) -> None:
        gate = next((each for each in board.trading.gates if each.fact == self._gate.fact), None)
        reading = board.readings.get(self._gate.fact)
        self._take_in(board)
        if gate is None or reading is None or reading.age(now) > reading.stale_after:
            return
        is_missing = reading.outcome is Outcome.MISSING
        if self._is_first and (is_missing or gate.state is not TradingState.UNKNOWN):
            with suppress(NotYetError):
                left = self._resumes.left((self.how.procedure,), now, self._openers)[0]
                self._closed = self._closed or left
                self._is_first = False
        if is_missing:
            self._see_open(board, now, "its key is missing")
        elif gate.state is TradingState.HALTED:
            self._see_closed(board, now)
        elif gate.state is TradingState.TRADING:
            self._see_trading(board, now, f"it reads {gate.raw} and has no record of a release")

    def take(self, now: Instant) -> bool:
        """Whether it must be ordered now; the next time is ``EVERY`` seconds later."""
        if self._lost is None or now.mono - self._asked < EVERY:
            return False
        # Whatever is then read as closed is the halt that stands.
        self._asked, self._epoch = now.mono, None
        return True

    def acknowledge(self) -> None:
        if self._lost is None:
            self.alarm = None

    def _take_in(self, board: Board) -> None:
        """A proved stop closes the gate, though its own store may not have been heard since."""
        for run in board.runs:
            if run.ended is None or run.is_dry or run.procedure not in self._closers or not is_held(run):
                continue
            if self._stopped is None or run.ended.mono > self._stopped.mono:
                self._stopped = self._closed = run.ended
                self._epoch = self._noticed = None

    def _see_closed(self, board: Board, now: Instant) -> None:
        epoch = _time(board, self.how.since)
        if self._epoch is not None and epoch is not None and epoch < self._epoch - SLACK:
            self._lose(now, f"an older halt stands, of {_clock(epoch)}")
            return
        if self._lost is not None:
            self.alarm = _back(self._gate.label, self._lost, now)
        self._closed, self._epoch, self._noticed, self._lost = now, epoch, None, None

    def _see_trading(self, board: Board, now: Instant, what: str) -> None:
        released = _time(board, self.how.released)
        halted = self._epoch or (None if self._closed is None else self._closed.wall)
        if released is not None and halted is not None and released >= halted - SLACK:
            self._forget()
            return
        self._see_open(board, now, what)

    def _see_open(self, board: Board, now: Instant, what: str) -> None:
        if self._closed is None:
            return
        self._noticed = self._noticed or now
        explained, pending = self._resumes.explain(board, self._earliest(self._closed), self._openers)
        is_young = self._is_by_run and now.since(self._closed) < CONVERGE
        patience = PENDING if pending else CATCH_UP if is_young else 0.0
        if explained:
            self._forget()
        elif now.since(self._noticed) >= patience:
            self._lose(now, what)

    @property
    def _is_by_run(self) -> bool:
        """Whether a stop is the last that is known of it: the gate itself has not been seen closed since."""
        return self._closed is not None and self._closed is self._stopped

    def _earliest(self, closed: Instant) -> Instant:
        """No resume before this has anything to do with the halt that stood."""
        if self._is_by_run:
            return closed
        wall = closed.wall - PENDING
        if self._epoch is not None and self._epoch <= closed.wall:  # else a clock was set back since
            wall = max(wall, self._epoch)
        return Instant(closed.mono - (closed.wall - wall), wall)

    def _lose(self, now: Instant, what: str) -> None:
        self._lost = self._lost or now
        self.why = f"put back by the room: {self._gate.label} was halted, and {what}"
        self.alarm = _gone(self._gate.label, self._lost, what)

    def _forget(self) -> None:
        self._closed = self._epoch = self._noticed = self._lost = self.alarm = None


def _time(board: Board, fact: str) -> float | None:
    reading = board.readings.get(fact)
    if reading is None or reading.outcome is not Outcome.OK:
        return None
    return reading.value if isinstance(reading.value, float) else None


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%H:%M:%SZ")


def _gone(label: str, lost: Instant, what: str) -> Alarm:
    return Alarm(
        id="trading:halt-lost",
        priority=Priority.CRITICAL,
        title=SafeText(f"HALT LOST {_clock(lost.wall)}: {label}"),
        cause=SafeText(f"{what}: the store lost its data, or an older copy of it took over"),
        consequence=SafeText("a service that starts, or reads it now, takes trading for allowed"),
        response=SafeText("An armed room halts again by itself. Look whether it did; else halt by hand."),
        since=lost,
        subject="trading",
    )


def _back(label: str, lost: Instant, now: Instant) -> Alarm:
    return Alarm(
        id="trading:halt-lost",
        priority=Priority.CRITICAL,
        title=SafeText(f"Halt was lost {_clock(lost.wall)}, in force again {_clock(now.wall)}: {label}"),
        cause=SafeText("the store lost its data, or an older copy of it took over, while trading was halted"),
        consequence=SafeText("orders may have been accepted in between; what else was lost is not known"),
        response=SafeText("Look at the orders since then and at the store. Acknowledge when you know."),
        since=lost,
        subject="trading",
    )
