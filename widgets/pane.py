"""A frame with a title around a widget; bright while the keyboard is inside."""

from __future__ import annotations

from textual.containers import Container
from textual.content import Content
from textual.widget import Widget

from backends.model.safetext import NO_TEXT, SafeText
from widgets.cells import as_ascii, tame
from widgets.glyphs import is_ascii


class Pane(Container):
    """Title on the top edge, a quiet subtitle on the bottom edge."""

    DEFAULT_CSS = """
    Pane { border: round $foreground 30%; height: 1fr; width: 1fr; }
    Pane.-ascii { border: ascii $foreground 30%; }
    """

    def __init__(
        self,
        title: SafeText,
        *children: Widget,
        subtitle: SafeText = NO_TEXT,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(*children, id=id, classes=classes)
        self._title: SafeText | None = None
        self._subtitle: SafeText | None = None
        self.set_class(is_ascii(), "-ascii")
        self.label(title, subtitle)

    def label(self, title: SafeText, subtitle: SafeText = NO_TEXT) -> None:
        """Change what the frame says; nothing is painted when it says so already."""
        if title != self._title:
            self._title = title
            self.border_title = _plain(title)
        if subtitle != self._subtitle:
            self._subtitle = subtitle
            self.border_subtitle = _plain(subtitle)


def _plain(text: SafeText) -> Content | None:
    """Never a ``str``: Textual would read that as markup."""
    shown = tame(SafeText(text))
    return Content(as_ascii(shown) if is_ascii() else shown) if shown else None
