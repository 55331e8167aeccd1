"""What is known before an action, with its age. For a stop it informs and never blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table
from backends.model.judge import judge
from backends.model.procedure import Procedure
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Stack


class Known(Struct, frozen=True):
    """One fact as it stood when the operator decided."""

    fact: str
    label: str
    text: SafeText
    """The value, or why there is none."""
    quality: Quality
    level: Level
    age: float | None
    """Seconds since it was received; None when it never was."""

    def as_record(self) -> Mapping[str, Any]:
        """For the journal."""
        age = None if self.age is None else round(self.age, 3)
        return {"fact": self.fact, "value": str(self.text), "quality": self.quality.value, "age": age}


def preflight(stack: Stack, procedure: Procedure, board: Board | None, now: Instant) -> tuple[Known, ...]:
    """The facts that prove the procedure, the stack's gates, and what its dialog shows; each once."""
    proofs = (proof.fact for step in procedure.steps for proof in step.proof)
    gates = (gate.fact for gate in stack.gates)
    wanted = dict.fromkeys((*proofs, *gates, *procedure.shows))
    readings = board.readings if board is not None else {}
    return tuple(_known(stack.facts[name], readings.get(name), now) for name in wanted if name in stack.facts)


def _known(fact: Fact, reading: Reading[Any] | None, now: Instant) -> Known:
    if reading is None or reading.outcome is Outcome.NEVER:
        return Known(fact.id, fact.label, SafeText("not read yet"), Quality.UNKNOWN, Level.UNKNOWN, None)
    return Known(
        fact.id, fact.label, _text(reading), reading.quality(now), judge(fact, reading, now), reading.age(now)
    )


def _text(reading: Reading[Any]) -> SafeText:
    if reading.outcome is Outcome.MISSING:
        return SafeText("missing")
    if reading.outcome is Outcome.FAILED:
        return SafeText(f"not readable: {reading.error}" if reading.error else "not readable")
    value = reading.value
    return SafeText(value.total if isinstance(value, Table) else value)
