"""Which columns of a table fit a width, where they start and how wide they are. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from backends.model.safetext import SafeText
from widgets.cells import Align


class Column(Struct, frozen=True):
    """How one column may be shown. Widths are in cells."""

    id: str
    title: SafeText
    ideal: int
    """Width when there is room."""
    least: int | None = None
    """Width below which it is dropped rather than squeezed; None for ``ideal``."""
    align: Align = "left"
    drop: int = 0
    """Of the columns that do not fit, the highest goes first. 0 is never dropped, only cut."""
    flex: int = 0
    """Share of the room that is left over."""
    is_tail: bool = False
    """Shows the end of a text that does not fit and not its start: a sparkline's newest values."""

    @property
    def floor(self) -> int:
        return self.ideal if self.least is None else min(self.least, self.ideal)


class Placed(Struct, frozen=True):
    """A column as laid out."""

    index: int
    """Its place among the columns given, which is its place in a row's cells."""
    width: int


def lay_out(columns: Sequence[Column], width: int, gap: int = 2) -> tuple[Placed, ...]:
    """The columns that fit ``width`` with ``gap`` cells between them, in their own order.

    Columns are dropped by ``drop`` until the least widths fit; what is left then grows to its ideal
    width, the columns that are kept longest first, and room beyond that goes to ``flex``. When even the
    columns that are never dropped do not fit, the last ones are cut.
    """
    kept = list(range(len(columns)))
    while kept and _total([columns[index].floor for index in kept], gap) > width:
        last = max(kept, key=lambda index: (columns[index].drop, index))
        if columns[last].drop == 0:
            return _cut(columns, kept, width, gap)
        kept.remove(last)
    widths = {index: columns[index].floor for index in kept}
    spare = width - _total(list(widths.values()), gap)
    for index in sorted(kept, key=lambda index: columns[index].drop):
        grown = min(spare, columns[index].ideal - widths[index])
        widths[index] += grown
        spare -= grown
    shares = sum(columns[index].flex for index in kept)
    left = shares
    for index in kept:
        flex = columns[index].flex
        if flex:
            extra = spare * flex // left
            widths[index] += extra
            spare -= extra
            left -= flex
    return tuple(Placed(index, widths[index]) for index in kept)


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * max(0, len(widths) - 1)


def _cut(columns: Sequence[Column], kept: Sequence[int], width: int, gap: int) -> tuple[Placed, ...]:
    placed: list[Placed] = []
    left = width
    for index in kept:
        taken = min(columns[index].floor, left)
        if taken <= 0:
            break
        placed.append(Placed(index, taken))
        left -= taken + gap
    return tuple(placed)
