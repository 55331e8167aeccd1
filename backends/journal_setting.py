"""How long the journal is kept, as ``[room.journal]`` configures it."""

from __future__ import annotations

from typing import Final

from backends.journal.retired import LEAST
from backends.settings import Settings

_MOST: Final = 36_500
"""Days; more is for ever, which is what no setting at all says."""


def keep_days(settings: Settings) -> int | None:
    """Days after which a record may go; None for never. Raises ConfigError."""
    chosen = settings.get(("room", "journal", "keep_days"))
    if chosen is None:
        return None
    days = int(chosen.value)
    if not LEAST <= days <= _MOST:
        raise chosen.error(f"expected {LEAST} to {_MOST} days (without it, all is kept), got {days}")
    return days
