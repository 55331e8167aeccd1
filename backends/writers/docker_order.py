"""What is ordered of a Docker Engine, and whether it went out."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to do to one container, and how long anybody waits for it."""

    verb: str
    names: tuple[str, ...]
    """The exact names the container may have, tried in order."""
    network: str
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    connect: float
    deadline: float


class Sending:
    """Whether the order went out. After ``give_up`` it never does. Safe from two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_sent = self._is_over = False

    def begin(self) -> bool:
        """To be called right before sending: whether it may still be sent."""
        with self._lock:
            self._is_sent = not self._is_over
            return self._is_sent

    def give_up(self) -> bool:
        """Whether it had been sent."""
        with self._lock:
            self._is_over = True
            return self._is_sent
