"""Time, as the room sees it: an injected clock, so that every age can be tested."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct


class Instant(Struct, frozen=True, order=True):
    """One moment on both clocks. Ages come from ``mono``; ``wall`` is for people and records."""

    mono: float
    """Seconds of the room's monotonic clock; comparable within one process only."""

    wall: float
    """Seconds since the epoch, UTC; may step when the host's clock is set."""

    def since(self, earlier: Instant) -> float:
        """Seconds from ``earlier`` to here, by the monotonic clock."""
        return self.mono - earlier.mono

    def iso(self) -> str:
        """UTC, milliseconds, ``Z``: ``2026-11-21T03:04:05.678Z``."""
        at = datetime.fromtimestamp(self.wall, UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


EARLY: Final = 0.05
"""Seconds by which something may be done before its time, with what is done just now."""


def to_beat(now: Instant, period: float, lag: float = 0.0) -> float:
    """Seconds until what is done every ``period`` seconds is done next: ``lag`` after the multiples of the
    clock, so that all that falls due together is done together. To wake up costs more than most of what is
    then done.
    """
    return (math.floor((now.mono - lag + EARLY) / period) + 1) * period + lag - now.mono


class Clock(Protocol):
    """Whatever can say what time it is."""

    def now(self) -> Instant: ...


_MONOTONIC: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the host is suspended, as Python's own does not: what was read before is old by then."""


class SystemClock:
    """The host's clocks."""

    def now(self) -> Instant:
        return Instant(time.clock_gettime(_MONOTONIC), time.time())
