"""One line of a log, or a marker where lines are missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backends.model.safetext import SafeText


class LogLevel(Enum):
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"
    UNKNOWN = "unknown"


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


@dataclass(frozen=True, slots=True)
class LogLine:
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
