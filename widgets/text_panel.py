"""Several lines of styled text that scroll: details, runbooks, the body of a dialog. No markup, ever."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size

from widgets.line_widget import Line, LineWidget
from widgets.span import Spans, wrap


class TextPanel(LineWidget, can_focus=True):
    """Shows lines of spans, wrapped at the width, scrolled by line, page and end.

    With ``height: auto`` it is as high as its wrapped text.
    """

    DEFAULT_CSS = """
    TextPanel { width: 1fr; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "roll(-1)", "up", show=False),
        Binding("down", "roll(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(-1)", "first", show=False),
        Binding("end", "end(1)", "last", show=False),
    ]

    def __init__(
        self,
        lines: Sequence[Spans] = (),
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._text = tuple(lines)
        self._wrapped: list[Spans] = []
        self._starts: list[int] = []
        self._wrapped_at = -1
        self._offset = 0

    def show(self, lines: Sequence[Spans]) -> None:
        """Show these lines; the place in the text is kept as far as there is still text."""
        if tuple(lines) == self._text:
            return
        height = len(self._wrapped)
        self._text = tuple(lines)
        self._wrapped_at = -1
        self._wrap(self.size.width)
        if len(self._wrapped) != height and self.styles.is_auto_height:
            self.refresh(layout=True)
        self._roll_to(self._offset)
        self.touch(*range(self.size.height))

    @property
    def top(self) -> int:
        """The line of the text, counted as it was given, that is at the top."""
        return max(0, bisect_right(self._starts, self._offset) - 1)

    def go_to(self, line: int) -> None:
        """Bring this line of the text to the top, as far as there is text below it."""
        if 0 <= line < len(self._starts):
            self._roll_to(self._starts[line])

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002  Textual's signature
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  Textual's signature
        self._wrap(width)
        return len(self._wrapped)

    def settle(self) -> None:
        self._wrap(self.size.width)
        self._roll_to(self._offset)

    def paint(self, y: int, line: Line) -> None:
        place = self._offset + y
        for span in self._wrapped[place] if place < len(self._wrapped) else ():
            line.add(span.text, span.role)
        if y == self._thumb():
            line.add(" " * (self.size.width - 1 - line.width))
            line.add("┃", "muted")

    def action_roll(self, step: int) -> None:
        self._roll_to(self._offset + step)

    def action_page(self, direction: int) -> None:
        self._roll_to(self._offset + direction * max(1, self.size.height - 1))

    def action_end(self, direction: int) -> None:
        self._roll_to(len(self._wrapped) if direction > 0 else 0)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._roll_to(self._offset + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._roll_to(self._offset - 3)

    def _wrap(self, width: int) -> None:
        if width == self._wrapped_at:
            return
        self._wrapped_at = width
        # The last cell is kept for the position mark.
        self._wrapped, self._starts = [], []
        for spans in self._text:
            self._starts.append(len(self._wrapped))
            self._wrapped += wrap(spans, max(1, width - 1))

    def _roll_to(self, offset: int) -> None:
        offset = max(0, min(offset, len(self._wrapped) - self.size.height))
        if offset != self._offset:
            self._offset = offset
            self.touch_all()

    def _thumb(self) -> int | None:
        height = self.size.height
        hidden = len(self._wrapped) - height
        return round(self._offset * (height - 1) / hidden) if hidden > 0 and height else None
