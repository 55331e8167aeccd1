"""Lines of which one looks like the other: the toolkit would put each of them together by itself."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


def repeated(render: Callable[[Region], list[Strip]], crop: Region, alike: range) -> list[Strip]:
    """The lines of ``crop`` as ``render`` makes them; of the lines ``alike`` only the first is asked for."""
    strips: list[Strip] = []
    same: Strip | None = None
    for y in range(crop.y, crop.bottom):
        strip = same if y in alike else None
        if strip is None:
            (strip,) = render(Region(crop.x, y, crop.width, 1))
            same = strip if y in alike else same
        strips.append(strip)
    return strips


class Background(Widget):
    """After a class of the toolkit that shows nothing itself but its background and what lies on it: the
    first base is the one whose styles are taken over."""

    def render_lines(self, crop: Region) -> list[Strip]:
        return repeated(super().render_lines, crop, range(self.outer_size.height))
