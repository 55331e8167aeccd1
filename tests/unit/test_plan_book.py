"""Which plans a dry run has shown, beside other rooms that keep the same folder tidy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.procedures.dry_run import VALID, PlanBook
from tests.clock import FakeClock

PLAN, OLD = "a" * 64, "b" * 64


def test_a_plan_is_noted_although_another_room_removes_an_old_one_at_the_same_moment(
    tmp_path: Path, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = PlanBook(tmp_path, fake_clock)
    book.note(OLD)
    fake_clock.advance(11 * VALID)
    listed = Path.iterdir

    def and_removed(folder: Path) -> Iterator[Path]:
        for each in list(listed(folder)):
            if each.name.startswith(OLD):
                each.unlink()
            yield each

    monkeypatch.setattr(Path, "iterdir", and_removed)
    book.note(PLAN)
    assert book.objection(PLAN, ()) is None


def test_what_is_no_plan_keeps_none_from_being_noted(tmp_path: Path, fake_clock: FakeClock) -> None:
    (tmp_path / "kept").mkdir()
    os.utime(tmp_path / "kept", (0, 0))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    book = PlanBook(tmp_path, fake_clock)
    book.note(PLAN)
    assert book.objection(PLAN, ()) is None
    assert (tmp_path / "kept").is_dir()
