"""The engine may change a thousand times a second; the screen hears of it four times."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from backends.model.clock import Instant
from tests.pilot import scenes, world
from tests.pilot.rooms import make_room, opened
from tests.sim.virtual import simulate
from tui.bridge import Bridge
from tui.screens.main import MainScreen


class Subject:
    def __init__(self) -> None:
        self.wakes: list[Callable[[], None]] = []

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)

    def change(self) -> None:
        for wake in list(self.wakes):
            wake()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what is waited for is not an event
            await asyncio.sleep(0.005)


def test_the_first_change_is_passed_on_at_once_and_a_burst_only_once_more() -> None:
    async def burst() -> None:
        """Takes no time, which is simulated here."""
        subject, heard = Subject(), []
        bridge = Bridge(subject, lambda: heard.append(asyncio.get_running_loop().time()), period=0.1)
        subject.change()
        await _until(lambda: len(heard) == 1)
        for _ in range(1000):
            subject.change()
            if _ % 100 == 0:
                await asyncio.sleep(0)
        await _until(lambda: len(heard) == 2)
        assert heard[1] - heard[0] >= 0.099
        await asyncio.sleep(0.15)
        assert len(heard) == 2
        bridge.close()

    simulate(burst())


async def test_a_change_during_the_look_is_not_lost() -> None:
    subject, heard = Subject(), []

    def look() -> None:
        heard.append(1)
        if len(heard) == 1:
            subject.change()

    bridge = Bridge(subject, look, period=0.02)
    subject.change()
    await _until(lambda: len(heard) == 2)
    bridge.close()


async def test_a_storm_from_another_thread_reaches_the_loop_at_most_at_its_rate() -> None:
    subject, heard = Subject(), []
    bridge = Bridge(subject, lambda: heard.append(1), period=0.05)
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            subject.change()

    thread = threading.Thread(target=storm, daemon=True)
    begun = time.monotonic()
    thread.start()
    await _until(lambda: time.monotonic() - begun >= 0.5 and len(heard) >= 2)
    stop.set()
    thread.join(20)
    assert len(heard) <= (time.monotonic() - begun) / 0.05 + 2
    bridge.close()


async def test_after_close_nothing_arrives_and_the_engine_is_not_disturbed() -> None:
    subject, heard = Subject(), []
    bridge = Bridge(subject, lambda: heard.append(1), period=0.01)
    wake = subject.wakes[0]
    wake()
    bridge.close()
    wake()
    await asyncio.sleep(0.05)
    assert heard == []
    assert subject.wakes == []


def test_an_engine_that_outlives_the_screen_is_not_disturbed() -> None:
    subject = Subject()

    async def room() -> None:
        Bridge(subject, lambda: None)

    asyncio.run(room())
    subject.change()
    subject.change()


async def test_what_is_urgent_is_drawn_at_once_and_the_rest_with_the_next_beat() -> None:
    app = make_room()
    async with opened(app, (120, 40)) as room:
        app._pulse = 1.0
        now = room.clock.now()
        board = world.fresh(now)
        room.engine.put(board)
        await room.pilot.pause(0.3)
        room.engine.put(world.with_readings(board, world.reading("orders.open", now, 15)))
        await room.pilot.pause(0.6)
        assert " 14 " in room.text()
        room.engine.put(scenes.halted(now))
        await room.until(lambda: "HALTED" in room.text())
        app._pulse = 0


async def test_the_first_board_in_a_second_is_its_beat_and_what_comes_then_is_drawn_by_the_clock() -> None:
    app = make_room()
    async with opened(app, (120, 40)) as room:
        app._on_pulse()
        app._pulse = 1.0

        async def comes(value: int) -> None:
            now = room.clock.now()
            room.engine.put(world.with_readings(world.fresh(now), world.reading("orders.open", now, value)))
            await room.pilot.pause(0.3)

        room.clock.advance(1.0)
        await comes(21)
        assert " 21 " in room.text()
        assert app._beat == 2
        await comes(22)
        assert " 21 " in room.text()
        app._on_pulse()  # the clock's, which comes later in the same second
        await room.until(lambda: " 22 " in room.text())
        assert app._beat == 2
        room.clock.advance(1.0)
        app._on_pulse()  # and in a second without a board
        assert app._beat == 3
        now = room.clock.advance(1.0)
        old = Instant(now.mono - 1.0, now.wall - 1.0)
        room.engine.put(world.with_readings(world.fresh(old), world.reading("orders.open", old, 23)))
        await room.pilot.pause(0.3)
        assert app._beat == 3, "what it said before, told when another stack speaks, begins no beat"
        app._pulse = 0


async def test_while_nobody_is_at_the_keys_panes_are_drawn_every_other_second_and_the_clock_each() -> None:
    app = make_room()
    async with opened(app, (120, 40)) as room:

        async def beats(count: int) -> list[tuple[str, bool]]:
            """Of each beat: the seconds of the clock in the headline, and whether a new value was drawn."""
            seen = []
            for number in range(count):
                now = room.clock.advance(1.0)
                value = 100 + number
                room.engine._board = world.with_readings(
                    world.fresh(now), world.reading("orders.open", now, value)
                )
                app._on_pulse()
                await room.pilot.pause()
                text = room.text()
                seen.append((text.splitlines()[0].rstrip(" Z")[-2:], f" {value} " in text))
            return seen

        opened_at = await beats(10)
        assert all(is_new for _, is_new in opened_at)
        rest = await beats(8)
        assert [is_new for _, is_new in rest].count(True) == 4
        seconds = [int(clock) for clock, _ in (*opened_at, *rest)]
        assert [(later - earlier) % 60 for earlier, later in pairwise(seconds)] == [1] * 17
        await room.press("tab")
        assert all(is_new for _, is_new in await beats(9))
        assert not all(is_new for _, is_new in await beats(4))
        room.engine.put(scenes.halted(room.clock.now()))
        app._on_change()
        await room.pilot.pause()
        assert "HALTED" in room.text(), "what is urgent waits for no beat"


async def test_what_stops_counting_between_two_drawings_is_drawn_at_the_next_beat() -> None:
    app = make_room()
    async with opened(app, (120, 40)) as room:
        now = room.clock.now()
        board = world.fresh(now)
        room.engine._board = board
        for _ in range(14):
            now = room.clock.advance(1.0)
            room.engine._board = board = world.fresh(now)
            app._on_pulse()
        drawn = app._drawn
        if drawn != now.mono:
            now = room.clock.advance(1.0)
            room.engine._board = board = world.fresh(now)
            app._on_pulse()
        assert app._drawn == now.mono
        old = board.readings["orders.open"]
        received = Instant(now.mono - old.stale_after + 0.5, now.wall - old.stale_after + 0.5)
        room.engine._board = world.with_readings(board, replace(old, received=received))
        between = room.clock.advance(1.0)
        app._on_pulse()
        assert app._drawn == between.mono
        room.engine._board = world.fresh(room.clock.advance(1.0))
        app._on_pulse()
        room.engine._board = world.fresh(room.clock.advance(1.0))
        app._on_pulse()
        assert app._drawn < room.clock.now().mono, "nothing grew old, so this beat has the headline alone"


async def test_a_change_while_the_screens_are_being_taken_down_is_drawn_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = []
    app = make_room()

    def change(screen: MainScreen) -> None:
        heard.append(len(screen.children))
        app._on_change()
        app._on_pulse()

    monkeypatch.setattr(MainScreen, "on_unmount", change, raising=False)
    # The last moment at which the engine is still heard: then there is no screen at all.
    monkeypatch.setattr(Bridge, "close", lambda _: app._on_change())
    async with opened(app):
        pass
    assert heard == [0]
