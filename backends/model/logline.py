"""One line of a log, or a marker where lines are missing."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from backends.model.safetext import SafeText


class LogLevel(Enum):
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """0 is the least urgent. A line whose level is not known counts like a warning."""
        return _RANK[self]


_RANK = {
    LogLevel.DEBUG: 0,
    LogLevel.INFO: 1,
    LogLevel.UNKNOWN: 2,
    LogLevel.WARNING: 2,
    LogLevel.ERROR: 3,
    LogLevel.CRITICAL: 4,
}


class Marker(Enum):
    """Why this row is not a line of the log."""

    GAP = "gap"
    """The stream broke and was resumed; lines may be missing."""
    DROP = "drop"
    """Lines were dropped here because they came faster than can be kept; ``count`` of them."""
    LATE = "late"
    """A line whose timestamp is older than lines already shown."""
    EVENT = "event"
    """The runtime's own event: started, died, restarted."""


class LogLine(Struct, frozen=True):
    """One row of the log pane."""

    ordinal: int
    """Place in the stream since start; never reused, so a gap in ordinals is a bug."""
    service: str
    at: float | None
    """Epoch seconds by the runtime's clock, None when unknown."""
    level: LogLevel
    text: SafeText
    marker: Marker | None = None
    count: int = 0


class LogFilter(Struct, frozen=True):
    """Which rows to show. Rows that say lines are missing (GAP, DROP) always are."""

    minimum: LogLevel | None = None
    """Lines at least as urgent as this; a line of unknown level counts like a warning."""
    text: str = ""
    """Lines that contain this, in any case; literal unless ``is_regex``."""
    is_regex: bool = False
    is_inverse: bool = False
    """Lines that do not contain the text; the minimum stays a minimum."""
    services: frozenset[str] = frozenset()
    """Lines of these services; empty for all."""
