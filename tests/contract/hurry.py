"""Procedures that wait for no minute of halt: how long it must be is shown where time is simulated."""

from __future__ import annotations

from msgspec.structs import replace

from backends.model.condition import Condition
from backends.model.procedure import Procedure


def hurried(procedure: Procedure, held_for: float = 0.0) -> Procedure:
    """The same, however young the halt is, and when all was well for no more than ``held_for`` seconds."""
    requires = tuple(map(_at_once, procedure.requires))
    return replace(procedure, requires=requires, held_for=min(procedure.held_for, held_for))


def _at_once(condition: Condition) -> Condition:
    """Its time is still read, and need not be past for long."""
    return replace(
        condition,
        min_age=None if condition.min_age is None else 0.0,
        unchanged_for=None if condition.unchanged_for is None else 0.0,
    )
