"""A widget that paints itself line by line, as cheaply as Textual allows.

Textual asks a widget for all of its lines whenever anything near it changed, and its own style cache
costs more than the lines do. So each line is one Strip that is kept until it is touched, borders belong
to the pane around, and only touched lines go to the terminal. The price: no selection by mouse and no
opacity. Line filters are honoured by the ``Painter``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Self

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from backends.model.safetext import SafeText
from widgets.cells import as_ascii, tame, width_of, window
from widgets.glyphs import is_ascii
from widgets.painter import Painter
from widgets.roles import BADGES, Role
from widgets.strip_change import changed_cells


class Line:
    """One line being put together from left to right. Neighbours of one style become one segment.

    A space shows no ink, so it takes the style of a neighbour: every change of colour that is saved is
    some forty bytes less to the terminal.
    """

    __slots__ = ("_field", "_is_plain", "_painter", "_parts", "_spaces", "_style", "segments", "width")

    def __init__(self, painter: Painter, field: str | None = None) -> None:
        self._painter = painter
        self._field = field
        self._parts: list[str] = []
        self._style: Style | None = None
        self._is_plain = False
        self._spaces = ""
        self.segments: list[Segment] = []
        self.width = 0
        """Cells so far."""

    def add(self, text: str, role: Role = "text") -> None:
        """Append text; outside text must be SafeText, and is cleaned again if somehow it is not."""
        if not text:
            return
        if text.isascii() and text.isprintable():
            self.width += len(text)
        else:
            text = tame(text if text.isprintable() else SafeText(text))
            if is_ascii():
                text = as_ascii(text)
            self.width += width_of(text)
        if role not in BADGES and text.isspace():
            if self._is_plain:
                self._parts.append(text)
            else:
                self._spaces += text
            return
        style = self._painter.style(role, self._field)
        if style is not self._style or self._spaces:
            self._begin(style, role not in BADGES and not style.underline and not style.reverse)
        self._parts.append(text)

    def strip(self, width: int) -> Strip:
        """The line in exactly ``width`` cells."""
        if self.width < width:
            self.add(" " * (width - self.width))
        self._begin(self._painter.style("text", self._field), is_plain=True)
        self._flush()
        if self.width <= width:
            return Strip(self.segments, width)
        return _cropped(self.segments, width)

    def _begin(self, style: Style, is_plain: bool) -> None:
        """Go on in another style; spaces that are held go with it, or alone when it would show them."""
        self._flush()
        if self._spaces and is_plain:
            self._parts.append(self._spaces)
        elif self._spaces:
            self.segments.append(Segment(self._spaces, self._painter.style("text", self._field)))
        self._spaces = ""
        self._style = style
        self._is_plain = is_plain

    def _flush(self) -> None:
        if self._parts:
            self.segments.append(Segment("".join(self._parts), self._style))
            self._parts = []


def _cropped(segments: Iterable[Segment], width: int) -> Strip:
    kept: list[Segment] = []
    left = width
    for text, style, _ in segments:
        size = width_of(text)
        kept.append(Segment(text if size <= left else window(text, 0, left), style))
        left -= min(size, left)
        if left <= 0:
            break
    return Strip(kept, width)


class LineWidget(Widget):
    """Subclasses say what each line holds (``paint``) and which lines changed (``touch``)."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip | None] = []
        self._drawn_width = 0
        self._outer: Size | None = None
        self._inner = Size(0, 0)
        self._painter: Painter | None = None

    @abstractmethod
    def paint(self, y: int, line: Line) -> None:
        """Put line ``y`` together; what it leaves empty is background."""

    def field_of(self, y: int) -> str | None:  # noqa: ARG002  a subclass decides by line
        """The theme colour behind line ``y``, None for the widget's own background."""
        return None

    def settle(self) -> None:
        """Called before lines are drawn at a new size."""

    @property
    def size(self) -> Size:
        """The cells inside, as the toolkit's, which looks it up in its whole layout each time."""
        if self.outer_size is not self._outer:
            self._inner = super().size
            # While hidden it has none, and then the same outer one again.
            self._outer = self.outer_size if self._inner else None
        return self._inner

    @property
    def painter(self) -> Painter:
        """The styles of the current theme on this widget's background."""
        if self._painter is None:
            self._painter = Painter(*self._colours(), self.app.get_line_filters())
        return self._painter

    def touch(self, *lines: int) -> None:
        """Have these lines painted again; only the cells that differ go to the terminal."""
        width, height = self.size
        if width != self._drawn_width or height != len(self._strips):
            return  # drawn whole at the new size
        regions = []
        for y in lines:
            if not 0 <= y < height:
                continue
            before = self._strips[y]
            after = self._strips[y] = None if before is None else self._draw(y, self.painter, width)
            cells = (0, width) if before is None or after is None else changed_cells(before, after)
            if cells is not None:
                regions.append(Region(cells[0], y, cells[1] - cells[0], 1))
        if regions:
            self.refresh(*regions)

    def put(self, strips: list[Strip | None]) -> None:
        """Show these lines, some of them drawn already and only in another place; None is painted."""
        before, self._strips = self._strips, strips
        width = self.size.width
        moved = [
            Region(0, y, width, 1)
            for y, strip in enumerate(strips)
            if strip is None or y >= len(before) or strip is not before[y]
        ]
        if moved:
            self.refresh(*moved)

    def touch_all(self) -> None:
        """Have every line painted again."""
        self._strips = [None] * len(self._strips)
        self.refresh()

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """As the toolkit's, which paints a whole widget when the focus comes and goes; here only lines that
        were touched are painted."""
        if repaint and not (regions or layout or recompose) and any(self._strips):
            stale = [y for y, strip in enumerate(self._strips) if strip is None]
            if not stale:
                return self
            regions = tuple(Region(0, y, self.size.width, 1) for y in stale)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._outer = None
        # Also called when only the focus moved, which changes no colour of a line.
        if self._painter is not None and self.is_attached and not self._painter.fits(*self._colours()):
            self._painter = None
            self.touch_all()

    def _colours(self) -> tuple[Mapping[str, str], Color]:
        return self.app.theme_variables, self.background_colors[1]

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of ``crop``; only those that were touched are painted."""
        self._match_size()
        painter = self.painter
        strips = self._strips
        width = self._drawn_width
        lines: list[Strip] = []
        for y in range(crop.y, crop.bottom):
            strip = strips[y] if 0 <= y < len(strips) else Strip.blank(width, painter.style("text"))
            if strip is None:
                strip = strips[y] = self._draw(y, painter, width)
            lines.append(strip)
        if crop.x or crop.width != width:
            return [strip.crop(crop.x, crop.right) for strip in lines]
        return lines

    def render_line(self, y: int) -> Strip:
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _draw(self, y: int, painter: Painter, width: int) -> Strip:
        line = Line(painter, self.field_of(y))
        self.paint(y, line)
        return line.strip(width)

    def _match_size(self) -> None:
        width, height = self.size
        if width != self._drawn_width or height != len(self._strips):
            self._drawn_width = width
            self._strips = [None] * height
            self.settle()

    def on_resize(self) -> None:
        self._match_size()
