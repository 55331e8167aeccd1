"""The stack's procedures as rows: by class, what each does, when it was practised, what stands against it."""

from __future__ import annotations

from backends.journal.drills import DrillBook, Drilled
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Stack
from backends.model.substitution import names_in
from tui.presenters import words
from tui.presenters.block import block
from tui.presenters.checks import Checks, check
from tui.presenters.plan import RULES
from widgets.glyphs import is_ascii
from widgets.grid_layout import Column
from widgets.roles import Role
from widgets.row import AnyRow, Cell, Heading, Row
from widgets.span import Spans

OLD_DRILL = 31 * 86_400.0
"""Seconds after which a drill counts as too long ago."""


def columns() -> tuple[Column, ...]:
    """What it is, when it was practised, what stands against it; what it does where there is room."""
    return (
        Column("sign", NO_TEXT, 4 if is_ascii() else 1),
        Column("title", SafeText("PROCEDURE"), 46, least=30, flex=1),
        Column("drilled", SafeText("DRILLED"), 7),
        Column("against", SafeText("AGAINST IT NOW"), 40, least=26, flex=2),
        Column("summary", SafeText("WHAT IT DOES"), 70, least=50, drop=1, flex=1),
    )


def rows(stack: Stack, board: Board, now: Instant, drills: DrillBook) -> list[AnyRow]:
    """Under a heading for each class, in the order of their danger to trading; keyed by procedure id."""
    found: list[AnyRow] = []
    for risk in RiskClass:
        ours = [each for each in stack.procedures.values() if each.risk is risk]
        if ours:
            found.append(Heading(f"class:{risk.value}", SafeText(RULES[risk])))
            found += [_row(stack, each, board, now, drills.last(stack.id, each.id)) for each in ours]
    return found


def about(stack: Stack, procedure: Procedure, board: Board, now: Instant, width: int) -> list[Spans]:
    """The procedure under the cursor: what it does, what has to be chosen, all that stands against it."""
    lines = block("Effect", procedure.summary, width, "strong")
    if procedure.params:
        chosen = ", ".join(param.label for param in procedure.params)
        lines += block("To choose", f"{chosen}, before its dialog opens", width)
    for number, text in enumerate(_checks(stack, procedure, board, now).objections):
        lines += block("Against it" if number == 0 else "", text, width, "state-warn")
    return lines


def drilled_text(drilled: Drilled | None, now: Instant) -> SafeText:
    """For the edge of a dialog."""
    if drilled is None:
        return SafeText("never drilled here")
    took = "" if drilled.seconds is None else f" in {drilled.seconds:.1f} s"
    return SafeText(
        f"drilled {words.whole_age(max(0.0, now.wall - drilled.at))} ago, {drilled.verdict}{took}"
    )


def _row(stack: Stack, procedure: Procedure, board: Board, now: Instant, drilled: Drilled | None) -> Row:
    against, role = _against(stack, procedure, board, now)
    mark: Cell = Cell(SafeText(("[! ]" if is_ascii() else "▲") if role == "state-warn" else " "), role)
    return Row(
        procedure.id,
        (
            mark,
            Cell(SafeText(procedure.title), "strong"),
            _drill_cell(drilled, now),
            Cell(SafeText(against), role),
            Cell(SafeText(procedure.summary), "muted"),
        ),
    )


def _drill_cell(drilled: Drilled | None, now: Instant) -> Cell:
    if drilled is None:
        return Cell(SafeText("never"), "muted")
    old = max(0.0, now.wall - drilled.at)
    is_good = drilled.verdict in ("VERIFIED", "ALREADY")
    text = words.whole_age(old) if is_good else "FAILED"
    return Cell(SafeText(text), "text" if is_good and old <= OLD_DRILL else "state-warn")


def _against(stack: Stack, procedure: Procedure, board: Board, now: Instant) -> tuple[str, Role]:
    if procedure.risk is RiskClass.STOP:
        return "nothing: never kept back", "muted"
    failing = _checks(stack, procedure, board, now).failing
    if failing:
        more = f" (+{len(failing) - 1})" if len(failing) > 1 else ""
        first = failing[0].condition.because.partition(". ")[0].partition(": ")[0].rstrip(".")
        return f"{first}{more}", "state-warn"
    extra = "nothing now"
    if procedure.held_for > 0:
        extra += f"; must stay so for {procedure.held_for:.0f} s"
    return extra, "state-ok"


def _checks(stack: Stack, procedure: Procedure, board: Board, now: Instant) -> Checks:
    """Without the choices that are made later: what depends on them is judged in the dialog."""
    fixed = check(stack, procedure, {}, board, now, procedure.held_for)
    kept = tuple(
        each for each in fixed.weighed if not names_in((each.condition.fact, dict(each.condition.where)))
    )
    return Checks(kept, fixed.held, fixed.held_for)
