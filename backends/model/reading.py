"""A value, who said it, when, and how far it can be trusted now."""

from __future__ import annotations

import math
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from backends.model.clock import Instant
from backends.model.safetext import SafeText

T_co = TypeVar("T_co", covariant=True)


UNTOLD = "its secret is not configured here"
"""Why a source is known to refuse: nobody told the room what to prove itself with."""


class Outcome(Enum):
    """What the source said. The four are never merged."""

    OK = "ok"
    MISSING = "missing"
    """The source answered: there is no such thing."""
    FAILED = "failed"
    """The source did not answer, or what it said cannot be understood; ``error`` says why."""
    NEVER = "never"
    """Not asked yet in this session."""


class Quality(Enum):
    """What may be concluded from a reading now. Only FRESH may look healthy."""

    FRESH = "fresh"
    AGEING = "ageing"
    STALE = "stale"
    BAD = "bad"
    UNKNOWN = "unknown"

    rank: int
    """0 is best; a roll-up takes the highest rank of its inputs."""


for _rank, _quality in enumerate(
    (Quality.FRESH, Quality.AGEING, Quality.STALE, Quality.UNKNOWN, Quality.BAD)
):
    _quality.rank = _rank


def worst(qualities: list[Quality]) -> Quality:
    """The worst of the given qualities; UNKNOWN when there are none."""
    return max(qualities, key=lambda quality: quality.rank, default=Quality.UNKNOWN)


class Good(Struct, Generic[T_co], frozen=True):
    """The last value that was OK, kept when its source fails, always shown with its age."""

    value: T_co
    at: Instant
    """When the room received it."""


FUTURE_TOLERANCE = 1.0
"""Seconds a source's own timestamp may lie ahead of the room's clock before the reading is BAD."""

KEEP_LAST_GOOD = 300.0
"""Seconds a last good value may still be shown after its source was lost."""


class Reading(Struct, Generic[T_co], frozen=True):
    """One fact as last heard. ``value`` is there only when ``outcome`` is OK."""

    key: str
    """The fact's id in its stack file."""
    source: str
    """The source's id in the stack file."""
    outcome: Outcome
    received: Instant
    """When the room received this answer (or made this NEVER)."""
    period: float
    """Seconds between two polls of the source."""
    value: T_co | None = None
    observed_lag: float | None = None
    """Seconds between the source's own timestamp and ``received``; None when it gives none."""
    max_age: float | None = None
    """Seconds the source's own timestamp may be old; None when it gives none or any age will do."""
    error: SafeText | None = None
    last_good: Good[T_co] | None = None
    past_at_least: float | None = None
    """For a time: seconds it certainly lay back when this was received, by a clock that nobody can set. None
    where nobody keeps that: then the host's clock decides."""
    unchanged_at_least: float | None = None
    """Seconds for which it had certainly read so when this was received, and no stop was ordered. None where
    nobody watches that."""
    changed: Instant | None = None
    """When the answer (value or outcome) was first other than the one before; None for the first one."""

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.outcome is Outcome.OK):
            raise ValueError(f"{self.key}: a value goes with OK and only with OK")

    @property
    def stale_after(self) -> float:
        """Seconds after which an answer no longer counts."""
        return max(3 * self.period, 2.0)

    @property
    def counts_until(self) -> float:
        """The room's time after which an answer that counts no longer does, by its age alone."""
        until = self.received.mono + self.stale_after
        if self.observed_lag is None or self.max_age is None:
            return until
        return min(until, self.received.mono + self.max_age - self.observed_lag)

    def age(self, now: Instant) -> float:
        """Seconds since the room received this answer."""
        return now.since(self.received)

    def observed_age(self, now: Instant) -> float | None:
        """Seconds since the source's own timestamp, or None when it gives none."""
        return None if self.observed_lag is None else self.observed_lag + self.age(now)

    def quality(self, now: Instant) -> Quality:
        """How far this can be trusted at ``now``. FRESH only for an OK of this session."""
        if self.outcome is Outcome.NEVER:
            return Quality.UNKNOWN
        if self.outcome is not Outcome.OK:
            return Quality.BAD
        if self.observed_lag is not None and self.observed_lag < -FUTURE_TOLERANCE:
            return Quality.BAD
        age = self.age(now)
        if age < 0:
            return Quality.BAD
        if now.mono > self.counts_until:
            return Quality.STALE
        return Quality.AGEING if age > 1.5 * self.period + 0.5 else Quality.FRESH

    @property
    def kept_until(self) -> float:
        """The room's time after which the last good value is no longer shown; in the past without one."""
        return -math.inf if self.last_good is None else self.last_good.at.mono + KEEP_LAST_GOOD

    def kept(self, now: Instant) -> Good[T_co] | None:
        """The last good value while it may still be shown: five minutes after it was received."""
        return self.last_good if now.mono <= self.kept_until else None
