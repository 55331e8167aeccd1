"""Finding records: by time, run, stack and kind."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from backends.model.clock import Instant

_AGO: Final = re.compile(r"(?P<count>\d{1,6})\s*(?P<unit>[smhd])")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Query(Struct, frozen=True):
    """What is wanted; empty asks for everything."""

    since: str = ""
    """UTC, as records have it: ``2026-11-21T03:04:05.678Z``."""
    operation: str = ""
    """The operation's id, or how it begins."""
    stack: str = ""
    kind: str = ""
    last: int | None = None
    """Only so many, the newest."""

    def select(self, records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The records that match, in their order."""
        return list(deque((record for record in records if self._wants(record)), self.last))

    def _wants(self, record: Mapping[str, Any]) -> bool:
        return (
            str(record.get("at", "")) >= self.since
            and str(record.get("operation", "")).startswith(self.operation)
            and self.stack in ("", record.get("stack"))
            and self.kind in ("", record.get("kind"))
        )


def moment(text: str, now: Instant) -> str:
    """A time as records have it, from ``30m``, ``2h``, ``7d`` (ago) or a date and time, UTC unless it says
    otherwise. Raises ValueError in words.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return Instant(0.0, now.wall - int(ago["count"]) * _SECONDS[ago["unit"]]).iso()
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"expected 30m, 2h, 7d or 2026-11-21T03:04, got {text!r}") from None
    return Instant(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()).iso()
