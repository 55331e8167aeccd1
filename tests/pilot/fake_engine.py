"""Stands for ``backends.engine.Engine``: boards are put in by hand, intents are kept instead of run.

It exists so that a screen can be brought into every state at will, with time standing still. That the real
engine behaves as these tests assume is shown by the terminal tests, which run the whole program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from backends.engine import Mode
from backends.model.board import Board
from backends.model.intent import Identity, Intent
from backends.model.logline import LogFilter, LogLevel, LogLine
from backends.model.procedure import Run
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.wakes import Wake, Wakes
from backends.procedures.approval import ApprovalBook
from tests.clock import FakeClock
from tests.pilot import world
from tests.pilot.fake_desk import FakeDesk


class FakeLogs:
    """A log ring that keeps everything."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self._wakes = Wakes()

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        return self._wakes.add(wake)

    @property
    def first(self) -> int:
        return 0

    @property
    def end(self) -> int:
        return len(self.lines)

    def line(self, ordinal: int) -> LogLine | None:
        return self.lines[ordinal] if 0 <= ordinal < len(self.lines) else None

    def window(self, ordinal: int, count: int) -> list[LogLine]:
        return self.lines[max(0, ordinal) : max(0, ordinal) + count]

    def say(self, text: str, service: str = "execution_gateway", level: LogLevel = LogLevel.INFO) -> None:
        at = 1_790_000_000.0 + len(self.lines)
        self.lines.append(LogLine(len(self.lines), service, at, level, SafeText(text)))
        for wake in self._wakes:
            wake()


class FakeMatches:
    """What passes a filter of text and level, found at once."""

    def __init__(self, logs: FakeLogs, wanted: LogFilter) -> None:
        self.ordinals: list[int] = []
        self._logs = logs
        self._wanted = wanted
        self._next = 0

    @property
    def hidden(self) -> int:
        return self._next - len(self.ordinals)

    def advance(self, seconds: float) -> bool:
        new = self._logs.lines[self._next :]
        self.ordinals += [row.ordinal for row in new if self._passes(row)]
        self._next += len(new)
        return True

    def _passes(self, row: LogLine) -> bool:
        wanted = self._wanted
        is_urgent = wanted.minimum is None or row.level.rank >= wanted.minimum.rank
        return is_urgent and (wanted.text.casefold() in row.text.casefold()) is not wanted.is_inverse


class FakeEngine:
    """The engine's public face over boards made by hand."""

    def __init__(
        self, board: Board, clock: FakeClock, mode: Mode = Mode.ARMED, stack: Stack = world.STACK
    ) -> None:
        self.mode = mode
        self.clock = clock
        # Whoever runs the tests is then the second person.
        self.operator = Identity("kim", os.getuid() + 1, "ops1", "pts/3")
        self.stacks: tuple[Stack, ...] = (stack,)
        self.submitted: list[Intent] = []
        self.recorded: list[tuple[str, str, str, str]] = []
        self.refreshed: list[str] = []
        self.attested: list[tuple[str, str]] = []
        self.interrupted: list[str] = []
        self.acknowledged: list[str] = []
        self.held_seconds = 0.0
        self.approval_folder = Path("approvals")
        self.stopped = False
        self.desk = FakeDesk(clock)
        self.others: dict[str, Board] = {}
        """Boards of further stacks, which a test adds to ``stacks`` as well."""
        self._board = board
        self._logs = FakeLogs()
        self._wakes = Wakes()

    def board(self, stack: str) -> Board:
        return self._board if stack == self._board.stack else self.others[stack]

    def logs(self, stack: str) -> FakeLogs:
        return self._logs

    def filtered(self, stack: str, wanted: LogFilter) -> FakeMatches:
        return FakeMatches(self._logs, wanted)

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        return self._wakes.add(wake)

    def checks(self, stack: str) -> FakeDesk:
        return self.desk

    def submit(self, intent: Intent) -> None:
        self.submitted.append(intent)

    def run(self, operation: str) -> Run | None:
        return next((run for run in self._board.runs if run.operation == operation), None)

    def attest(self, stack: str, operation: str, step: str) -> None:
        self.attested.append((operation, step))

    def interrupt(self, stack: str, operation: str) -> None:
        self.interrupted.append(operation)

    def held(self, stack: str, procedure: str) -> float:
        return self.held_seconds

    def acknowledge_resume(self, stack: str) -> None:
        self.acknowledged.append(stack)

    def approvals(self) -> ApprovalBook:
        return ApprovalBook(self.approval_folder, self.clock)

    def record(self, event: str, stack: str, procedure: str, detail: str) -> None:
        self.recorded.append((event, stack, procedure, detail))

    def refresh(self, stack: str) -> None:
        self.refreshed.append(stack)

    def stop(self, grace: float = 2.0) -> None:
        self.stopped = True

    def put(self, board: Board) -> None:
        """Make this the newest board and wake the screen, as the real engine does on its thread."""
        self._board = replace(board, seq=self._board.seq + 1)
        for wake in list(self._wakes):
            wake()

    def put_run(self, run: Run) -> None:
        """Show this run on the newest board, in place of the one with the same operation."""
        others = tuple(it for it in self._board.runs if it.operation != run.operation)
        self.put(replace(self._board, runs=(run, *others)))
