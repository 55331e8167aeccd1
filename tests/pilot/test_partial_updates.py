"""What was sent to the terminal little by little is the picture that would be sent whole."""

from __future__ import annotations

import random
from typing import Any

import pyte
import pytest
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tests.pilot import scenes
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import make_room, opened
from tui.app import ControlRoom
from tui.compat import TightUpdate
from widgets.alike import Background
from widgets.pane import Pane
from widgets.strip_change import changed_cells

KEYS = ("tab", "1", "2", "3", "4", "down", "up", "end", "z", "space", "l", "w", "c", "f9", "escape", "d",
        "question_mark", "enter", "t", "a", "y", "p")  # fmt: skip
SCENES = ("fresh", "halted", "conflict", "failed", "hostile", "never")


class Watched:
    """A terminal that is drawn only what the app sends."""

    def __init__(self, app: ControlRoom, size: tuple[int, int]) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self.screen)
        self.sent = self.loose = 0
        draw = app._display

        def display(screen: Screen[Any], renderable: Any) -> None:
            if isinstance(renderable, CompositorUpdate) and not app._batch_count:
                update = renderable
                if isinstance(renderable, ChopsUpdate):
                    update = TightUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
                    self.loose += len(renderable.render_segments(app.console))
                    self.sent += len(update.render_segments(app.console))
                self._stream.feed(update.render_segments(app.console))
            draw(screen, renderable)

        app._display = display  # type: ignore[method-assign]  # a tap on what goes to the terminal

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)


@pytest.mark.parametrize(("size", "seed"), [((80, 24), 1), ((120, 34), 2)])
async def test_the_terminal_shows_what_the_room_drew(size: tuple[int, int], seed: int) -> None:
    chance = random.Random(seed)
    app = make_room("fresh")
    watched = Watched(app, size)
    assert isinstance(app.engine, FakeEngine)
    async with opened(app, size) as room:
        for step in range(30):
            app.engine._logs.say(f"line {step} of {chance.randrange(10**6)}")
            app.room.log_pane.look()
            if chance.random() < 0.6:
                await room.press(chance.choice(KEYS))
            await room.put(scenes.SCENES[chance.choice(SCENES)](room.clock.now()))
            await room.pass_time(chance.choice((0.5, 1, 7)))
            assert watched.text() == room.text().replace("\u200b", ""), step
    assert watched.sent < watched.loose


def test_only_what_differs_is_named() -> None:
    def line(*parts: tuple[str, str]) -> Strip:
        return Strip([Segment(text, style) for text, style in parts])  # type: ignore[arg-type]  # any mark will do

    old = line(("data 12s old", "a"), ("  ", "b"), ("12:00:01Z", "c"))
    assert changed_cells(old, old) is None
    assert changed_cells(old, line(("data 13s old", "a"), ("  ", "b"), ("12:00:01Z", "c"))) == (6, 7)
    assert changed_cells(old, line(("data 12s old", "a"), ("  ", "b"), ("12:00:02Z", "c"))) == (21, 22)
    assert changed_cells(old, line(("data 12s old", "a"), ("  ", "c"), ("12:00:01Z", "c"))) == (12, 14)
    assert (
        changed_cells(old, line(("data 12s ", "a"), ("old", "x"), ("  ", "b"), ("12:00:01Z", "c")))
        is not None
    )
    wide, other = line(("a▁▂▃ z", "a")), line(("a▁▂▄ z", "a"))
    assert changed_cells(wide, other) == (0, 6)
    assert changed_cells(line(("aaa", "a")), line(("aab", "a"))) == (2, 3)
    assert changed_cells(line(("aa", "a"), ("a", "b")), line(("aaa", "a"))) == (2, 3)


@pytest.mark.parametrize("key", [None, "f9"], ids=["main", "dialog"])
async def test_lines_that_are_alike_are_those_of_the_toolkit(key: str | None) -> None:
    async with opened(make_room("fresh"), (120, 34)) as room:
        if key is not None:
            await room.press(key)
        screen = room.app.screen
        found = [screen, *screen.query(Background), *screen.query(Pane)]
        assert len(found) > 1
        for widget in found:
            size = widget.outer_size
            for crop in (size.region, Region(1, 2, size.width - 3, size.height - 3)):
                ours, theirs = widget.render_lines(crop), Widget.render_lines(widget, crop)
                assert [list(strip) for strip in ours] == [list(strip) for strip in theirs], (widget, crop)
