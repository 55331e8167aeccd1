"""What was sent to the terminal little by little is the picture that would be sent whole."""

from __future__ import annotations

import random
from typing import Any

import pyte
import pytest
from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate
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
    """A terminal that is drawn only what the app sends, and one that is drawn what the toolkit would send."""

    def __init__(self, app: ControlRoom, size: tuple[int, int], patch: pytest.MonkeyPatch) -> None:
        self.screen, self.theirs = pyte.Screen(*size), pyte.Screen(*size)
        self._streams = pyte.Stream(self.screen), pyte.Stream(self.theirs)
        self._loose: CompositorUpdate | None = None
        self.sent = self.loose = 0
        draw, update = app._display, Compositor.render_partial_update

        def both(compositor: Compositor) -> Any:
            regions = set(compositor._dirty_regions)
            ours = update(compositor)
            self._loose = toolkits(compositor, regions) if regions else None
            return ours

        def display(screen: Screen[Any], renderable: Any) -> None:
            if isinstance(renderable, CompositorUpdate) and not app._batch_count:
                ours = theirs = renderable.render_segments(app.console)
                if isinstance(renderable, TightUpdate) and self._loose is not None:
                    theirs = self._loose.render_segments(app.console)
                    self.loose += len(theirs)
                    self.sent += len(ours)
                self._streams[0].feed(ours)
                self._streams[1].feed(theirs)
            draw(screen, renderable)

        patch.setattr(Compositor, "render_partial_update", both)
        app._display = display  # type: ignore[method-assign]  # a tap on what goes to the terminal

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)


def toolkits(compositor: Compositor, regions: set[Region]) -> ChopsUpdate:
    """The update that the toolkit makes of these regions."""
    crop = Region.from_union(list(regions)).intersection(compositor.size.region)
    spans = list(compositor._regions_to_spans(regions))
    chops = compositor._render_chops(crop, {y for y, _, _ in spans}.__contains__)
    return ChopsUpdate(chops, spans, [cuts[1:] for cuts in compositor.cuts])


@pytest.mark.parametrize(("size", "seed"), [((80, 24), 1), ((120, 34), 2)])
async def test_the_terminal_shows_what_the_room_drew(
    size: tuple[int, int], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    app = make_room("fresh")
    watched = Watched(app, size, monkeypatch)
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
            assert watched.screen.buffer == watched.theirs.buffer, step
    assert watched.sent < watched.loose


async def test_for_a_line_that_changes_nothing_behind_or_beside_it_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(make_room("fresh"), (120, 34)) as room:
        screen, asked = room.app.room, []
        await room.pilot.pause()
        for widget in (screen, *screen.query(Widget)):

            def noted(crop: Region, widget: Widget = widget) -> list[Strip]:
                asked.append((widget.id, crop.height))
                return type(widget).render_lines(widget, crop)

            monkeypatch.setattr(widget, "render_lines", noted)
        room.clock.advance(1.0)
        screen.show_head(room.app._headline(room.app.moment()))
        await room.pilot.pause()
        assert asked == [("headline", 2)]
        for name in ("containers", "facts"):
            asked.clear()
            grid = screen.query_one(f"#{name}", Widget)
            for y in (3, 5):
                grid.refresh(Region(4, y, 2, 1))
            await room.pilot.pause()
            assert asked == [(name, 3)]


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
