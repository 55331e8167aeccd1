"""A frame with a title around a widget; bright while the keyboard is inside."""

from __future__ import annotations

from typing import Final, Self

from textual.containers import Container
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from backends.model.safetext import NO_TEXT, SafeText
from widgets.alike import repeated
from widgets.cells import as_ascii, tame, width_of
from widgets.glyphs import is_ascii

_AROUND: Final = 6
"""Cells of a corner, an edge and a space on either side of a text in the frame."""


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
        self._edge: Region | None = None
        self.set_class(is_ascii(), "-ascii")
        self.label(title, subtitle)

    def label(self, title: SafeText, subtitle: SafeText = NO_TEXT) -> None:
        """Change what the frame says; only the place of what has changed is painted."""
        width, height = self.outer_size
        if title != self._title:
            cells = min(width, _cells(title, self._title))
            self._edge = Region(0, 0, cells, 1)
            self._title = title
            self.border_title = _plain(title)
        if subtitle != self._subtitle:
            cells = min(width, _cells(subtitle, self._subtitle))
            self._edge = Region(width - cells, height - 1, cells, 1)
            self._subtitle = subtitle
            self.border_subtitle = _plain(subtitle)
        self._edge = None

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """As the toolkit's, which for another word in the frame, or another colour, paints all in it too."""
        if not regions and repaint and not layout and self.outer_size:
            gutter = self.gutter
            edges = self._frame() if self._edge is None else (self._edge,)
            regions = tuple(edge.translate((-gutter.left, -gutter.top)) for edge in edges)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> list[Strip]:
        """As the toolkit's; between the edges there is only the frame on both sides."""
        return repeated(super().render_lines, crop, range(1, self.outer_size.height - 1))

    def _frame(self) -> tuple[Region, ...]:
        """All that a pane paints itself: what lies within belongs to its children."""
        width, height = self.outer_size
        gutter = self.gutter
        edges = (
            Region(0, 0, width, gutter.top),
            Region(0, height - gutter.bottom, width, gutter.bottom),
            Region(0, 0, gutter.left, height),
            Region(width - gutter.right, 0, gutter.right, height),
        )
        return tuple(edge for edge in edges if edge.area)


def _cells(now: SafeText, before: SafeText | None) -> int:
    """Cells that a text in the frame and the one before take, with what stands around them."""
    return max(width_of(tame(now)), width_of(tame(before or NO_TEXT))) + _AROUND


def _plain(text: SafeText) -> Content | None:
    """Never a ``str``: Textual would read that as markup."""
    shown = tame(SafeText(text))
    return Content(as_ascii(shown) if is_ascii() else shown) if shown else None
