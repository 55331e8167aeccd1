"""Several stacks on one page: one line each, and every key means the line under the cursor."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.engine import Mode
from backends.model.alarm import Priority
from backends.model.clock import Instant
from backends.model.trading import TradingState
from tests.pilot import scenes, world
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene, make_room, opened
from tui.app import ControlRoom
from tui.screens.fleet import FleetScreen
from tui.screens.main import MainScreen


def fleet(mode: Mode = Mode.ARMED) -> ControlRoom:
    """One that trades, one that is halted with an alarm, one nobody has heard of yet."""
    app = make_room(mode=mode)
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    now = engine.clock.now()
    urgent = (world.alarm("loss", now, Priority.CRITICAL, "The daily loss limit is passed"),)
    boards = {
        "halted-desk": replace(scenes.halted(now), alarms=urgent),
        "silent-desk": world.never(now),
    }
    engine.stacks = (world.STACK, *(replace(world.STACK, id=name) for name in boards))
    engine.others = {name: replace(board, stack=name) for name, board in boards.items()}
    return app


def line(room: Scene, name: str) -> str:
    """The fleet's line of a stack, below the header."""
    return next(text for text in room.text().splitlines()[3:] if f" {name} " in text)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=str)
async def test_each_stack_has_a_line_with_what_decides(size: tuple[int, int]) -> None:
    async with opened(fleet(), size) as room:
        assert isinstance(room.app.screen, FleetScreen)
        assert "TRADING" in line(room, "trading-platform")
        halted = line(room, "halted-desk")
        assert "HALTED" in halted
        assert "CRIT" in halted
        silent = line(room, "silent-desk")
        assert "UNKNOWN" in silent
        assert "none" in silent
        assert "not known" in silent or size[0] == 80


async def test_the_keys_are_told_on_the_first_page_too_and_it_is_there_again_after_that() -> None:
    async with opened(fleet(), (80, 24)) as room:
        assert "? help" in room.text().splitlines()[-1]
        await room.press("question_mark")
        await room.settle()
        assert "Emergency, on every screen" in room.text()
        await room.press("escape")
        await room.settle()
        assert isinstance(room.app.screen, FleetScreen)


async def test_one_stack_is_not_called_stacks() -> None:
    async with opened(make_room(), (120, 40)) as room:
        await room.press("f")
        await room.settle()
        assert "1 stack: 1 trading" in room.text()


async def test_how_many_sources_answer_is_whole_beside_the_worst_alarm() -> None:
    async with opened(fleet(), (120, 40)) as room:
        words = " ".join(line(room, "halted-desk").split())
        assert "5/5 CRIT The daily loss limit is passed" in words


async def test_on_a_small_screen_the_worst_alarm_has_words_enough_to_be_told_from_others() -> None:
    async with opened(fleet(), (80, 24)) as room:
        assert "CRIT The daily loss l" in line(room, "halted-desk")


async def test_the_halted_line_says_for_how_long_at_least_and_ages_without_any_board() -> None:
    """A room that has just come knows no more of a halt than that it was there."""
    async with opened(fleet(), (120, 40)) as room:
        before = line(room, "halted-desk")
        assert " >" in before
        await room.pass_time(3600)
        after = line(room, "halted-desk")
        assert before != after
        assert "UNKNOWN" in line(room, "trading-platform")


async def test_what_is_known_of_a_stack_is_as_old_as_what_its_trading_state_rests_on() -> None:
    """Every stack has sources on this host, which go on answering when all others are dead."""
    app = fleet()
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    now = engine.clock.now()
    dead = world.fresh(now)
    ago = Instant(now.mono - 300.0, now.wall - 300.0)
    engine.others["silent-desk"] = replace(
        dead, stack="silent-desk", trading=replace(dead.trading, state=TradingState.UNKNOWN, as_of=ago)
    )
    async with opened(app, (120, 40)) as room:
        assert " 5m " in line(room, "silent-desk")


async def test_enter_goes_into_the_stack_under_the_cursor_and_f_comes_back() -> None:
    async with opened(fleet(), (120, 40)) as room:
        await room.press("down", "enter")
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        assert "halted-desk" in room.text()
        assert room.app.stack.id == "halted-desk"
        await room.press("f")
        await room.settle()
        assert isinstance(room.app.screen, FleetScreen)
        assert "halted-desk" in room.text().splitlines()[0]


async def test_the_halt_key_on_the_page_is_about_the_line_under_the_cursor() -> None:
    async with opened(fleet(), (120, 40)) as room:
        await room.press("down", "down")
        await room.open_dialog()
        await room.press("h")
        assert [intent.stack for intent in room.engine.submitted] == ["silent-desk"]


async def test_a_redraw_between_two_keys_does_not_move_the_cursor_back() -> None:
    async with opened(fleet(), (120, 40)) as room:
        await room.pilot.press("down")
        room.app.redraw()
        await room.settle()
        assert room.app.stack.id == "halted-desk"


async def test_q_on_the_page_leaves_the_room() -> None:
    async with opened(fleet(), (120, 40)) as room:
        await room.press("q")
        assert room.app.return_code == 0


async def test_in_watch_mode_the_page_is_there_and_the_halt_key_says_why_not() -> None:
    async with opened(fleet(Mode.WATCH), (120, 40)) as room:
        assert isinstance(room.app.screen, FleetScreen)
        await room.press("f9")
        await room.settle()
        assert room.engine.submitted == []
        assert "WATCH" in room.text()
