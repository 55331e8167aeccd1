"""What the engine asks of a source of facts, services or logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from backends.model.fact import Fact, Finding
from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.service import Service
from backends.model.wakes import Wake


class FactReader(Protocol):
    """Observes one source. Owns its connections; every call is bounded in time and in bytes."""

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding for every fact asked, by fact id.

        Raises SourceError when the source as a whole did not answer. Never writes, never invents.
        """

    async def close(self) -> None: ...


class ServiceReader(Protocol):
    """Observes the services of one runtime."""

    async def services(self) -> Mapping[str, Service | None]:
        """Every expected service by its name in the stack file: None when the runtime answered that it
        does not exist. Unexpected ones of the same project come too, by their own name.

        Raises SourceError when the runtime did not answer.
        """

    async def clock(self) -> float:
        """The runtime's own time now, epoch seconds. Raises SourceError."""

    async def close(self) -> None: ...


class LogSource(Protocol):
    """A bounded, growing sequence of log rows that a pane draws from. Safe to read from any thread."""

    @property
    def first(self) -> int:
        """Ordinal of the oldest row still kept."""

    @property
    def end(self) -> int:
        """Ordinal after the newest row; ``end - first`` rows are kept."""

    def line(self, ordinal: int) -> LogLine | None:
        """The row, made safe to show when asked for; None when it is no longer kept."""

    def window(self, ordinal: int, count: int) -> list[LogLine]:
        """Up to ``count`` rows from ``ordinal`` on, oldest first."""

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """Call ``wake``, from any thread, after rows came; returns what ends that."""


class LogMatches(Protocol):
    """The rows of a ``LogSource`` that pass a filter, found little by little. For one thread at a time."""

    @property
    def ordinals(self) -> Sequence[int]:
        """Of the rows found, ascending: the same sequence each time, which grows at its end and loses what
        the log no longer keeps when ``advance`` looks.
        """

    @property
    def hidden(self) -> int:
        """Rows looked at and still kept that do not pass."""

    def advance(self, seconds: float) -> bool:
        """Look through the log for at most about ``seconds``; True when all of it has been seen."""


class LogSink(Protocol):
    """Where a follower puts the lines it read. A line or mark is bytes: 30 characters RFC 3339 with nine
    digits and ``Z``, a space, and the text as it came. Safe from any thread, made for one.
    """

    def source(self, service: str) -> int:
        """The number under which lines of this service are given; the same each time."""

    def append(self, source: int, lines: Sequence[bytes]) -> None:
        """Take lines of one service, in the order they were written."""

    def mark(
        self, source: int, marker: Marker, line: bytes, level: LogLevel = LogLevel.INFO, count: int = 0
    ) -> None:
        """Take a row that is not a line of the log, placed by its time like any other."""

    def settle(self) -> float:
        """Show what has waited long enough to be in order; to be called after each line or mark. Returns the
        seconds until more will have, when it is to be called again: infinity when nothing waits.
        """
