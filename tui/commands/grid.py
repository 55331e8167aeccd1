"""Plain-text tables for a terminal or a mail: columns as wide as their widest cell, no colour needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = "  "


def grid(rows: Iterable[Sequence[str]], indent: str = "  ", widest: int = 48) -> list[str]:
    """Lines with aligned columns; every cell but the last is cut to ``widest`` characters."""
    cut = [[_cut(cell, widest) for cell in row[:-1]] + list(row[-1:]) for row in rows]
    count = max((len(row) for row in cut), default=0)
    widths = [max((len(row[i]) for row in cut if i < len(row) - 1), default=0) for i in range(count)]
    return [(indent + GAP.join(cell.ljust(widths[i]) for i, cell in enumerate(row))).rstrip() for row in cut]


def _cut(cell: str, widest: int) -> str:
    return cell if len(cell) <= widest else f"{cell[: widest - 1]}…"
