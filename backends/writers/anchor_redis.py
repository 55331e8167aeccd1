"""Keeps the journal's heads in a Redis stream that is only added to."""

from __future__ import annotations

from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from backends.model.anchor import AnchorError, AnchorPlace, Mark

LIMIT: Final = 2.0
"""Seconds to connect, and again for the answer."""

KEPT: Final = 100_000
"""Heads kept; the oldest go first."""


class RedisAnchor:
    """One connection for each head: there is one a minute at most, and none may be stale."""

    def __init__(self, place: AnchorPlace) -> None:
        self._place = place

    def put(self, mark: Mark) -> None:
        """Add it to ``<name>:<host>``. Raises AnchorError."""
        place = self._place
        fields: dict[Any, Any] = {"journal": mark.journal, "seq": mark.seq, "hash": mark.hash, "at": mark.at}
        try:
            client = Redis.from_url(
                place.url,
                username=place.username,
                password=None if place.password is None else place.password.reveal(),
                socket_timeout=LIMIT,
                socket_connect_timeout=LIMIT,
                retry=Retry(NoBackoff(), 0),
            )
            with client:
                client.xadd(f"{place.name}:{mark.host}", fields, maxlen=KEPT, approximate=True)
        except (RedisError, OSError, ValueError) as error:
            raise AnchorError(f"Redis did not take the head: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
