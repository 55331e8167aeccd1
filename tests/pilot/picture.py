"""What a terminal shows that was only sent what changed, and what it would show were all drawn anew."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pyte
import pytest
from rich.style import Style
from textual._compositor import CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip

from tui import compat
from tui.app import ControlRoom
from widgets.headline import Headline
from widgets.line_widget import LineWidget

Cells = list[tuple[object, ...]]
"""One row: each cell's letter and looks."""


class Terminal:
    """Draws only the bytes that the room sends, and can be slow to take them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self._screen)
        self.is_slow = False
        send = App._display

        def display(app: App[Any], screen: Screen[Any], renderable: Any) -> None:
            # What the room's own App makes of a frame has been done to it by now.
            if isinstance(renderable, CompositorUpdate) and not app._batch_count:
                self._stream.feed(renderable.render_segments(app.console))
            send(app, screen, renderable)

        monkeypatch.setattr(App, "_display", display)
        monkeypatch.setattr(compat, "queued_writes", lambda _: 9 if self.is_slow else 0)

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)

    @property
    def picture(self) -> list[Cells]:
        """What it shows, row by row."""
        return _rows(self._screen)


def forget_depths() -> None:
    """A style and a line keep how they were first written, for whatever depth of colour that was: screens of
    other tests of this process had others."""
    for it in gc.get_objects():
        if isinstance(it, Style):
            it._ansi = None
        elif isinstance(it, Strip):
            it._render_cache = None


def pieced(app: ControlRoom) -> list[Cells]:
    """The screen as its widgets have it at hand."""
    return [_cells(strip) for strip in app.screen._compositor.render_strips()]


def anew(app: ControlRoom) -> tuple[list[Cells], list[Cells]]:
    """The screen with nothing at hand: every line painted from what its widget knows now. As cells, and as
    a terminal shows it that was empty before."""
    for widget in _all_of(app):
        widget._styles_cache.clear()
        widget._clear_arrangement_cache()
        widget._rich_style_cache.clear()
        widget._visual_style_cache.clear()
        if isinstance(widget, LineWidget):
            assert widget.gutter.totals == (0, 0), f"{widget} has a border or padding and draws neither"
            widget._painter = None
            widget._strips = [None] * len(widget._strips)
        if isinstance(widget, Headline):
            widget._band = widget._render_band()
    strips = app.screen._compositor.render_strips()
    size = app.screen._compositor.size
    blank = pyte.Screen(size.width, size.height)
    whole = LayoutUpdate([[strip] for strip in strips], Region(0, 0, *size))
    pyte.Stream(blank).feed(whole.render_segments(app.console))
    return [_cells(strip) for strip in strips], _rows(blank)


def difference(one: list[Cells], other: list[Cells]) -> str:
    """Where two pictures differ first, in words; nothing when they do not."""
    if len(one) != len(other):
        return f"{len(one)} rows and {len(other)}"
    for y, (left, right) in enumerate(zip(one, other, strict=True)):
        if left != right:
            x = next((x for x, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), -1)
            return f"row {y} from cell {x}:\n{_words(left)}\n{_words(right)}\n{left[x]}\n{right[x]}"
    return ""


def _all_of(app: ControlRoom) -> Iterator[Any]:
    for screen in app.screen_stack:
        yield from screen.walk_children(with_self=True)


def _cells(strip: Strip) -> Cells:
    cells: Cells = []
    for text, style, _ in strip:
        for char in text:
            is_bare = char == " " and style is not None and not (style.reverse or style.underline)
            cells.append((char, style.bgcolor if is_bare and style is not None else style))
    return cells


def _rows(screen: Any) -> list[Cells]:
    return [[_seen(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]


def _seen(cell: Any) -> tuple[object, ...]:
    """What can be seen of it: a space has no ink."""
    if cell.data == " " and not (cell.reverse or cell.underscore or cell.strikethrough):
        return (" ", cell.bg)
    return tuple(cell)


def _words(cells: Cells) -> str:
    return "".join(str(cell[0]) for cell in cells)
