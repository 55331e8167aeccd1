"""Everything the room knows about one stack at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from backends.model.alarm import Alarm
from backends.model.clock import Instant
from backends.model.procedure import Run
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import Trading

SERVICE = "service:"
"""Prefix of the board key of a service's reading; its value is a ``Service``."""

CLOCK = "clock:"
"""Prefix before a source's id: the seconds by which its clock differs from this host's. Only looked at
when it is asked for; on no board.
"""


class SourceHealth(Struct, frozen=True):
    """How one source is doing."""

    id: str
    title: str
    is_up: bool | None
    """None until the first answer."""
    since: Instant
    """Since when it is up or down."""
    last_ok: Instant | None = None
    failures: int = 0
    """In a row."""
    error: SafeText | None = None
    retry_at: Instant | None = None


class Board(Struct, frozen=True):
    """Immutable. ``seq`` grows by one with every change, so two boards compare cheaply."""

    stack: str
    seq: int
    taken: Instant
    environment: Environment
    readings: Mapping[str, Reading[Any]]
    """Facts by id, services by ``service:<name>``."""
    sources: Mapping[str, SourceHealth]
    trading: Trading
    alarms: tuple[Alarm, ...] = ()
    """Active now, most urgent first, then oldest first."""
    trails: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Recent numbers for sparklines, oldest first, None for a gap; by board key (memory of services)."""
    runs: tuple[Run, ...] = ()
    """Procedures running or ended in this session, newest first."""

    def changed_since(self, other: Board) -> frozenset[str]:
        """Keys whose reading is not the same object's equal in ``other``."""
        return frozenset(
            key
            for key in self.readings.keys() | other.readings.keys()
            if self.readings.get(key) is not other.readings.get(key)
            and self.readings.get(key) != other.readings.get(key)
        )
