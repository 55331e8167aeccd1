"""Preconditions as they stand now: what keeps a procedure from starting, and since when the rest holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import Standing, Weighed, weigh
from backends.procedures.conditions import filled
from tui.presenters import words
from tui.presenters.block import block, flow
from tui.presenters.squeeze import Section
from widgets.roles import Role
from widgets.span import Span, Spans

_ROLES: Mapping[Standing, Role] = {
    Standing.HOLDS: "state-ok",
    Standing.FAILS: "state-bad",
    Standing.STALE: "stale",
    Standing.UNKNOWN: "state-unknown",
}

_WORDS = {
    Standing.HOLDS: "holds",
    Standing.FAILS: "AGAINST IT",
    Standing.STALE: "STALE",
    Standing.UNKNOWN: "UNKNOWN",
}


class Checks(Struct, frozen=True):
    """All preconditions of a procedure against one board."""

    weighed: tuple[Weighed, ...]
    held: float
    held_for: float
    """Seconds they must have held without a break; 0 where that is not asked."""

    @property
    def failing(self) -> tuple[Weighed, ...]:
        return tuple(each for each in self.weighed if not each.holds)

    @property
    def objections(self) -> list[str]:
        """What keeps it from starting, one sentence each, the shortest wait last."""
        found = [str(each.sentence) for each in self.failing]
        if not found and self.held < self.held_for:
            found.append(f"All must hold for {self.held_for:.0f} s: {_left(self)} to go")
        return found


NO_CHECKS: Final = Checks((), 0.0, 0.0)
"""For a procedure that demands nothing."""


def check(
    stack: Stack, procedure: Procedure, params: Mapping[str, str], board: Board, now: Instant, held: float
) -> Checks:
    """The preconditions against what the board has, as old as that is; ``held`` comes from the engine."""
    conditions = (filled(each, params) for each in procedure.requires)
    weighed = tuple(
        weigh(each, stack.facts.get(each.fact), board.readings.get(each.fact), now) for each in conditions
    )
    return Checks(weighed, held, procedure.held_for)


def summary(checks: Checks) -> tuple[str, Role]:
    """All of them in a line."""
    number, failing = len(checks.weighed), len(checks.failing)
    if failing:
        verb = "does" if failing == 1 else "do"
        return f"{failing} of {number} {verb} NOT hold; it would be refused", "state-bad"
    text = "1 of 1 holds" if number == 1 else f"{number} of {number} hold"
    if checks.held_for <= 0:
        return text, "state-ok"
    if checks.held < checks.held_for:
        return (
            f"{text}, for {checks.held:.0f} of {checks.held_for:.0f} s: {_left(checks)} to go",
            "state-warn",
        )
    return f"{text}, for {checks.held_for:.0f} s and more", "state-ok"


def check_sections(
    checks: Checks, stack: Stack, board: Board, now: Instant, width: int, *, is_dense: bool
) -> Iterator[Section]:
    """A line for the sum, one for each that fails, then those that hold: one line each, or packed."""
    if not checks.weighed:
        return
    text, role = summary(checks)
    yield Section(block("Checks", text, width, role), 2)
    failing = [line for each in checks.failing for line in _failing(each, board, now, width)]
    if failing:
        yield Section(failing, 5)
    holding = [each for each in checks.weighed if each.holds]
    if is_dense:
        items = [_item(each, stack, board, now) for each in holding]
        yield Section(flow("", items, width), 7, 0 if failing else min(1, len(items)))
        return
    for each in holding:
        name = _name(stack, each.condition.fact)
        yield Section(block("", f"{name} {each.text}, {_age(each, board, now)}", width, "muted"), 8)


def _failing(each: Weighed, board: Board, now: Instant, width: int) -> list[Spans]:
    wait = "" if each.lacks is None else f", {math.ceil(each.lacks)} s to go"
    text = f"{_WORDS[each.standing]}{wait}: {each.sentence}, {_age(each, board, now)}"
    return block("", text, width, _ROLES[each.standing])


def _item(each: Weighed, stack: Stack, board: Board, now: Instant) -> Spans:
    name = _name(stack, each.condition.fact)
    text = str(each.text).removeprefix("reads ")
    return (Span(SafeText(f"{name} {text} "), "text"), Span(SafeText(_age(each, board, now)), "muted"))


def _age(each: Weighed, board: Board, now: Instant) -> str:
    """How good the answer is that it rests on: ``<2s``, ``STALE 12s``, ``NEVER read``."""
    return words.outcome(board.readings.get(each.condition.fact), now)


def _left(checks: Checks) -> str:
    return f"{math.ceil(checks.held_for - checks.held)} s"


def _name(stack: Stack, fact: str) -> str:
    return stack.facts[fact].label if fact in stack.facts else fact.removeprefix(SERVICE)
