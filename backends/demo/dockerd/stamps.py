"""Docker's two ways of writing a moment, from nanoseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000_000
NEVER: Final = "0001-01-01T00:00:00Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def fixed(nanoseconds: int) -> str:
    """As in logs: always nine digits, ``2026-11-21T03:04:05.000000678Z``."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{_second(seconds)}.{rest:09d}Z"


def trimmed(nanoseconds: int) -> str:
    """As in inspect: without trailing zeros; 0 is Docker's zero time."""
    if nanoseconds == 0:
        return NEVER
    seconds, rest = divmod(nanoseconds, SECOND)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{_second(seconds)}{fraction}Z"


def parse(text: str) -> int:
    """Nanoseconds of a query's ``since`` or ``until``: ``seconds[.fraction]`` or RFC 3339.

    Raises ValueError.
    """
    if "T" in text:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * SECOND)
    whole, _, fraction = text.partition(".")
    return int(whole) * SECOND + int((fraction + "000000000")[:9])
