"""A table for values that change: compares rows and repaints only the lines that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from backends.model.safetext import NO_TEXT, SafeText
from widgets.cells import Align, fit, tail, tame, width_of
from widgets.grid_layout import Column, Placed, lay_out
from widgets.line_widget import Line, LineWidget
from widgets.roles import BADGES
from widgets.row import AnyRow, Cell, Heading, Row

_GAP: Final = 2
_GUTTER: Final = 1
"""Left of the first column: the cursor mark. Right of the last: the position mark."""


class _Shown(Struct, frozen=True):
    """What one line of the body holds."""

    row: AnyRow | None
    is_cursor: bool = False
    has_thumb: bool = False
    note: SafeText = NO_TEXT
    """Why there is no row."""


class Grid(LineWidget, can_focus=True):
    """Rows under a header. The cursor stays on its row's key, wherever that row moves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(-1)", "first", show=False),
        Binding("end", "end(1)", "last", show=False),
        Binding("enter", "choose", "choose", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row; ``key`` is None when there is none left."""

        def __init__(self, grid: Grid, key: str | None) -> None:
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            return self.grid

    class Chosen(Message):
        """Enter was pressed on the row ``key``, or it was clicked a second time."""

        def __init__(self, grid: Grid, key: str) -> None:
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            return self.grid

    def __init__(
        self,
        columns: Sequence[Column],
        empty: SafeText = NO_TEXT,
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """``empty`` is what to say while there are no rows: why there are none, never nothing."""
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._empty = empty
        self._grid_rows: tuple[AnyRow, ...] = ()
        self._places: dict[str, int] = {}
        self._cursor_key: str | None = None
        self._top = 0
        self._placed: tuple[Placed, ...] = ()
        self._shown: list[_Shown] = []

    @property
    def cursor(self) -> str | None:
        """The key of the row under the cursor."""
        return self._cursor_key

    def show(self, rows: Sequence[AnyRow], empty: SafeText | None = None) -> None:
        """Show these rows. Equal rows are not painted again.

        The cursor stays on its key; when that is gone it goes to the row now in its place. Raises
        ValueError when two rows have one key: an action must have one target.
        """
        before = self._places.get(self._cursor_key or "", 0)
        is_in_view = self._top <= before < self._top + self._body or not self._shown
        self._grid_rows = tuple(rows)
        self._places = {row.key: place for place, row in enumerate(self._grid_rows)}
        if len(self._places) != len(self._grid_rows):
            raise ValueError("two rows of one table have the same key")
        if empty is not None:
            self._empty = empty
        if self._cursor_key not in self._places:
            self._set_cursor(self._nearest(before))
        if is_in_view and not self._is_at_rest:
            self._keep_visible()
        else:
            # Scrolled away by the mouse: new data is no reason to pull the eye back.
            self._refresh_body()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; the rows must follow."""
        self._columns = tuple(columns)
        self._lay_out()
        self.touch_all()

    def select(self, key: str) -> None:
        """Put the cursor on a row; nothing happens when there is no such row."""
        place = self._places.get(key)
        if place is not None and isinstance(self._grid_rows[place], Row):
            self._set_cursor(place)
            self._keep_visible()

    def settle(self) -> None:
        self._lay_out()
        self._shown = []
        if self._is_at_rest:
            self._refresh_body()
        else:
            self._keep_visible()

    def action_move(self, step: int) -> None:
        self._go(self._place() + step, step)

    def action_page(self, direction: int) -> None:
        self._go(self._place() + direction * max(1, self._body - 1), direction)

    def action_end(self, direction: int) -> None:
        self._go(len(self._grid_rows) - 1 if direction > 0 else 0, -direction)

    def action_choose(self) -> None:
        if self._cursor_key is not None:
            self.post_message(self.Chosen(self, self._cursor_key))

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        if has_focus and not any(shown.is_cursor for shown in self._shown):
            # Whoever comes here begins with what is seen, and nothing is chosen that is not.
            self._set_cursor(self._nearest(self._top))
            self._keep_visible()
        self._repaint_cursor()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-3)

    def on_click(self, event: events.Click) -> None:
        place = self._top + event.y - 1
        if event.y < 1 or place >= len(self._grid_rows):
            return
        row = self._grid_rows[place]
        if isinstance(row, Heading):
            return
        if row.key == self._cursor_key and event.chain == 2:
            self.action_choose()
        else:
            self.select(row.key)

    def paint(self, y: int, line: Line) -> None:
        if y == 0:
            self._paint_header(line)
            return
        shown = self._shown[y - 1] if y <= len(self._shown) else _Shown(None)
        if shown.note:
            line.add(" " * _GUTTER)
            line.add(fit(shown.note, self._drawn_width - _GUTTER), "muted")
        elif isinstance(shown.row, Heading):
            self._paint_heading(shown.row, line)
        elif shown.row is not None:
            self._paint_row(shown.row, shown.is_cursor, line)
        if shown.has_thumb:
            line.add(" " * (self._drawn_width - 1 - line.width))
            line.add("┃", "muted")

    def field_of(self, y: int) -> str | None:
        shown = self._shown[y - 1] if 1 <= y <= len(self._shown) else None
        return "cursor" if shown is not None and shown.is_cursor and self.has_focus else None

    def _paint_header(self, line: Line) -> None:
        line.add(" " * _GUTTER)
        for number, placed in enumerate(self._placed):
            column = self._columns[placed.index]
            line.add(" " * (_GAP if number else 0))
            line.add(fit(column.title, placed.width, column.align), "muted")

    def _paint_heading(self, row: Heading, line: Line) -> None:
        room = self._drawn_width - 2 * _GUTTER
        title = fit(row.title, min(room, width_of(tame(row.title))))
        line.add(" " * _GUTTER)
        line.add(title, "accent")
        if row.note and line.width + 4 < room:
            line.add("  ")
            line.add(fit(row.note, min(width_of(tame(row.note)), room - line.width)), row.note_role)

    def _paint_row(self, row: Row, is_cursor: bool, line: Line) -> None:
        line.add("▌" if is_cursor else " ", "frame-focus" if self.has_focus else "frame")
        for number, placed in enumerate(self._placed):
            cell = row.cells[placed.index] if placed.index < len(row.cells) else Cell()
            column = self._columns[placed.index]
            is_badge = cell.role in BADGES
            if number and cell.is_changed:
                line.add(" ")
                line.add("•", "changed")
            elif number and is_badge and column.align == "left":
                # It starts in the gap, so that its text stands where the others' stands.
                line.add(" ")
                line.add(" ", cell.role)
            elif number:
                line.add(" " * _GAP)
            if is_badge:
                self._paint_badge(cell, placed.width, column.align, line)
            elif column.is_tail:
                line.add(fit(tail(cell.text, placed.width), placed.width, column.align), cell.role)
            else:
                line.add(fit(cell.text, placed.width, column.align), cell.role)

    def _paint_badge(self, cell: Cell, width: int, align: Align, line: Line) -> None:
        text = fit(cell.text, min(width, width_of(tame(cell.text))))
        if width_of(text) < width:
            text = f" {text}" if align == "right" else f"{text} "
        spare = width - width_of(text)
        before = {"left": 0, "right": spare, "center": spare // 2}[align]
        line.add(" " * before)
        line.add(text, cell.role)
        line.add(" " * (spare - before))

    @property
    def _body(self) -> int:
        """Lines below the header."""
        return max(0, self.size.height - 1)

    @property
    def _is_at_rest(self) -> bool:
        """The keyboard is elsewhere and the first row in view: the most urgent comes in there, to be seen."""
        return self._top == 0 and self._body > 1 and not self.has_focus

    def _lay_out(self) -> None:
        self._placed = lay_out(self._columns, self.size.width - 2 * _GUTTER, _GAP)

    def _place(self) -> int:
        return self._places.get(self._cursor_key or "", 0)

    def _nearest(self, place: int, step: int = 1) -> int | None:
        """The row at ``place``, or the next one in the direction of ``step``, or the last one before."""
        if not self._grid_rows:
            return None
        place = min(max(place, 0), len(self._grid_rows) - 1)
        onward = range(place, len(self._grid_rows)) if step > 0 else range(place, -1, -1)
        back = range(place, -1, -1) if step > 0 else range(place, len(self._grid_rows))
        for order in (onward, back):
            for found in order:
                if isinstance(self._grid_rows[found], Row):
                    return found
        return None

    def _go(self, place: int, step: int) -> None:
        self._set_cursor(self._nearest(place, step))
        if place <= 0:
            self._top = 0
        self._keep_visible()

    def _set_cursor(self, place: int | None) -> None:
        key = None if place is None else self._grid_rows[place].key
        if key != self._cursor_key:
            self._cursor_key = key
            if self.is_running:
                self.post_message(self.Moved(self, key))

    def _scroll(self, lines: int) -> None:
        self._top += lines
        self._refresh_body()

    def _keep_visible(self) -> None:
        place = self._places.get(self._cursor_key or "")
        if place is not None and self._body:
            # The heading right above the first row comes into view with it.
            first = place - 1 if place and isinstance(self._grid_rows[place - 1], Heading) else place
            if first < self._top:
                self._top = first
            elif place >= self._top + self._body:
                self._top = place - self._body + 1
        self._refresh_body()

    def _refresh_body(self) -> None:
        """Work out what every line holds and touch those that changed."""
        rows = self._grid_rows
        body = self._body
        self._top = max(0, min(self._top, len(rows) - body))
        thumb = self._thumb()
        shown = [
            _Shown(row, row.key == self._cursor_key, number == thumb)
            for number, row in enumerate(rows[self._top : self._top + body])
        ]
        shown += [_Shown(None)] * (body - len(shown))
        if not rows and body:
            shown[min(1, body - 1)] = _Shown(None, note=self._empty)
        before, self._shown = self._shown, shown
        if len(before) != len(shown):
            self.touch(*range(1, body + 1))
        else:
            self.touch(*(number + 1 for number in range(body) if before[number] != shown[number]))

    def _thumb(self) -> int | None:
        """The line of the position mark, None when everything is in view."""
        hidden = len(self._grid_rows) - self._body
        return round(self._top * (self._body - 1) / hidden) if hidden > 0 and self._body else None

    def _repaint_cursor(self) -> None:
        self.touch(*(number + 1 for number, shown in enumerate(self._shown) if shown.is_cursor))
