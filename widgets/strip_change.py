"""Which cells of a line are other than before: only they need to go to the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from widgets.cells import width_of


def changed_cells(before: Strip, after: Strip) -> tuple[int, int] | None:
    """From and to (exclusive) of what differs between two lines of one width; None when nothing does."""
    old, new = list(before), list(after)
    start = _alike(old, new, 1)
    if start >= after.cell_length:
        return None
    old.reverse()
    new.reverse()
    end = after.cell_length - _alike(old, new, -1)
    return (start, end) if start < end else None


def _alike(old: Sequence[Segment], new: Sequence[Segment], step: int) -> int:
    """Cells from the beginning that are the same in both; read backwards with a ``step`` of -1."""
    cells = 0
    for was, now in zip(old, new, strict=False):
        if was != now:
            return cells if was.style != now.style else cells + _common(was.text[::step], now.text[::step])
        cells += width_of(now.text)
    return cells


def _common(was: str, text: str) -> int:
    # A character of several code points is never cut: only plain ones are looked at one by one.
    if not (was.isascii() and text.isascii()):
        return 0
    for cells, (one, other) in enumerate(zip(was, text, strict=False)):
        if one != other:
            return cells
    return min(len(was), len(text))
