"""How far a dialog of a procedure has come."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    QUESTION = "question"
    RUNNING = "running"
    PROVED = "proved"
    NOT_PROVED = "not proved"
    """Stays until the operator takes note."""
