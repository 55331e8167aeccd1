"""A clock that moves only when a test moves it."""

from __future__ import annotations

from backends.model.clock import Instant


class FakeClock:
    """Both clocks of an ``Instant``, advanced by hand."""

    def __init__(self, mono: float = 1000.0, wall: float = 1_790_000_000.0) -> None:
        self._now = Instant(mono, wall)

    def now(self) -> Instant:
        return self._now

    def advance(self, seconds: float) -> Instant:
        """Let ``seconds`` pass on both clocks."""
        self._now = Instant(self._now.mono + seconds, self._now.wall + seconds)
        return self._now

    def step_wall(self, seconds: float) -> Instant:
        """Set the host's clock: only the wall clock moves."""
        self._now = Instant(self._now.mono, self._now.wall + seconds)
        return self._now
