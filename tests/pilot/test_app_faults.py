"""The demo's fault menu: it switches what it names, and says so when the demo does not answer."""

from __future__ import annotations

import pytest
from msgspec import Struct
from msgspec.structs import replace
from textual.screen import Screen

from tests.pilot.rooms import Scene, make_room, opened
from tests.servers.demo import DemoWorld
from tui.demo_faults import FAILURES, DemoFaults
from tui.screens.faults import FaultScreen


class Fault(Struct, frozen=True):
    name: str
    title: str
    is_on: bool = False


class Menu:
    """Faults kept in memory; it can be told to fail."""

    def __init__(self) -> None:
        self.faults = {
            it.name: it for it in (Fault("redis-hang", "Redis hangs"), Fault("flood", "[/] log flood"))
        }
        self.failure: Exception | None = None

    async def list(self) -> list[Fault]:
        if self.failure is not None:
            raise self.failure
        return list(self.faults.values())

    async def switch(self, name: str, is_on: bool) -> list[Fault]:
        self.faults[name] = replace(self.faults[name], is_on=is_on)
        return await self.list()


async def _open(room: Scene, menu: Menu) -> None:
    screen: Screen[None] = FaultScreen(menu, (OSError,), room.app.moment())
    room.app.put_on_top(screen)
    await room.app.workers.wait_for_complete()
    await room.settle()


async def test_a_fault_is_switched_on_and_off_and_the_menu_says_how_it_stands() -> None:
    menu = Menu()
    async with opened(make_room(is_demo=True)) as room:
        await _open(room, menu)
        assert "Redis hangs" in room.text()
        assert "[/] log flood" in room.text()
        for key, count in (("enter", 1), ("space", 0)):
            await room.press(key)
            await room.app.workers.wait_for_complete()
            await room.settle()
            assert f"{count} on" in room.text()
            assert menu.faults["redis-hang"].is_on is (count == 1)


async def test_a_demo_that_does_not_answer_is_named_and_nothing_ends() -> None:
    menu = Menu()
    menu.failure = OSError("the demo does not answer [/")
    async with opened(make_room(is_demo=True)) as room:
        await _open(room, menu)
        assert "the demo does not answer [/" in room.text()
        await room.press("escape")
        assert room.app.return_code is None


async def test_the_menu_is_there_only_in_a_demo() -> None:
    async with opened(make_room()) as room:
        await room.press("x")
        await room.settle()
        assert room.app.screen is room.app.room
        assert "faults" not in room.text()


async def test_nobody_listening_is_a_failure_with_words() -> None:
    with pytest.raises(FAILURES, match="does not answer"):
        await DemoFaults("http://127.0.0.1:9").list()


async def test_it_switches_a_fault_of_a_real_demo(demo_world: DemoWorld) -> None:
    faults = DemoFaults(demo_world["control"])
    name = (await faults.list())[0].name
    assert next(it for it in await faults.switch(name, True) if it.name == name).is_on
    assert not next(it for it in await faults.switch(name, False) if it.name == name).is_on
