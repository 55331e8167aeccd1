"""Whatever was done before, the screen is the one that would be drawn if all of it were drawn anew."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from msgspec.structs import replace
from rich.color import ColorSystem
from textual import events
from textual.widgets import Input

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.logline import LogLevel
from backends.model.procedure import Run, StepState, Verdict
from tests.pilot import platform, scenes, world
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.picture import Terminal, anew, difference, forget_depths, pieced
from tests.pilot.rooms import Scene, make_room, opened
from tui.actions import ACTIONS
from tui.app import ControlRoom
from tui.dialogs.keyed_screen import KeyedScreen
from tui.screens.fleet import FleetScreen
from tui.screens.main import MainScreen
from widgets.grid import Grid

SOAK: Final = bool(os.environ.get("CONTROLROOM_SOAK"))
STEPS: Final = 200 if SOAK else 40
SEEDS: Final = range(24 if SOAK else 4)

LARGE: Final = ((160, 48), (250, 70))
"""What the emulator takes long to draw."""
SIZES: Final = ((80, 24), (120, 34), (110, 32), *(LARGE if SOAK else LARGE[:1]), (60, 12), (30, 5), (79, 40))
MOVES: Final = (
    "up",
    "down",
    "pageup",
    "pagedown",
    "home",
    "end",
    "left",
    "right",
    "tab",
    "shift+tab",
    "enter",
)
OTHERS: Final = (
    *MOVES,
    "escape",
    "escape",
    "y",
    "h",
    "s",
    "d",
    "backspace",
    "space",
    "delete",
    "R",
    "x",
    "!",
)
KEYS: Final = tuple(key for it in ACTIONS for key in it.keys if it.id != "quit")

PLATFORM: Final = {"halted": platform.halted, "trading": platform.trading, "unread": platform.unread}


class Walk:
    """Somebody who does anything at all, the same for the same seed."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chance = random.Random(seed)
        self.size = self.chance.choice(SIZES[:3])
        self.boards: dict[str, Callable[[Instant], Board]] = dict(PLATFORM if seed % 2 else scenes.SCENES)
        self.app = _room(seed, next(iter(self.boards.values())))
        self.terminal = Terminal(monkeypatch, self.size)
        self.done: list[str] = []
        # With fewer colours two looks may become one.
        self.app.console._color_system = ColorSystem.TRUECOLOR
        forget_depths()
        monkeypatch.setattr(self.app, "exit", lambda *_, **__: None)
        monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)  # it blinks on a clock of its own

    async def step(self, room: Scene) -> None:
        """Do one thing."""
        ways: list[tuple[int, Callable[[Scene], Awaitable[str]]]] = [
            (10, self._press), (6, self._move), (3, self._board), (3, self._time), (3, self._lines),
            (1, self._resize), (1, self._mouse), (1, self._look_away), (1, self._type),
        ]  # fmt: skip
        (way,) = self.chance.choices([way for _, way in ways], [weight for weight, _ in ways])
        self.terminal.is_slow = self.chance.random() < 0.1
        self.done.append(await way(room))
        if self.terminal.is_slow:
            self.done[-1] += " on a slow line"
            self.terminal.is_slow = False
            await room.until(lambda: not room.app._is_frame_owed)
        if self.chance.random() < 0.5:
            await room.settle()
        await room.pilot.pause()

    def check(self) -> None:
        """AssertionError where what was drawn piece by piece is not what would be drawn anew."""
        terminal, now = self.terminal.picture, pieced(self.app)
        cells, whole = anew(self.app)
        done = f"{self.app.screen} {self.done[-8:]}"
        assert not difference(now, cells), f"kept: {difference(now, cells)}\n{done}"
        assert not difference(terminal, whole), f"sent: {difference(terminal, whole)}\n{done}"

    async def check_layout(self, room: Scene) -> None:
        """AssertionError where looks or places are not those that the style sheets give now."""
        if isinstance(room.app.screen, KeyedScreen) and not room.app.screen.is_listening:
            return  # its keys light up by a clock of their own
        await room.settle()
        before = pieced(self.app)
        self.app.refresh_css(animate=False)
        for screen in self.app.screen_stack:
            for grid in screen.query(Grid):
                grid._refresh_body()
        self.app.screen.refresh(layout=True)
        await room.settle()
        found = difference(before, pieced(self.app))
        assert not found, f"laid out: {found}\n{self.app.screen} {self.done[-8:]}"

    async def _press(self, room: Scene) -> str:
        key = self.chance.choice((*KEYS, *OTHERS))
        await room.pilot.press(key)
        return key

    async def _move(self, room: Scene) -> str:
        key = self.chance.choice(MOVES)
        await room.pilot.press(key)
        return key

    async def _type(self, room: Scene) -> str:
        if isinstance(room.app.screen, MainScreen | FleetScreen) and not room.app.screen.query("Input"):
            return await self._press(room)
        text = self.chance.choice(("line", "HALT", "NVDA", "zzz", "\u6f22\u5b57", "resume"))
        await room.type(text)
        return text

    async def _board(self, room: Scene) -> str:
        now, chance = room.clock.now(), self.chance
        name, other = chance.choice([*self.boards]), chance.choice([*self.boards])
        board, strange = self.boards[name](now), self.boards[other](now)
        some = chance.sample(sorted(board.readings), min(5, len(board.readings)))
        mixed = {key: strange.readings[key] for key in some if key in strange.readings}
        gone = {*chance.sample(sorted(board.readings), 3)} if chance.random() < 0.3 else set()
        readings = {key: it for key, it in {**board.readings, **mixed}.items() if key not in gone}
        alarms = tuple(chance.sample(board.alarms, chance.randint(0, len(board.alarms))))
        alarms += tuple(world.alarm(f"alarm {n}", now) for n in range(chance.choice((0, 0, 0, 1, 30))))
        runs = (self._run(now),) if chance.random() < 0.3 else room.engine._board.runs
        if room.engine._board.stack != board.stack:
            return "no board"
        room.engine.put(replace(board, readings=readings, alarms=alarms, runs=runs))
        await room.settle()
        return f"board {name} {other}"

    def _run(self, now: Instant) -> Run:
        steps = (self.chance.choice([*StepState]), self.chance.choice([*StepState]))
        return scenes.run(now, self.chance.choice([None, *Verdict]), states=steps)

    async def _time(self, room: Scene) -> str:
        seconds = self.chance.choice((0.5, 1, 1, 7, 31, 4000))
        await room.pass_time(seconds)
        return f"{seconds} s"

    async def _lines(self, room: Scene) -> str:
        count = self.chance.choice((1, 1, 3, 80))
        for number in range(count):
            level = self.chance.choice([*LogLevel])
            text = self.chance.choice(
                (f"line {number}", "a NVDA " * 40, scenes.HOSTILE, "\u6f22\u5b57" * 50, "\t\tx")
            )
            room.engine._logs.say(
                text, level=level, service=self.chance.choice(("redis", "execution_gateway"))
            )
        room.app.room.log_pane.look()
        await room.pilot.pause()
        return f"{count} lines"

    async def _resize(self, room: Scene) -> str:
        self.size = self.chance.choice(SIZES)
        self.terminal.resize(*self.size)
        await room.pilot.resize_terminal(*self.size)
        # The toolkit gathers resizes for a while.
        await room.until(lambda: room.app._resize_event is None and room.app.screen.size == self.size)
        await room.pilot.pause()
        return f"{self.size}"

    async def _mouse(self, room: Scene) -> str:
        x, y = self.chance.randrange(self.size[0]), self.chance.randrange(self.size[1])
        kind = self.chance.choice(("click", "double", "hover", "down", "up"))
        if kind == "hover":
            await room.pilot.hover(offset=(x, y))
        elif kind in ("click", "double"):
            await room.pilot.click(offset=(x, y), times=2 if kind == "double" else 1)
        else:
            event = events.MouseScrollDown if kind == "down" else events.MouseScrollUp
            room.app.screen._forward_event(event(None, x, y, 0, 0, 0, False, False, False, x, y))
            await room.pilot.pause()
        return f"{kind} {x},{y}"

    async def _look_away(self, room: Scene) -> str:
        room.app.post_message(events.AppBlur())
        await room.pilot.pause()
        if not self.terminal.is_slow:
            self.check()
        room.app.post_message(events.AppFocus())
        await room.pilot.pause()
        return "looked away and back"


def _room(seed: int, board: Callable[[Instant], Board]) -> ControlRoom:
    app = make_room(board, stack=platform.STACK if seed % 2 else world.STACK)
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    if seed % 4 == 2:
        other = replace(scenes.halted(engine.clock.now()), stack="other-desk")
        engine.stacks = (world.STACK, replace(world.STACK, id="other-desk"))
        engine.others = {"other-desk": other}
    return app


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_screen_is_what_it_would_be_if_all_were_drawn_anew(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Walk(seed, monkeypatch)
    async with opened(walk.app, walk.size) as room:
        for _ in range(STEPS):
            await walk.step(room)
            walk.check()
            if walk.chance.random() < 0.1:
                await walk.check_layout(room)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_the_effect_told_below_the_list_is_that_of_the_procedure_under_the_cursor(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(monkeypatch, size)
    async with opened(make_room(platform.halted, stack=platform.STACK), size) as room:
        await room.press("e")
        for key in ("down", "down", "pagedown", "end"):
            await room.press(key)
            assert not difference(terminal.picture, anew(room.app)[1])
