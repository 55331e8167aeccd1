"""The header band as a widget."""

from __future__ import annotations

from widgets.band import HeadlineView, render_band
from widgets.line_widget import Line, LineWidget
from widgets.span import Spans


class Headline(LineWidget):
    """Shows a HeadlineView in as many lines as its style sheet gives it; one is enough, two say more."""

    DEFAULT_CSS = """
    Headline { dock: top; width: 1fr; height: 2; background: $surface; }
    """

    def __init__(
        self, view: HeadlineView | None = None, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._view = view
        self._band: tuple[Spans, ...] = ()

    def show(self, view: HeadlineView) -> None:
        """Show this; only lines that differ are painted."""
        self._view = view
        before = self._band
        self._band = self._render_band()
        if len(before) != len(self._band):
            self.touch_all()
        else:
            self.touch(*(y for y, spans in enumerate(self._band) if spans != before[y]))

    def settle(self) -> None:
        self._band = self._render_band()

    def paint(self, y: int, line: Line) -> None:
        for span in self._band[y] if y < len(self._band) else ():
            line.add(span.text, span.role)

    def _render_band(self) -> tuple[Spans, ...]:
        if self._view is None or not self.is_attached:
            return ()
        screen = self.app.size
        return render_band(self._view, self.size.width, self.size.height, (screen.width, screen.height))
