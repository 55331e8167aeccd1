"""The styles of one widget: role by role, made once per theme and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.filter import LineFilter

from widgets.roles import LOOKS, Role


class Painter:
    """Turns roles into Rich styles on one backdrop.

    Line filters (NO_COLOR and its like) are applied here, to each style once, instead of to every line:
    what Textual's own filters do to a line depends on the styles in it and on nothing else.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        backdrop: Color,
        filters: Sequence[LineFilter] = (),
    ) -> None:
        self._variables = variables
        self._backdrop = backdrop
        self._filters = filters
        self._styles: dict[tuple[Role, str | None], Style] = {}

    def fits(self, variables: Mapping[str, str], backdrop: Color) -> bool:
        """Whether its styles are those of this theme on this backdrop."""
        return backdrop == self._backdrop and variables == self._variables

    def style(self, role: Role, field: str | None = None) -> Style:
        """The style of a role on the backdrop, or on the theme colour named ``field``. A badge keeps its
        own fill. A colour the theme does not name falls back to Textual's foreground."""
        key = (role, field)
        found = self._styles.get(key)
        if found is None:
            found = self._styles[key] = self._make(role, field)
        return found

    def _make(self, role: Role, field: str | None) -> Style:
        look = LOOKS[role]
        behind = look.fill or field
        fill = self._color(behind, self._backdrop) if behind else self._backdrop
        default = fill.get_contrast_text(1.0) if look.fill else self._foreground(fill)
        ink = self._color(look.ink, default)
        words = self._variables.get(f"{look.ink if look.fill is None else look.fill}-style", "").split()
        style = Style(
            color=ink.rich_color,
            bgcolor=fill.rich_color,
            bold=look.is_bold or "bold" in words or None,
            italic="italic" in words or None,
            underline="underline" in words or None,
            reverse="reverse" in words or None,
        )
        for line_filter in self._filters:
            style = line_filter.apply([Segment("x", style)], self._backdrop)[0].style or style
        return style

    def _foreground(self, fill: Color) -> Color:
        return self._color("foreground", fill.get_contrast_text(1.0))

    def _color(self, name: str, default: Color) -> Color:
        try:
            color = Color.parse(self._variables[name])
        except (KeyError, ColorParseError):
            return default
        # Textual writes "auto 87%" and the like for some of its own variables; those have no colour yet.
        return color if color.a == 1 else default
