"""A bare app that shows given widgets in our themes, and what they put on screen as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.safetext import SafeText
from backends.model.wakes import Wake, Wakes
from themes.loader import BASE_TCSS, defaults, shelf
from widgets.row import Cell, Row


class Stage(App[None]):
    """Shows ``widgets`` and keeps the messages they post."""

    CSS_PATH = BASE_TCSS
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, *widgets: Widget, theme: str = "dark") -> None:
        super().__init__()
        self.given = widgets
        self.heard: list[Message] = []
        for it in shelf().themes.values():
            self.register_theme(it)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return defaults()

    def compose(self) -> ComposeResult:
        yield from self.given

    def on_grid_moved(self, message: Message) -> None:
        self.heard.append(message)

    on_grid_chosen = on_grid_moved
    on_log_view_changed = on_grid_moved


def strips(widget: Widget) -> list[Strip]:
    """The lines a widget draws now."""
    return widget.render_lines(Region(0, 0, *widget.outer_size))


def text_of(widget: Widget) -> list[str]:
    """The same as text, one string a line."""
    return [strip.text for strip in strips(widget)]


class Ring:
    """A LogSource in memory."""

    def __init__(self, rows: Sequence[LogLine] = (), first: int = 0) -> None:
        self.first = first
        self.rows = list(rows)
        self.wakes = Wakes()

    @property
    def end(self) -> int:
        return self.first + len(self.rows)

    def line(self, ordinal: int) -> LogLine | None:
        return self.rows[ordinal - self.first] if self.first <= ordinal < self.end else None

    def window(self, ordinal: int, count: int) -> list[LogLine]:
        start = max(0, ordinal - self.first)
        return self.rows[start : start + count]

    def add(
        self,
        text: str,
        level: LogLevel = LogLevel.INFO,
        marker: Marker | None = None,
        count: int = 0,
        service: str = "gateway",
    ) -> None:
        row = LogLine(self.end, service, 1_790_000_000.0, level, SafeText(text), marker, count)
        self.rows.append(row)
        for wake in self.wakes:
            wake()

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        return self.wakes.add(wake)

    def fill(self, count: int) -> None:
        for _ in range(count):
            self.add(f"line {self.end}")

    def drop(self, count: int) -> None:
        """Forget the oldest rows, as a full ring does."""
        del self.rows[:count]
        self.first += count


def row(key: str, *texts: str) -> Row:
    return Row(key, tuple(Cell(SafeText(text)) for text in texts))
