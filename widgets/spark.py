"""Recent numbers as one line of blocks: one colour, and a gap stays a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from backends.model.safetext import SafeText
from widgets.glyphs import is_ascii

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "_.-=+*#@"
_GAP: Final = "·"
_ASCII_GAP: Final = " "
_LEAST_SPAN: Final = 0.1
"""A series that moves by less than a tenth of its size looks flat, because it is."""


def spark(
    values: Sequence[float | None],
    width: int,
    low: float | None = None,
    high: float | None = None,
) -> SafeText:
    """The last ``width`` values, oldest first, in exactly ``width`` cells.

    None, and a number that is not finite, is a gap and never a zero. The scale runs from ``low`` to
    ``high``, by default from the least to the greatest of what is shown.
    """
    shown = [value if value is not None and math.isfinite(value) else None for value in values[-width:]]
    if width <= 0:
        return SafeText("")
    known = [value for value in shown if value is not None]
    bottom = min(known, default=0.0) if low is None else low
    top = max(known, default=0.0) if high is None else high
    # In halves: the distance between two finite numbers need not be one.
    span = max(top / 2 - bottom / 2, _LEAST_SPAN * max(abs(top), abs(bottom)) / 2, 1e-9)
    blocks = _ASCII if is_ascii() else _BLOCKS
    gap = _ASCII_GAP if is_ascii() else _GAP
    last = len(blocks) - 1
    # In one piece, for it is drawn of every service again and again.
    drawn = [
        gap
        if value is None
        else blocks[min(last, max(0, int((value / 2 - bottom / 2) / span * len(blocks))))]
        for value in shown
    ]
    return SafeText("".join(drawn).rjust(width))
