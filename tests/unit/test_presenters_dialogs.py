"""Every procedure of every stack can be asked about on the smallest screen: everything is said in the lines
there are, whatever is known."""

from __future__ import annotations

import pytest

from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass
from backends.model.stack import Stack
from backends.model.trading import TradingState
from backends.stacks.loader import built_in, load_stack
from tests.pilot import platform
from tui.presenters.checks import check
from tui.presenters.plan import Question, plan_lines
from widgets.span import Spans, wrap

NOW = Instant(1000.0, 1_790_000_000.0)

WIDTH, LINES = 77, 20
"""Cells and lines for text in a dialog at 80x24: less header, frame, and the line of keys."""

FORM = {RiskClass.MARKET: 3, RiskClass.DEGRADE: 2, RiskClass.RESTORE: 4}
"""Lines that are typed into, and one that says what is missing."""

LABELS = ("Class", "Effect", "State now", "Targets", "Steps", "Proof", "Know that", "Undo", "If it fails")

EVERY = [
    pytest.param(stack, procedure, id=f"{stack.id}-{procedure.id}")
    for stack in (load_stack(path) for path in built_in().values())
    for procedure in stack.procedures.values()
]


def lines(stack: Stack, procedure: Procedure, values: dict[str, object]) -> list[Spans]:
    board = platform.board(NOW, values, stack)
    params = {param.name: f"{param.name}-1" for param in procedure.params}
    checks = check(stack, procedure, params, board, NOW, 3.0)
    question = Question(stack, procedure, board, NOW, TradingState.TRADING, params, checks)
    height = LINES - FORM.get(procedure.risk, 0)
    return [part for line in plan_lines(question, WIDTH, height) for part in wrap(line, WIDTH)]


@pytest.mark.parametrize(("stack", "procedure"), EVERY)
@pytest.mark.parametrize("values", [platform.HALTED, platform.TRADING], ids=["halted", "trading"])
def test_everything_about_it_fits_on_the_smallest_screen(
    stack: Stack, procedure: Procedure, values: dict[str, object]
) -> None:
    made = lines(stack, procedure, values)
    told = "\n".join("".join(span.text for span in line) for line in made)
    assert len(made) <= LINES - FORM.get(procedure.risk, 0), told
    assert [label for label in LABELS if f" {label} " not in told] == [], told
    assert ("Beware" in told) is bool(procedure.warnings)
    assert ("Checks" in told) is bool(procedure.requires)
    shown = [number for number in range(1, len(procedure.steps) + 1) if f"{number}. " in told]
    # Of very many steps the last ones are a key away, and one sees that there are more.
    assert len(shown) == len(procedure.steps) or (len(shown) >= 5 and "…" in told), told


def test_every_step_of_the_trading_platform_is_said() -> None:
    for procedure in platform.STACK.procedures.values():
        told = "".join(s.text for each in lines(platform.STACK, procedure, platform.HALTED) for s in each)
        numbers = range(1, len(procedure.steps) + 1)
        assert [n for n in numbers if f"{n}. " not in told] == [], procedure.id
