"""How seldom a config file may let a source be asked, and why."""

from __future__ import annotations

from typing import Final

from backends.model.board import SERVICE
from backends.stacks.schema import StackFile

Limit = tuple[float, str]
"""Seconds between polls, and why."""

LONGEST: Final[Limit] = (300.0, "the longest there is")

SAFETY: Final[Limit] = (5.0, "trading or a proof rests on it")
GATE: Final[Limit] = (2.0, "a gate of trading is read from it")
"""A halt that stands is read again at least so often."""


def limits_of(spec: StackFile) -> dict[str, Limit]:
    """How seldom what a gate, an echo, live evidence or a proof is read from may be asked, by source."""
    gates = {gate.fact for gate in spec.trading.gate}
    facts = {
        *(echo.fact for echo in spec.trading.echo),
        *(evidence.fact for evidence in spec.evidence),
        *(proof.fact for item in spec.procedure for step in item.step for proof in step.proof),
    }
    facts |= {row.fact for item in spec.procedure for row in item.require}
    watched = {fact.source for fact in spec.fact if fact.id in facts}
    watched |= {item.source for item in spec.service if SERVICE + item.name in facts}
    limits = dict.fromkeys(watched, SAFETY)
    halts = {fact.source for fact in spec.fact if fact.id in gates}
    return {**limits, **dict.fromkeys(halts, GATE)}
