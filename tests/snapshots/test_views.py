"""How the page of all stacks, the checks and the runbook look."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.engine import Mode
from backends.model.examination import Answer
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.test_app_checks import BOOK, checked
from tests.pilot.test_app_fleet import fleet
from tests.snapshots.test_screens import Compare, after

SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")


@SIZES
def test_all_stacks(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(fleet(), terminal_size=size, run_before=after("down"))


def test_all_stacks_on_the_wall(snap_compare: Compare) -> None:
    assert snap_compare(fleet(Mode.WATCH), terminal_size=(120, 40), run_before=after())


@SIZES
def test_checks_with_a_list_open(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = checked()
    assert isinstance(app.engine, FakeEngine)
    app.engine.desk.answers |= {"check:orders-few": Answer.NO, "diagnosis:script": Answer.UNKNOWN}
    keys = ("k", "a", "enter", "down", "down", "A", "A")
    assert snap_compare(app, terminal_size=size, run_before=after(*keys))


def test_one_check_in_full(snap_compare: Compare) -> None:
    app = checked()
    assert isinstance(app.engine, FakeEngine)
    app.engine.desk.answers["check:kill-active"] = Answer.NO
    assert snap_compare(app, terminal_size=(120, 40), run_before=after("k", "down", "enter"))


@SIZES
def test_the_runbook_at_a_heading(snap_compare: Compare, size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "runbook.md").write_text(BOOK)
    app = checked(book=tmp_path / "runbook.md")
    assert snap_compare(app, terminal_size=size, run_before=after("o", "n"))
