"""When to ask a source again: at its own cadence while it answers, less and less often while it does not.

This is every source's circuit breaker: from the first failure on, one probe at a time and a growing pause
behind it; the first answer closes it again. ``backends.board.poll`` asks in no other way.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST = 0.5
"""Seconds to wait after the first failure, doubled with each further one."""

LONGEST = 24.0
"""Seconds between two tries of a source that has been down for long, before they are spread."""


class Backoff:
    """Counts failures in a row of one source and says how long to wait. Owns no clock."""

    def __init__(self, every: float, jitter: Callable[[], float], longest: float = LONGEST) -> None:
        self._every = every
        self._longest = longest
        self._jitter = jitter
        """Returns a number in [0, 1)."""
        self.failures = 0

    def succeeded(self) -> float:
        """Seconds until the next poll."""
        self.failures = 0
        return self._every

    def failed(self) -> float:
        """Seconds until the next try: never sooner than the cadence, spread by up to a quarter."""
        self.failures += 1
        pause = min(FIRST * 2.0 ** min(self.failures - 1, 10), self._longest)
        return max(self._every, pause) * (1 + 0.25 * self._jitter())
