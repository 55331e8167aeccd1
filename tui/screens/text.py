"""A text over the room that closes again: details of a row, the list of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from backends.model.safetext import SafeText
from tui.moment import Moment
from widgets.pane import Pane
from widgets.span import Spans
from widgets.text_panel import TextPanel

Render = Callable[[Moment, int], Sequence[Spans]]
"""The lines of a text at a moment, for a width in cells."""


class TextScreen(ModalScreen[None]):
    """Shows what ``render`` makes of each new moment, so that a detail stays live while it is read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "close", "close", show=False)
    ]

    def __init__(self, title: SafeText, moment: Moment, render: Render) -> None:
        super().__init__()
        self._title_text = title
        self._moment = moment
        self._render_lines = render

    def compose(self) -> ComposeResult:
        yield Pane(self._title_text, TextPanel(id="text"), subtitle=SafeText("Esc closes"))

    def on_mount(self) -> None:
        self.show(self._moment)

    def on_resize(self) -> None:
        self.show(self._moment)

    def show(self, moment: Moment) -> None:
        """Draw the newest moment."""
        self._moment = moment
        if self.is_mounted:
            width = min(self.app.size.width, 112) - 5
            self.query_one(TextPanel).show(self._render_lines(moment, width))

    def action_close(self) -> None:
        self.dismiss()
