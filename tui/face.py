"""What the screen uses of the engine, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backends.checks.desk import CheckDesk
from backends.engine import Mode
from backends.model.board import Board
from backends.model.intent import Identity, Intent
from backends.model.logline import LogFilter
from backends.model.port import LogMatches, LogSource
from backends.model.stack import Stack
from backends.procedures.approval import ApprovalBook


class EngineFace(Protocol):
    """``backends.engine.Engine`` as the screen sees it; every call returns at once."""

    mode: Mode
    operator: Identity

    @property
    def stacks(self) -> tuple[Stack, ...]: ...

    def board(self, stack: str) -> Board: ...

    def logs(self, stack: str) -> LogSource: ...

    def filtered(self, stack: str, wanted: LogFilter) -> LogMatches: ...

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]: ...

    def submit(self, intent: Intent) -> None: ...

    def attest(self, stack: str, operation: str, step: str) -> None: ...

    def interrupt(self, stack: str, operation: str) -> None: ...

    def held(self, stack: str, procedure: str) -> float: ...

    def acknowledge_resume(self, stack: str) -> None: ...

    def approvals(self) -> ApprovalBook:
        """Its methods read and write files: call them in a thread."""

    def record(self, event: str, stack: str, procedure: str, detail: str) -> None: ...

    def checks(self, stack: str) -> CheckDesk: ...

    def refresh(self, stack: str) -> None: ...

    def stop(self, grace: float = 2.0) -> None: ...
