"""What a program printed, as a receipt shows it."""

from __future__ import annotations

from typing import Final

from backends.model.safetext import SafeText
from backends.program import OUTPUT_LIMIT

_LEFT_OUT: Final = "… earlier output left out | "


def shown(lines: list[str], *, is_cut: bool) -> SafeText:
    """The lines as one, inert; of too many the last."""
    clean = SafeText(" | ".join(lines), OUTPUT_LIMIT * 4)
    if is_cut or len(clean) > OUTPUT_LIMIT:
        clean = SafeText(f"{_LEFT_OUT}{clean[-OUTPUT_LIMIT:]}", OUTPUT_LIMIT + len(_LEFT_OUT))
    return clean
