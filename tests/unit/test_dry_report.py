"""A dry run in print says what the dialog says, in the same words."""

from __future__ import annotations

from backends.model.clock import Instant
from backends.model.procedure import Run
from tests.pilot import scenes, world
from tui.commands.dry_report import PREFIX, DryReport

NOW = Instant(1000.0, 1_790_000_000.0)


def printed(scene: str = "fresh", *, lacks_reason: bool = False) -> list[str]:
    run = Run("op-1", world.STACK.id, "halt", world.HALT.title, NOW, ())
    board = scenes.SCENES[scene](NOW)
    report = DryReport(world.STACK, world.HALT, run, board, NOW, (), None, None, lacks_reason=lacks_reason)
    return [line.removeprefix(PREFIX).strip() for line in report.text().splitlines()]


def test_what_is_known_is_printed_with_its_unit_and_a_time_as_a_time() -> None:
    assert "open orders: 14, read 0.3s ago" in printed()
    assert "oldest open order: 14:00:46 (13m ago), read 0.3s ago" in printed()


def test_what_is_not_known_is_unknown_and_says_why() -> None:
    assert "open orders: UNKNOWN: FAILED 12s, connection refused; was 14 12s ago" in printed("failed")


def test_what_it_leaves_is_said_as_what_it_is() -> None:
    assert "Know that: Open orders stay." in printed()


def test_whoever_gave_no_reason_is_told_that_nobody_was_asked_for_want_of_it() -> None:
    said = "Second person: not asked, for they consent to the reason too."
    assert [line for line in printed(lacks_reason=True) if line.startswith(said)]
    assert "Second person" not in "".join(printed())
