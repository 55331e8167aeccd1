"""No handler of the screen holds up its loop: not by work, and not by waiting for anything outside."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.pilot import platform
from tests.pilot.lag import LIMIT, Lag, measured
from tests.pilot.rooms import make_room, opened


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


async def test_a_tour_of_the_room_at_the_size_of_a_wall_holds_up_nothing() -> None:
    """Panes, lists, a dialog and the halt, with boards coming in; every other test here is measured, too."""
    room = make_room(platform.halted, stack=platform.STACK)
    async with opened(room, (250, 70)) as it:
        for key in ("2", "z", "4", "z"):
            await it.press(key)
        await it.put(platform.board(it.clock.now(), platform.TRADING))
        for key in ("question_mark", "k", "o", "e"):
            await it.press(key, "escape")
        await it.choose("resume")
        await it.type("RESUME")
        await it.open_dialog()
        await it.press("h")
        assert [intent.procedure for intent in it.engine.submitted] == ["halt"]
