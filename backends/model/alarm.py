"""An abnormal condition that needs an operator."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from backends.model.clock import Instant
from backends.model.safetext import SafeText


class Priority(Enum):
    CRITICAL = "critical"
    HIGH = "high"
    LOW = "low"

    rank: int
    """0 is the most urgent."""


for _rank, _priority in enumerate(Priority):
    _priority.rank = _rank


class Alarm(Struct, frozen=True):
    """One active alarm. Identity is ``id``: the same condition seen again is the same alarm."""

    id: str
    priority: Priority
    title: SafeText
    """What is wrong, in one short line with the value."""
    cause: SafeText
    consequence: SafeText
    response: SafeText
    since: Instant
    subject: str
    """The board key it is about: a fact id, ``service:<name>`` or ``source:<id>``."""
    section: str | None = None
    """The heading of the stack's ``runbook.md`` that deals with it."""
