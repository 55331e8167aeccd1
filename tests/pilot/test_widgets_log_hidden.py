"""The log while another pane has the whole screen: it rests, and has lost nothing when it is shown again."""

from __future__ import annotations

import asyncio

from backends.model.logline import LogLevel
from tests.pilot.rooms import make_room, opened
from tests.pilot.stage import Ring, Stage
from tests.pilot.test_app_stacks import inside, two_stacks
from tests.pilot.test_widgets_log_view import texts, view
from widgets.log_view import LogView


async def test_a_timer_of_its_own_brings_new_lines_and_rests_while_hidden() -> None:
    ring = Ring()
    app = Stage(LogView(ring, frames=50))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        ring.fill(1)
        async with asyncio.timeout(20):
            while texts(it)[0] != "line 0":
                await pilot.pause(0.02)
        it.display = False
        await pilot.pause()
        ring.fill(10)
        await pilot.pause(0.1)
        assert it.ordinals == (0,)
        it.display = True
        async with asyncio.timeout(20):
            while it.ordinals[-1:] != (10,):
                await pilot.pause(0.02)


async def test_the_look_for_the_first_line_rests_too() -> None:
    app = Stage(LogView(frames=4))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.display = False
        await pilot.pause()
        assert it._eager is not None and not it._eager._active.is_set()
        it.display = True
        await pilot.pause()
        assert it._eager._active.is_set()


async def test_what_was_taken_in_while_it_was_hidden_is_there_at_once() -> None:
    ring = Ring()
    ring.fill(3)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.display = False
        await pilot.pause()
        ring.fill(1)
        it.tick()
        it.display = True
        await pilot.pause()
        assert texts(it) == ["line 0", "line 1", "line 2", "line 3", ""]


async def test_a_filtered_log_that_was_hidden_does_not_say_that_no_line_matches() -> None:
    async with opened(make_room(), (120, 40)) as room:
        room.engine.logs("trading-platform").say("it failed", level=LogLevel.ERROR)
        await room.press("4", "slash", *"failed", "enter")
        await room.until(lambda: "it failed" in room.text())
        await room.press("1", "z")
        room.engine.logs("trading-platform").say("it goes on")
        room.app.room.log_pane._look()  # its timer's
        await room.press("z")
        assert "it failed" in room.text()
        assert "no line matches" not in room.text()


async def test_the_log_of_the_next_stack_is_there_when_it_was_hidden_as_that_was_chosen() -> None:
    async with inside(two_stacks()) as room:
        room.engine.logs("second-desk").say("order accepted")
        await room.press("1", "z", "right_square_bracket", "z")
        assert "order accepted" in room.text()
