"""When a dialog listens to the confirm key, and for how long it stays open. Pure; no clock of its own."""

from __future__ import annotations

from backends.model.clock import Instant

DEAF_SECONDS = 0.25
"""From the moment the dialog can be seen: what was typed before, or by reflex, confirms nothing."""

IDLE_SECONDS = 30.0
"""Without a key; then the dialog closes and nothing was done."""


class Arming:
    """The two time limits that hold for every risk class.

    Key presses are judged by the time they were *read*, not handled: a key that waited in a queue while the
    screen was busy is still early. Idleness is counted on the room's clock.
    """

    def __init__(self, opened: Instant) -> None:
        self._seen_at: float | None = None
        self._last_key = opened

    @property
    def is_seen(self) -> bool:
        """Whether the dialog has been on the terminal."""
        return self._seen_at is not None

    def seen(self, stamp: float) -> None:
        """The dialog is on the terminal; ``stamp`` is on the clock of key events."""
        if self._seen_at is None:
            self._seen_at = stamp

    def hears(self, stamp: float) -> bool:
        """Whether a key read at ``stamp`` counts."""
        return self._seen_at is not None and stamp - self._seen_at >= DEAF_SECONDS

    def touched(self, now: Instant) -> None:
        """A key came: somebody is there."""
        self._last_key = now

    def left(self, now: Instant) -> float:
        """Seconds until it closes by itself; 0 when that is due."""
        return max(0.0, IDLE_SECONDS - now.since(self._last_key))
