"""Which cells of a line are other than before: only they need to go to the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from textual.strip import Strip

from widgets.cells import width_of


def changed_cells(before: Strip, after: Strip) -> tuple[int, int] | None:
    """From and to (exclusive) of what differs between two lines of one width; None when nothing does."""
    old, new = list(before), list(after)
    start = _alike(old, new)
    end = after.cell_length - _alike(_reversed(old), _reversed(new))
    return (start, end) if start < end else None


def _alike(old: Sequence[Segment], new: Sequence[Segment]) -> int:
    """Cells from the beginning that are the same in both."""
    cells = 0
    for (was, old_style, _), (text, style, _) in zip(old, new, strict=False):
        if old_style != style:
            break
        if was != text:
            cells += _common(was, text)
            break
        cells += width_of(text)
    return cells


def _common(was: str, text: str) -> int:
    # A character of several code points is never cut: only plain ones are looked at one by one.
    if not (was.isascii() and text.isascii()):
        return 0
    for cells, (one, other) in enumerate(zip(was, text, strict=False)):
        if one != other:
            return cells
    return min(len(was), len(text))


def _reversed(segments: Iterable[Segment]) -> list[Segment]:
    return [Segment(text[::-1] if text.isascii() else text, style) for text, style, _ in segments][::-1]
