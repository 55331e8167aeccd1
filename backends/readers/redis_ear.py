"""What is published on a channel, heard over a connection of its own and remembered for some time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from math import inf
from typing import Final

from msgspec.structs import replace
from redis.exceptions import NoPermissionError, RedisError

from backends.model.clock import Clock
from backends.model.fact import NONE, Absent, Fact, Finding
from backends.model.query import RedisQuery
from backends.model.row import UncountableError, meets
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.readers.extract import COLUMN_LIMIT, ROW_LIMIT, Members, broken, entry, extract, listed
from backends.readers.failure import silence
from backends.readers.redis_link import Link

LIMIT: Final = 1 << 20
"""Bytes of messages that are taken in at once."""
MESSAGE_LIMIT: Final = 4096
"""Bytes of one message that are looked at and kept."""
KEPT_LIMIT: Final = 1 << 18
"""Bytes of messages that are kept for one fact."""
_GIVE_WAY: Final = 20
"""Messages after which others have the loop: a gate's answer may wait for it."""

Row = dict[str, SafeText]


class Ear:
    """Listens from when it is first asked to. Nothing repeats what was published while nobody listened: after
    a broken connection it begins anew, and what it heard before stays."""

    def __init__(self, source: Source, channel: str, clock: Clock, seconds: float) -> None:
        self._source = source
        self._channel = channel
        self._clock = clock
        self._seconds = seconds
        self._link: Link | None = None
        self._since = inf
        """Monotonic seconds from which on nothing was missed."""
        self._kept: dict[str, Kept] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._why: str | None = None

    def remember(self, facts: Iterable[Fact]) -> None:
        """Keep for these facts what is heard from now on, in addition to others."""
        for fact in facts:
            self._kept.setdefault(fact.id, Kept(fact, self._clock.now().mono))

    async def listen(self, within: float) -> None:
        """Take in what came since the last time. Never raises, and takes no longer than ``within`` seconds:
        what does goes on by itself, and counts when it is done."""
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear())
        done, _ = await asyncio.wait({self._hearing}, timeout=within)
        if not done:
            self._why = silence(within)

    async def move(self, source: Source) -> None:
        """Listen there from now on."""
        if source != self._source:
            await self.close()
            self._source = source

    def wait(self, why: str) -> None:
        """It is not the time to listen: what comes meanwhile waits on the connection, if that lasts."""
        self._why = why

    async def close(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait({hearing})
        await self._drop()

    def finding(self, fact: Fact) -> Finding:
        """What was heard in the last ``minutes``. Absent while nothing was and not all of that time was
        listened to: nobody knows."""
        if self._why is not None:
            return broken(self._why)
        return self._kept[fact.id].finding(self._clock.now().mono, self._since)

    async def _hear(self) -> None:
        is_whole = False
        try:
            async with asyncio.timeout(self._seconds):
                link = self._link = self._link or Link(self._source, self._seconds)
                number = 0
                async for message in link.hear(self._channel, LIMIT):
                    self._take(message)
                    number += 1
                    if number % _GIVE_WAY == 0:
                        await asyncio.sleep(0)
            is_whole = True
        except Exception as error:  # Also a fault of ours: what else is asked of the server is answered.
            self._why = self._reason(error)
        finally:
            # Also of one that is called off: what was on its way to it is lost.
            if not is_whole:
                await self._drop()
        if is_whole:
            self._why = None
            self._since = min(self._since, self._clock.now().mono)

    def _take(self, message: bytes) -> None:
        told = entry(message[:MESSAGE_LIMIT])
        # An object that is broken off, or no JSON, may say anything.
        is_read = len(message) <= MESSAGE_LIMIT and not (told == message and message.lstrip()[:1] == b"{")
        table = listed([told], 1)
        row = dict(zip(table.columns, table.rows[0], strict=True))
        size = min(len(message), MESSAGE_LIMIT)
        for kept in self._kept.values():
            kept.take(self._clock.now().mono, row, size, is_read=is_read)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return silence(self._seconds)
        if isinstance(error, NoPermissionError):
            return "not permitted: PSUBSCRIBE"
        return "its address is not one of a Redis server" if self._link is None else self._link.reason(error)

    async def _drop(self) -> None:
        link, self._link, self._since = self._link, None, inf
        if link is not None:
            with suppress(RedisError, OSError, RuntimeError, ValueError):  # it is dropped either way
                await link.close()


class Kept:
    """The messages that one fact is about. What others say on the channel pushes none of them out."""

    def __init__(self, fact: Fact, began: float) -> None:
        self._fact = replace(fact, where={})
        self._where = fact.where
        self._within = fact.query.minutes * 60 if isinstance(fact.query, RedisQuery) else 0.0
        self._began = began
        self._rows: deque[tuple[float, int, Row]] = deque()
        self._size = 0
        self._more: Counter[int] = Counter()
        """How many were not kept, by the second in which they were heard."""
        self._judged = self._unread = self._odd = -inf
        """When the last one came that is not meant, of which nobody knows, and that has no such column."""

    def take(self, at: float, row: Row, size: int, *, is_read: bool) -> None:
        """``is_read``: nothing of the message is missing in the row."""
        has_all = all(column in row for column in self._where)
        if not has_all and not (is_read and len(row) < COLUMN_LIMIT):
            self._unread = at
            return
        try:
            is_met = meets({**dict.fromkeys(self._where, NONE), **row}, self._where)
        except UncountableError:
            self._unread = at
            return
        if is_met:
            self._keep(at, row, size)
        elif not is_read:
            self._unread = at
        elif has_all:
            self._judged = at
        else:
            self._odd = at

    def finding(self, now: float, since: float) -> Finding:
        """``since``: from when on nothing was missed."""
        self._forget(now)
        total = len(self._rows) + sum(self._more.values())
        if not total:
            begun = now - self._within
            if self._unread >= begun:
                return broken("a message was heard of which nobody can say what it means")
            if self._odd >= begun > self._judged:
                return broken(f"no column {' or '.join(self._where)} in what was heard")
            if max(since, self._began) > begun:
                return Absent()
        return extract(self._fact, Members([row for _, _, row in self._rows], total))

    def _keep(self, at: float, row: Row, size: int) -> None:
        self._rows.append((at, size, row))
        self._size += size
        self._forget(at)
        while len(self._rows) > ROW_LIMIT or self._size > KEPT_LIMIT:
            self._more[int(self._pop())] += 1

    def _forget(self, now: float) -> None:
        while self._rows and now - self._rows[0][0] > self._within:
            self._pop()
        while self._more and now - (oldest := next(iter(self._more))) > self._within + 1:
            del self._more[oldest]

    def _pop(self) -> float:
        at, size, _ = self._rows.popleft()
        self._size -= size
        return at
