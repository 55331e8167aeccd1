"""A room on a fake engine with time standing still, and what can be read off its screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from backends.engine import Mode
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.stack import Stack
from tests.clock import FakeClock
from tests.pilot import world
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.lag import Lag, measured
from tests.pilot.scenes import SCENES
from themes.contrast import Depth
from tui.app import ControlRoom
from tui.desk import Desk
from tui.dialogs.ask_screen import AskScreen
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.screens.procedures import ProcedureScreen
from widgets.grid import Grid

DEMO_CONTROL = {"trading-platform": "http://127.0.0.1:9"}


@dataclass
class Scene:
    """What a test holds while the room is open."""

    app: ControlRoom
    engine: FakeEngine
    clock: FakeClock
    pilot: Pilot[None]
    lag: Lag = field(default_factory=Lag)
    """What was found on the loop so far, in a room that is measured."""

    def text(self) -> str:
        """What is on the screen, line by line."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def settle(self) -> None:
        """Draw what is there now and wait until it is painted."""
        await self.pilot.pause()
        self.app.redraw()
        await self.pilot.pause()
        await self.pilot.pause()

    async def put(self, board: Board) -> None:
        self.engine.put(board)
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass and the room's own clock beat."""
        self.clock.advance(seconds)
        await self.settle()

    @property
    def dialog(self) -> ProcedureDialog:
        screen = self.app.screen
        assert isinstance(screen, ProcedureDialog), screen
        return screen

    async def open_dialog(self, key: str = "f9") -> ProcedureDialog:
        """Press the emergency key and wait until the dialog listens."""
        await self.press(key)
        await self.until(lambda: self.dialog.is_listening)
        return self.dialog

    async def type(self, text: str) -> None:
        """Type it as fast as a terminal can send it: no key waits until the one before is drawn."""
        for char in text:
            self.app.post_message(events.Key(_character_to_key(char), char))
            await asyncio.sleep(0)  # each is taken by itself, as it would be
        await self.pilot.pause()  # the room has handed all of them on
        await self.pilot.pause()  # and who has the focus has taken them

    async def choose(self, procedure: str, *values: str) -> None:
        """Choose a procedure in the list and its values, each by typing it; its dialog then listens."""
        if not isinstance(self.app.screen, ProcedureScreen):
            await self.press("e")
        self.app.screen.query_one(Grid).select(procedure)
        await self.press("enter")
        for value in values:
            asking = self.app.screen
            assert isinstance(asking, AskScreen), asking
            await self.until(lambda asking=asking: asking.is_listening)
            await self.type(value)
            # Where it is chosen from what there is, it is offered once it was read.
            await self.until(lambda asking=asking: all(it.cursor is not None for it in asking.query(Grid)))
            await self.press("enter")
        await self.until(lambda: self.dialog.is_listening)

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for what a timer or another thread brings; AssertionError with the screen if nothing does."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, self.text()
            await self.pilot.pause(0.01)


def make_room(
    scene: str | Callable[[Instant], Board] = "fresh",
    *,
    mode: Mode = Mode.ARMED,
    theme: str | None = None,
    is_demo: bool = False,
    stack: Stack = world.STACK,
) -> ControlRoom:
    """A room that no timer moves, on its fake engine; the operation ids are ``op-1``, ``op-2`` …"""
    clock = FakeClock()
    make = SCENES[scene] if isinstance(scene, str) else scene
    engine = FakeEngine(make(clock.now()), clock, mode, stack)
    numbers = iter(range(1, 1000))
    return ControlRoom(
        engine,
        theme=theme,
        clock=clock,
        pulse=0,
        desk=Desk(engine.operator, lambda: f"op-{next(numbers)}"),
        demo_control=DEMO_CONTROL if is_demo else None,
        depth=Depth.TRUE,
    )


WALL = 250 * 70
"""Cells of the largest screen on which no handler may hold up the loop."""


@asynccontextmanager
async def opened(app: ControlRoom, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Scene]:
    """The room on a terminal of that size. Whatever is done in it must not hold up its loop."""
    engine, clock = app.engine, app.clock
    assert isinstance(engine, FakeEngine)
    assert isinstance(clock, FakeClock)
    async with app.run_test(size=size) as pilot:
        scene = Scene(app, engine, clock, pilot)
        await scene.settle()
        with measured() as scene.lag:
            yield scene
        if size[0] * size[1] <= WALL:
            scene.lag.check()
