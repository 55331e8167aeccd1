"""The log while another pane has the whole screen: it rests, and has lost nothing when it is shown again."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from backends.model.logline import LogFilter, LogLevel
from tests.pilot.fake_engine import FakeLogs, FakeMatches
from tests.pilot.rooms import make_room, opened
from tests.pilot.stage import Ring, Stage
from tests.pilot.test_app_stacks import inside, two_stacks
from tests.pilot.test_widgets_log_view import texts, view
from tui.screens.logs import LogPane
from widgets.log_view import LogView


async def test_new_lines_come_by_themselves_at_once_then_four_times_a_second_and_all_of_them() -> None:
    ring = Ring()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)
    async with app.run_test(size=(100, 7)) as pilot:
        looks = []
        pane.watch_source(ring, lambda _: FakeMatches(FakeLogs(), LogFilter()))
        pane.view.tick = lambda: looks.append(ring.end)  # type: ignore[method-assign]  # it is called, and only noted
        for _ in range(100):
            ring.fill(1)
            await pilot.pause()
        async with asyncio.timeout(20):
            while looks[-1:] != [100]:
                await pilot.pause(0.02)
        assert looks[0] == 1
        assert len(looks) < 50
        seen = len(looks)
        await pilot.pause(0.6)
        assert len(looks) == seen, "it looks although nothing came"


async def test_a_flood_is_painted_half_as_often_until_it_is_over() -> None:
    ring = Ring()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)
    async with app.run_test(size=(100, 7)) as pilot:
        pane.watch_source(ring, lambda _: FakeMatches(FakeLogs(), LogFilter()))
        bridge = pane._bridge
        assert bridge is not None
        calm = bridge.period
        ring.fill(5)
        await pilot.pause()
        async with asyncio.timeout(20):
            while bridge.period == calm:
                ring.fill(100)
                await pilot.pause(0.02)
        assert bridge.period == 2 * calm
        async with asyncio.timeout(20):
            while pane.view.ordinals[-1:] != (ring.end - 1,):
                await pilot.pause(0.02)
        ring.fill(1)
        async with asyncio.timeout(20):
            while pane.view.ordinals[-1:] != (ring.end - 1,):
                await pilot.pause(0.02)
        assert bridge.period == calm


async def test_a_log_that_cannot_be_shown_ends_the_room_and_is_not_passed_over() -> None:
    ring = Ring()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)

    def fail() -> None:
        raise RuntimeError("a row that cannot be made")

    with pytest.raises(RuntimeError, match="cannot be made"):
        async with app.run_test(size=(100, 7)) as pilot:
            pane.watch_source(ring, lambda _: FakeMatches(FakeLogs(), LogFilter()))
            pane.view.tick = fail  # type: ignore[method-assign]  # stands for a fault of ours
            ring.fill(1)
            async with asyncio.timeout(20):
                while app.is_running:
                    await pilot.pause(0.02)


async def test_a_line_that_the_filter_hides_is_counted_and_causes_no_look() -> None:
    logs = FakeLogs()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)
    async with app.run_test(size=(100, 7)) as pilot:
        pane.watch_source(logs, partial(FakeMatches, logs))
        for _ in range(3):
            pane.next_floor()
        looks: list[int] = []
        tick = pane.view.tick

        def noted() -> None:
            looks.append(logs.end)
            tick()

        pane.view.tick = noted  # type: ignore[method-assign]  # does what it did, and it is noted
        bridge, matches = pane._bridge, pane._matches
        assert bridge is not None
        assert matches is not None
        calm, bridge.period = bridge.period, 2 * bridge.period
        for number in range(20):
            logs.say(f"all is well {number}")
        async with asyncio.timeout(20):
            while matches.hidden != 20:
                await pilot.pause(0.02)
        assert looks == []
        assert bridge.period == calm, "nobody has to read what is hidden"
        logs.say("it failed", level=LogLevel.ERROR)
        async with asyncio.timeout(20):
            while "it failed" not in texts(pane.view)[0]:
                await pilot.pause(0.02)
        assert looks == [21]


async def test_a_log_that_cannot_be_looked_through_ends_the_room() -> None:
    logs = FakeLogs()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)

    def fail(seconds: float) -> bool:
        raise RuntimeError("a line that cannot be read")

    with pytest.raises(RuntimeError, match="cannot be read"):
        async with app.run_test(size=(100, 7)) as pilot:
            matches = FakeMatches(logs, LogFilter(minimum=LogLevel.ERROR))
            pane.watch_source(logs, lambda _: matches)
            for _ in range(3):
                pane.next_floor()
            matches.advance = fail  # type: ignore[method-assign]  # stands for a fault of ours
            logs.say("it failed", level=LogLevel.ERROR)
            async with asyncio.timeout(20):
                while app.is_running:
                    await pilot.pause(0.02)


async def test_a_pane_that_shows_another_log_or_none_any_more_is_told_nothing_of_the_first() -> None:
    first, second = Ring(), Ring()
    pane = LogPane(is_live=True, id="pane")
    app = Stage(pane)
    async with app.run_test(size=(100, 7)):
        for ring in (first, second):
            pane.watch_source(ring, lambda _: FakeMatches(FakeLogs(), LogFilter()))
        assert not list(first.wakes)
        assert list(second.wakes)
        await pane.remove()
        assert not list(second.wakes)


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
        room.app.room.log_pane.look()
        await room.press("z")
        assert "it failed" in room.text()
        assert "no line matches" not in room.text()


async def test_the_log_of_the_next_stack_is_there_when_it_was_hidden_as_that_was_chosen() -> None:
    async with inside(two_stacks()) as room:
        room.engine.logs("second-desk").say("order accepted")
        await room.press("1", "z", "right_square_bracket", "z")
        assert "order accepted" in room.text()
