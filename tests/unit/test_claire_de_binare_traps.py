"""What the room must not fall for in Claire de Binare: a trap of its contract each, by its number."""

from __future__ import annotations

from typing import Any

import pytest

from backends.model.action import Command, RedisUnit, RedisWrite
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.building import START, is_found, ok


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["claire-de-binare"])


def actions(stack: Stack) -> list[Any]:
    return [step.action for procedure in stack.procedures.values() for step in procedure.steps]


def commands(stack: Stack) -> list[tuple[str, ...]]:
    return [action.argv for action in actions(stack) if isinstance(action, Command)]


def test_whatever_goes_down_is_named_by_its_project_or_its_files(stack: Stack) -> None:
    """A2: a bare docker-compose down stops nothing, and says that it went well."""
    downs = [argv for argv in commands(stack) if "down" in argv]
    assert downs
    for argv in downs:
        assert {"-p", "--project-name", "-f", "--file"} & set(argv), argv


def test_no_program_of_upstream_is_run_that_does_another_thing_than_it_says(stack: Stack) -> None:
    """A5, A6: the doctor's -Fix deletes what runs, the rollback takes the stack down and reports success."""
    said = " ".join(part for argv in commands(stack) for part in argv)
    for never in ("stack_doctor", "stack_rollback", "clear_logs", "prune --all"):
        assert never not in said, never


def test_no_order_is_ever_published_from_here(stack: Stack) -> None:
    """A8: whoever publishes on the bus goes past risk and is really filled; the E2E suite does so."""
    writes = [action for action in actions(stack) if isinstance(action, RedisWrite)]
    writes += [write for action in actions(stack) if isinstance(action, RedisUnit) for write in action.writes]
    assert not [write for write in writes if write.op == "publish" or "orders" in write.key]
    said = " ".join(part for argv in commands(stack) for part in argv)
    for never in ("PUBLISH", "pytest", "E2E_RUN"):
        assert never not in said, never
    for text in (stack.diagnoses["no-result"].response, stack.checks["halt-exercised"].response):
        assert "Do not publish" in text


LONG_AGO, JUST_NOW = START.wall - 61.0, START.wall - 20.0


@pytest.mark.parametrize(
    ("is_open", "since", "filled", "is_it"),
    [
        (0, LONG_AGO, 1, True),
        (0, LONG_AGO, 0, False),
        (0, JUST_NOW, 1, False),  # it may have been on its way
        (1, LONG_AGO, 1, False),
    ],
)
def test_a_fill_while_risk_blocks_everything_is_of_somebody_else(
    stack: Stack, is_open: int, since: float, filled: int, is_it: bool
) -> None:
    """A8."""
    readings = [
        ok("allocation.open", is_open), ok("allocation.at", since), ok("execution.filled_now", filled),
    ]  # fmt: skip
    assert is_found(stack, "filled-past-risk", *readings) is is_it
