"""Keeping the endless answers of one engine open, and saying in its logs where lines may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import inf
from typing import Final

from backends.model.clock import Clock
from backends.model.port import LogSink
from backends.model.stack import Source
from backends.readers.docker_client import DockerClient, Place
from backends.readers.docker_logs import LogFeed
from backends.readers.docker_stream import Feed, Pump

_STARTED_AGAIN: Final = "what follows the logs ended and was started again"
_MOVED: Final = "another engine answers than before"


class Streams:
    """The feeds of one source, on a thread that the first of them starts."""

    def __init__(self, source: Source, logs: LogSink | None, clock: Clock) -> None:
        self._source = source
        self._logs = logs
        self._clock = clock
        self._feeds: Mapping[str, Feed] = {}
        self._pump: Pump | None = None
        self._place: Place | None = None
        self._is_closed = False

    def follow(self, feeds: Mapping[str, Feed], place: Place | None) -> None:
        """Keep exactly these open from now on; nothing happens once closed. For one thread at a time.

        ``place`` is that of the engine, None while that is not known: when it is another one than before,
        none of what is open is kept, which leads to the old one.
        """
        if self._is_closed:
            return
        self._feeds = feeds
        has_moved = self._has_moved(place)
        if self._pump is not None and (has_moved or not self._pump.is_alive):
            self._pump.stop()
            self._mark_gaps(_MOVED if has_moved else _STARTED_AGAIN)
            for feed in feeds.values():
                feed.retry_at = 0.0  # those that were open do not know that they no longer are
            self._pump = None
        if self._pump is None and feeds:
            after = self._logs.settle if self._logs is not None else _nothing
            name = f"docker-{self._source.id}"
            self._pump = Pump(name, self._connect, self._clock, after, self._mark_gaps)
            self._pump.start()
        if self._pump is not None:
            self._pump.follow(feeds)

    def _has_moved(self, place: Place | None) -> bool:
        """Whether that is certainly another one; an address not known tells nothing, and hides none."""
        before = self._place
        if place is None:
            return False
        if before is None or place[0] != before[0]:
            self._place = place
            return before is not None
        self._place = place[0], place[1] or before[1]
        return before[1] is not None and self._place[1] != before[1]

    async def close(self) -> None:
        """End the thread and close what it has open; a second at most."""
        self._is_closed = True
        if self._pump is not None:
            await asyncio.to_thread(self._pump.stop)

    def _mark_gaps(self, why: str) -> None:
        """In every log that is followed. From any thread."""
        for feed in self._feeds.values():
            if isinstance(feed, LogFeed):
                feed.mark_gap(why)

    def _connect(self) -> DockerClient:
        return DockerClient(self._source, self._source.deadline)


def _nothing() -> float:
    return inf
