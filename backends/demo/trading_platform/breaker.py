"""The circuit breaker as the gateway reads it. ``OPEN`` means trading is allowed. Nothing trips it here."""

from __future__ import annotations

import json
from typing import Any, Final

from redis.asyncio import Redis

KEY: Final = "circuit_breaker:state"
HISTORY: Final = "circuit_breaker:trip_history"
FRESH: Final = {
    "state": "OPEN", "tripped_at": None, "trip_reason": None, "trip_details": None,
    "reset_at": None, "reset_by": None, "trip_count_today": 0,
}  # fmt: skip


class NoBreakerError(Exception):
    """The key is missing: new orders are blocked until an operator creates it."""


async def status(redis: Redis) -> dict[str, Any]:
    """The whole object. Raises NoBreakerError when missing; KeyError or ValueError when malformed."""
    raw = await redis.get(KEY)
    if raw is None:
        raise NoBreakerError("Circuit breaker state missing from Redis")
    state = json.loads(raw)
    if state["state"] not in ("OPEN", "TRIPPED", "QUIET_PERIOD"):
        raise ValueError(f"{state['state']!r} is not a valid CircuitBreakerState")
    return dict(state)
