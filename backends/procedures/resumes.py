"""What explains that a halt is over: resumes of this room, and those that another room journalled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from backends.journal.entry import boot_id, wall_of
from backends.journal.tail import NotYetError
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import RiskClass, Run, Verdict

DONE: Final = (Verdict.VERIFIED.value, Verdict.ALREADY.value)
HELD: Final = (*DONE, Verdict.WRITTEN.value)
"""Of a stop: its switch was read back, whether or not somebody who must obey it was heard."""

Record = Mapping[str, Any]


class Resumes:
    """Of one stack. ``recent`` gives the newest records of the journal, oldest first.

    What cannot be read explains nothing; what is still being read may hold anything.
    """

    def __init__(self, stack: str, recent: Callable[[], Iterable[Record]]) -> None:
        self._stack = stack
        self._recent = recent
        self._boot = boot_id()

    def explain(
        self, board: Board, earliest: Instant, of: Collection[str] | None = None
    ) -> tuple[bool, bool]:
        """Whether a resume since ``earliest`` explains it, and whether one is under way that may.

        ``of`` are the procedures that count; None for whatever restores anything.
        """
        here = [run for run in resumes(board) if run.ended is None or run.ended.mono >= earliest.mono]
        here = [run for run in here if of is None or run.procedure in of]
        if any(is_done(run) for run in here):
            return True, False
        pending = {run.operation for run in here if run.verdict is None}
        try:
            records = self._live()
        except NotYetError:
            return False, True
        for record in records:
            if record.get("class") != RiskClass.RESTORE.value:
                continue
            if self._when(record, board.taken).mono < earliest.mono:
                continue
            if of is not None and record.get("procedure") not in of:
                continue
            if record.get("kind") == "intent":
                pending.add(str(record.get("operation")))
            elif record.get("kind") in ("outcome", "refused"):
                pending.discard(str(record.get("operation")))
                if record.get("verdict") in DONE:
                    return True, False
        return False, bool(pending)

    def left(
        self, halts: Collection[str], now: Instant, of: Collection[str] | None = None
    ) -> tuple[Instant | None, Instant | None]:
        """By the journal, the halt that was proved and the one that was not, each with no resume since.

        One that was not counts from when it was ordered: a cut-off one gets its outcome from the next room
        that starts. Raises NotYetError.
        """
        proved: Instant | None = None
        failed: Instant | None = None
        open_since: dict[object, Instant] = {}
        """Of the operations no resume came after."""
        gone: set[object] = set()
        for record in self._live():
            operation = record.get("operation")
            if record.get("kind") == "intent":
                open_since[operation] = self._when(record, now)
            if record.get("kind") != "outcome":
                continue
            procedure, verdict = record.get("procedure"), record.get("verdict")
            if record.get("class") == RiskClass.RESTORE.value and verdict in DONE:
                if of is None or procedure in of:
                    proved = failed = None
                    gone |= open_since.keys()
            elif record.get("class") == RiskClass.STOP.value and procedure in halts:
                if verdict in HELD:
                    proved, failed = self._when(record, now), None
                elif operation not in gone:
                    failed = open_since.get(operation, self._when(record, now))
        return proved, failed

    def _when(self, record: Record, now: Instant) -> Instant:
        """When it was written; in this run of the host by the clock that nobody can set."""
        mono, wall = record.get("mono"), wall_of(record)
        if self._boot and record.get("boot") == self._boot and isinstance(mono, (int, float)):
            return Instant(float(mono), wall)
        return Instant(now.mono - (now.wall - wall), wall)

    def _live(self) -> Iterable[Record]:
        try:
            records = list(self._recent())
        except OSError:
            return ()
        return (r for r in records if r.get("stack") == self._stack and r.get("mode") == "live")


def number_of(record: Record) -> int:
    """Its place in the journal; 0 for what has none."""
    number = record.get("seq")
    return number if isinstance(number, int) else 0


def resumes(board: Board) -> Iterator[Run]:
    """Those of this room, real ones only."""
    return (run for run in board.runs if run.risk is RiskClass.RESTORE and not run.is_dry)


def is_done(run: Run) -> bool:
    """Whether its effect was read back."""
    return run.verdict is not None and run.verdict.value in DONE


def is_held(run: Run) -> bool:
    """Whether a stop's switch was read back."""
    return run.verdict is not None and run.verdict.value in HELD
