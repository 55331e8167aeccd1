"""What is ordered of a Docker Engine, and whether it went out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct


class Patience(Struct, frozen=True):
    """How long anybody waits: seconds to connect, and for the answer."""

    connect: float
    deadline: float


class VerbOrder(Struct, frozen=True):
    """One thing to do to one container."""

    verb: str
    names: tuple[str, ...]
    """The exact names the container may have, tried in order."""
    network: str
    """As compose names it within the container's project, or the engine's own name."""
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    signal: str
    patience: Patience


class ExecOrder(Struct, frozen=True):
    """One program to run inside one container, without a terminal and without input."""

    names: tuple[str, ...]
    argv: tuple[str, ...]
    user: str
    output: Path | None
    """Where its standard output goes; None keeps the end of it for the receipt."""
    redact: Callable[[str], str]
    """Takes secrets out of what it prints."""
    patience: Patience


class CopyOrder(Struct, frozen=True):
    """What is at a path inside a container, into a file: a folder as a tar archive, a file as it is."""

    names: tuple[str, ...]
    path: str
    output: Path
    patience: Patience


class RemoveOrder(Struct, frozen=True):
    """One container that does not run, by its exact name. Its volumes stay."""

    name: str
    patience: Patience


class TagOrder(Struct, frozen=True):
    """A further tag for the image that a container was made from."""

    names: tuple[str, ...]
    tag: str
    patience: Patience


class PruneOrder(Struct, frozen=True):
    """All images with a label that no container was made from, but none with a tag to keep."""

    label: str
    keep: tuple[str, ...]
    """How tags begin that are kept."""
    patience: Patience


Order = VerbOrder | ExecOrder | CopyOrder | RemoveOrder | TagOrder | PruneOrder


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
