"""What the screen asks the engine for: exactly what the dialog showed, and no more than it may keep."""

from __future__ import annotations

import pytest

from backends.model.clock import Instant
from backends.model.intent import Identity, Intent
from tests.pilot import platform
from tui.actions import way_from_list
from tui.desk import Answers, Desk

NOW = Instant(1000.0, 1_790_000_000.0)
KIM = Identity("kim", 1000, "ops1")


def asked(name: str, values: dict[str, object] | None = None, **params: str) -> Intent:
    board = platform.board(NOW, {**platform.HALTED, **(values or {})})
    procedure = platform.STACK.procedures[name]
    answers = Answers("the cause was found", "3", "RESUME trading-platform")
    return Desk(KIM, lambda: "op-1").intent(platform.STACK, procedure, board, NOW, params, answers)


def test_a_restore_is_held_to_the_state_it_was_shown() -> None:
    intent = asked("resume")
    assert intent.shown == {"epoch": platform.HALTED["kill.epoch"]}
    assert asked("resume").plan == intent.plan
    assert asked("resume", {"kill.epoch": "2026-09-21T11:59:00.000000+00:00"}).plan != intent.plan


def test_what_is_repeated_is_held_to_the_rows_it_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asked("flatten-all").plan
    monkeypatch.setitem(platform.TABLES, "positions.list", (("symbol", "qty"), (("AAPL", "100"),)))
    assert asked("flatten-all").plan != before


def test_a_stop_is_held_to_nothing() -> None:
    assert asked("halt").plan is None
    assert asked("cancel-one", order="ac6b2161aedb5a17").plan is None


def test_a_plan_does_not_depend_on_a_secret_that_lives_a_minute() -> None:
    one, other = (asked("flatten-mfa", id_token=token) for token in ("aaaa.bbbb.cccc", "dddd.eeee.ffff"))
    assert one.params != other.params
    assert one.plan == other.plan
    assert asked("restart", service="redis").plan != asked("restart", service="postgres").plan


@pytest.mark.parametrize("title", [each.title for each in platform.STACK.procedures.values()])
def test_no_key_of_habit_confirms_what_is_opened_from_the_list(title: str) -> None:
    way = way_from_list(title)
    assert way.confirm.isalpha() and way.confirm not in "aydnxe"
    assert way.opener is None
