"""The room's engine: one thread, one asyncio loop, and everything in ``backends`` wired together.

The screen and the command line are two readers of it. Nothing they do can block it, and nothing it
does waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from backends.model.board import Board
from backends.model.clock import Clock, SystemClock
from backends.model.intent import Identity, Intent
from backends.model.port import LogSource
from backends.model.procedure import Run
from backends.model.stack import Stack


class Mode(Enum):
    ARMED = "armed"
    WATCH = "watch"
    """Read-only: the code that writes is not even imported."""


class Engine:
    """Observes stacks and runs procedures until stopped. All public methods are safe from any thread."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        mode: Mode,
        state_dir: Path,
        operator: Identity,
        clock: Clock | None = None,
        follow_logs: bool = True,
    ) -> None:
        self._stacks = {stack.id: stack for stack in stacks}
        self.mode = mode
        self.operator = operator
        self._clock = clock or SystemClock()

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks observed, in configured order."""
        return tuple(self._stacks.values())

    def start(self) -> None:
        """Start the thread and return at once; boards start as all-NEVER."""
        raise NotImplementedError

    def stop(self, grace: float = 2.0) -> None:
        """Let running stop procedures end (at most ``grace`` seconds), close everything, join."""
        raise NotImplementedError

    def board(self, stack: str) -> Board:
        """The newest board of a stack. Never blocks."""
        raise NotImplementedError

    def logs(self, stack: str) -> LogSource:
        """The stack's merged log ring."""
        raise NotImplementedError

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` on the engine's thread after every change; returns the unsubscriber.

        ``wake`` must return at once (set a flag, ``call_soon_threadsafe``).
        """
        raise NotImplementedError

    def submit(self, intent: Intent) -> None:
        """Hand over an intent and return at once; its ``Run`` appears on the board.

        In watch mode the run is journalled as REFUSED and nothing else happens. A second intent for a
        procedure that is already running attaches to the first run and is journalled.
        """
        raise NotImplementedError

    def run(self, operation: str) -> Run | None:
        """The run of an intent, by its id."""
        raise NotImplementedError

    def record(self, event: str, stack: str, procedure: str, detail: str) -> None:
        """Journal something that is not a run: a dialog abandoned, a key refused in watch mode."""
        raise NotImplementedError

    def refresh(self, stack: str) -> None:
        """Poll every source of the stack now."""
        raise NotImplementedError
