"""A text over the room: details of a row, the list of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.model.safetext import SafeText
from tui.moment import Moment
from tui.screens.overlay import Overlay
from widgets.span import Spans
from widgets.text_panel import TextPanel

Render = Callable[[Moment, int], Sequence[Spans]]
"""The lines of a text at a moment, for a width in cells."""

WIDEST = 112
"""Cells of the pane; the style sheet says the same."""


class TextScreen(Overlay):
    """Shows what ``render`` makes of each new moment, so that a detail stays live while it is read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,question_mark", "close", "close", show=False),
        Binding("o", "runbook", "runbook", show=False),
    ]

    def __init__(
        self,
        title: SafeText,
        moment: Moment,
        render: Render,
        *,
        is_watch: bool,
        show_runbook: Callable[[], None] | None = None,
    ) -> None:
        """``show_runbook`` opens the section for what is told here; None where there is none."""
        super().__init__(title, moment, is_watch=is_watch)
        self._render_lines = render
        self._show_runbook = show_runbook

    @property
    def other_keys(self) -> tuple[tuple[str, str], ...]:
        return self.OTHER_KEYS if self._show_runbook is None else (("o", "runbook"), *self.OTHER_KEYS)

    def body(self) -> Sequence[Widget]:
        return [TextPanel(id="text")]

    def action_runbook(self) -> None:
        if self._show_runbook is not None:
            self._show_runbook()

    def on_resize(self) -> None:
        self.show_body()

    def show_body(self) -> None:
        width = min(self.app.size.width, WIDEST) - 5
        self.query_one(TextPanel).show(self._render_lines(self.moment, width))
