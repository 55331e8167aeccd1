"""A worker's process: it begins anew at each start, and an error ends it with exit code 1."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from backends.demo.course import end
from backends.demo.dockerd.log_store import LogStore
from backends.demo.surveillance.structlog import Events

SILENCE: Final = 5.0
"""Seconds without a message after which the Redis client of a worker gives up: its time-out counts for the
subscription as well."""


class Worker(ABC):
    """The workload of one of the three containers."""

    service: str

    def __init__(self, redis: Redis, log: LogStore) -> None:
        self.redis = redis
        self.log = Events(log, self.service)
        self.on_crash: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Told when it ends by itself."""
        self._work: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._moves = asyncio.Event()
        self._moves.set()

    async def start(self) -> None:
        self._work = asyncio.create_task(self._live())

    async def stop(self, how: signal.Signals) -> None:  # noqa: ARG002 # it has nothing to tidy up
        work, self._work = self._work, None
        if work is not None:
            await end(work)

    def freeze(self, is_on: bool) -> None:
        if is_on:
            self._moves.clear()
        else:
            self._moves.set()

    async def check(self) -> tuple[bool, str]:
        """As compose checks it: Redis answers, and nothing else is asked."""
        try:
            await self.redis.ping()
        except RedisError as error:
            return False, f"redis.exceptions.ConnectionError: {error}"
        return True, ""

    @abstractmethod
    async def run(self) -> None:
        """What it does from its start on."""

    async def pace(self, seconds: float) -> None:
        """Wait, and as long as the container is paused."""
        await asyncio.sleep(seconds)
        await self._moves.wait()

    async def listen(self, channel: str) -> PubSub:
        """Subscribe."""
        heard = self.redis.pubsub()
        await heard.subscribe(channel)
        self.log.info("pubsub_subscribed", channel=channel)
        return heard

    async def hear(self, heard: PubSub) -> bytes | str:
        """The next message. Raises TimeoutError after five seconds of silence."""
        async with asyncio.timeout(SILENCE):
            while True:
                message = await heard.get_message(ignore_subscribe_messages=True, timeout=SILENCE)
                if message is not None:
                    await self._moves.wait()
                    said: bytes | str = message["data"]
                    return said

    async def _live(self) -> None:
        self.log.info(f"{self.service.replace('-', '_')}_service_starting")
        try:
            self.log.info("redis_connected")
            await self.run()
        except Exception as error:
            # Whatever it is: the real one logs it and exits.
            self.log.error("service_failed", error=str(error) or "Timeout reading from socket")
            self.log.trace(error)
            if self.on_crash is not None:
                # From a task of its own: ending the container cancels this one.
                self._end = asyncio.create_task(self.on_crash())
