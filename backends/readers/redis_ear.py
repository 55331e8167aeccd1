"""What is published on a channel, heard over a connection of its own and remembered for some time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from redis.exceptions import NoPermissionError, RedisError

from backends.model.clock import Clock
from backends.model.fact import Absent, Fact, Finding, Found, Table
from backends.model.query import RedisQuery
from backends.model.stack import Source
from backends.readers.extract import ROW_LIMIT, Members, broken, extract
from backends.readers.failure import silence
from backends.readers.redis_link import Link

LIMIT: Final = 1 << 20
"""Bytes of messages that are taken in at one poll."""
_LONGEST: Final = 3600.0


class Ear:
    """Listens from when it is first asked to. Nothing repeats what was published while nobody listened: after
    a broken connection it begins anew, and what it heard before stays."""

    def __init__(self, source: Source, channel: str, clock: Clock, seconds: float) -> None:
        self.source = source
        self._channel = channel
        self._clock = clock
        self._seconds = seconds
        self._link: Link | None = None
        self._since = 0.0
        """Monotonic seconds, when it began."""
        self._heard: deque[tuple[float, bytes]] = deque(maxlen=ROW_LIMIT)
        self._why: str | None = None

    async def listen(self, within: float) -> None:
        """Take in what came since the last time, which may take ``within`` seconds."""
        link = self._link
        try:
            if link is None:
                self._link = link = Link(self.source, self._seconds)
                self._since = self._clock.now().mono
            async with asyncio.timeout(within):
                messages = await link.hear(self._channel, LIMIT)
        except (TimeoutError, RedisError, OSError, ValueError) as error:
            self._why = self._reason(error, within)
            await self.close()
            return
        self._why = None
        now = self._clock.now().mono
        self._heard.extend((now, message) for message in messages)
        while self._heard and now - self._heard[0][0] > _LONGEST:
            self._heard.popleft()

    def _reason(self, error: Exception, within: float) -> str:
        if isinstance(error, TimeoutError):
            return silence(within)
        if isinstance(error, NoPermissionError):
            return "not permitted: PSUBSCRIBE"
        return "its address is not one of a Redis server" if self._link is None else self._link.reason(error)

    def wait(self, why: str) -> None:
        """It is not the time to listen: what comes meanwhile waits on the connection, if that lasts."""
        self._why = why

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def finding(self, fact: Fact, query: RedisQuery) -> Finding:
        """What was heard in the last ``minutes``. Absent while nothing was and not all of that time was
        listened to: nobody knows."""
        if self._why is not None:
            return broken(self._why)
        now, within = self._clock.now().mono, query.minutes * 60
        items = [message for at, message in self._heard if now - at <= within]
        found = extract(fact, Members(items, len(items)))
        is_whole = now - self._since >= within
        return found if is_whole or not _is_nothing(found) else Absent()


def _is_nothing(found: Finding) -> bool:
    if not isinstance(found, Found):
        return False
    return found.value.total == 0 if isinstance(found.value, Table) else found.value == 0
