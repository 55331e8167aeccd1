"""No handler of the screen holds up its loop: not by work, and not by waiting for anything outside."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.bench.pace import pace
from tests.bench.table import percentile
from tests.pilot import platform
from tests.pilot.lag import LIMIT, Lag, measured
from tests.pilot.rooms import make_room, opened

BEAT = 0.005
"""Seconds between two looks at how late the loop is."""


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def connect() -> None:
    with socket.socket() as link:
        link.connect_ex(("127.0.0.1", 1))


def spawn() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


async def lag_of(work: Callable[[], None]) -> Lag:
    """What is found when a callback of the loop does this."""
    with measured() as lag:
        asyncio.get_running_loop().call_soon(work)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return lag


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (lambda: burn(1.5 * LIMIT), "of the screen's loop in <Handle"),
        (lambda: time.sleep(0.001), r"waits: time\.sleep"),
        (connect, r"waits: socket\.connect"),
        (spawn, r"waits: subprocess\.Popen"),
    ],
    ids=["it works too long", "it sleeps", "it asks a server", "it runs a program"],
)
async def test_the_guard_sees_a_handler_that_holds_up_the_loop(work: Callable[[], None], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        (await lag_of(work)).check()


def beside() -> None:
    """A sleep and hard work in a thread of their own."""
    thread = threading.Thread(target=lambda: (time.sleep(0.01), burn(1.5 * LIMIT)))
    thread.start()
    thread.join()


@pytest.mark.parametrize("work", [lambda: burn(0.2 * LIMIT), beside], ids=["short work", "work elsewhere"])
async def test_the_guard_takes_nothing_else_for_it(work: Callable[[], None]) -> None:
    (await lag_of(work)).check()


async def forever() -> None:
    await asyncio.Event().wait()


async def tour(beside: Callable[[], Awaitable[object]] = forever) -> float:
    """Panes, lists, a dialog and the halt at the size of a wall, with boards coming in; the seconds of
    processor time that the longest callback took. Meanwhile it does something ``beside``."""
    room = make_room(platform.halted, stack=platform.STACK)
    async with opened(room, (250, 70)) as it:
        watching = asyncio.ensure_future(beside())
        for key in ("2", "z", "4", "z"):
            await it.press(key)
        await it.put(platform.board(it.clock.now(), platform.TRADING))
        for key in ("question_mark", "k", "o", "e"):
            await it.press(key, "escape")
        await it.choose("resume")
        await it.type("RESUME")
        await it.open_dialog()
        await it.press("h")
        watching.cancel()
        assert [intent.procedure for intent in it.engine.submitted] == ["halt"]
    return it.lag.longest


async def test_a_tour_of_the_room_at_the_size_of_a_wall_holds_up_nothing() -> None:
    """Every other test here is measured, too."""
    await tour()


@pytest.mark.alone
async def test_whoever_waits_for_the_loop_hardly_ever_waits_for_a_twentieth_of_a_second() -> None:
    """99 of 100 times; and no callback takes a tenth. The best of three tours, at this machine's pace."""
    lags, longest = [], []
    for _ in range(3):
        late: list[float] = []

        async def beat(late: list[float] = late) -> None:
            while True:
                due = time.monotonic() + BEAT
                await asyncio.sleep(BEAT)
                late.append(time.monotonic() - due)

        longest.append(await tour(beat))
        lags.append(percentile(late, 99))
    assert len(late) >= 100
    slower = pace()
    assert min(lags) <= 0.05 * slower, lags
    assert min(longest) <= 0.1 * slower, longest
