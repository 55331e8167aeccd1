"""The halt as a latch: once trading was seen halted, it is on again only if a journalled resume says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from backends.model.alarm import Alarm, Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import RiskClass, Verdict
from backends.model.safetext import SafeText
from backends.model.trading import TradingState

ALARM: Final = "trading:resumed"

PENDING: Final = 30.0
"""Seconds a resume under way, here or in another room, has to be journalled as done."""

_DONE: Final = (Verdict.VERIFIED.value, Verdict.ALREADY.value)

Record = Mapping[str, Any]


class Latch:
    """Watches the boards of one stack. ``recent`` gives the newest records of the journal, oldest first."""

    def __init__(self, stack: str, recent: Callable[[], Iterable[Record]]) -> None:
        self._stack = stack
        self._recent = recent
        self._halted: Instant | None = None
        """When trading was last seen halted, while nothing has explained that it is on."""
        self._is_first = True
        self._alarm: Alarm | None = None

    @property
    def alarm(self) -> Alarm | None:
        """The alarm, until it is acknowledged or trading is halted again."""
        return self._alarm

    def acknowledge(self) -> None:
        """Somebody has seen it and takes the present state as it is."""
        self._alarm, self._halted = None, None

    def see(self, board: Board, now: Instant) -> None:
        """Take in a board. Reads the journal only when trading has come on."""
        state = board.trading.state
        if state is TradingState.HALTED:
            self._halted, self._is_first = now, False
            return
        if state is not TradingState.TRADING:
            return
        if self._is_first:
            self._is_first = False
            self._halted = self._left_halted(now)
        if self._halted is None or self._alarm is not None:
            return
        explained, pending = self._explanation(board, self._halted)
        if explained:
            self._halted = None
        elif not (pending and now.since(board.trading.since) < PENDING):
            self._alarm = _alarm(self._halted, now)

    def _explanation(self, board: Board, halted: Instant) -> tuple[bool, bool]:
        """Whether a resume explains it, and whether one is under way that may."""
        resumes = [run for run in board.runs if run.risk is RiskClass.RESTORE and not run.is_dry]
        here = [run for run in resumes if run.ended is None or run.ended.mono >= halted.mono - PENDING]
        if any(run.verdict is not None and run.verdict.value in _DONE for run in here):
            return True, False
        pending = {run.operation for run in here if run.verdict is None}
        for record in self._restores():
            if _wall(record) < halted.wall - PENDING:
                continue
            if record.get("kind") == "intent":
                pending.add(str(record.get("operation")))
            elif record.get("kind") in ("outcome", "refused"):
                pending.discard(str(record.get("operation")))
                if record.get("verdict") in _DONE:
                    return True, False
        return False, bool(pending)

    def _left_halted(self, now: Instant) -> Instant | None:
        """When a stop was proved that no resume has followed, by the journal; None if there is none."""
        halted: float | None = None
        for record in self._live():
            if record.get("kind") == "outcome" and record.get("verdict") in _DONE:
                if record.get("procedure") == "halt":
                    halted = _wall(record)
                elif record.get("class") == RiskClass.RESTORE.value:
                    halted = None
        return None if halted is None else Instant(now.mono - (now.wall - halted), halted)

    def _restores(self) -> Iterable[Record]:
        return (record for record in self._live() if record.get("class") == RiskClass.RESTORE.value)

    def _live(self) -> Iterable[Record]:
        try:
            records = list(self._recent())
        except OSError:
            # What cannot be read explains nothing.
            return ()
        return (r for r in records if r.get("stack") == self._stack and r.get("mode") == "live")


def _wall(record: Record) -> float:
    try:
        return datetime.fromisoformat(str(record.get("at"))).timestamp()
    except ValueError:
        return 0.0


def _alarm(halted: Instant, now: Instant) -> Alarm:
    return Alarm(
        id=ALARM,
        priority=Priority.CRITICAL,
        title=SafeText(f"UNEXPLAINED RESUME: trading is on, was halted at {halted.iso()}"),
        cause=SafeText("no journalled resume did it: another tool, a restart that lost the key, a person"),
        consequence=SafeText("orders are accepted although nobody here released the halt"),
        response=SafeText("Halt again now. Then find who or what resumed, before anything else."),
        since=now,
        subject="trading",
    )
