"""How old something is, in the fewest characters."""

from __future__ import annotations

import math

from backends.model.safetext import SafeText


def age_text(seconds: float | None) -> SafeText:
    """``3s``, ``12m``, ``5h``, ``2d``; ``?`` for an age that is not known or cannot be."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return SafeText("?")
    whole = int(seconds)
    if whole < 60:
        return SafeText(f"{whole}s")
    if whole < 3600:
        return SafeText(f"{whole // 60}m")
    if whole < 48 * 3600:
        return SafeText(f"{whole // 3600}h")
    return SafeText(f"{whole // 86400}d")
