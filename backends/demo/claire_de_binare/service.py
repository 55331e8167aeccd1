"""One service on the bus: a process with a log, a Redis connection of its own and, mostly, a web server."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backends.demo.course import begin, end
from backends.demo.database import Database
from backends.demo.dockerd.log_store import LogStore
from backends.demo.port import HttpPort

STRATEGY: Final = "paper"
SYMBOL: Final = "BTCUSDT"
HALT: Final = "stream.bot_shutdown"
ALLOCATIONS: Final = "stream.allocation_decisions"
CAP: Final = 10_000
_LISTEN: Final = 0.3
_BLOCK: Final = 500
"""Milliseconds a read of a stream waits."""

Hear = Callable[[str, dict[str, Any]], Awaitable[None]]


class Service:
    """A workload. What it remembers is lost when it ends: ``forget`` is called at each start."""

    logger = "service"
    style = "{at} [{level}] {logger}: {text}"
    channels: Sequence[str] = ()
    is_deaf = False
    """Its consumer has ended although the process lives."""

    def __init__(self, connect: Callable[[], Redis], log: LogStore, database: Database | None = None) -> None:
        """``database`` is a connection of its own, closed when the service ends."""
        self._connect = connect
        self.database = database
        self.log = log
        self.redis = connect()
        self.port = HttpPort(Starlette(routes=[*self.routes(), Route("/metrics", self._metrics)]))
        self.is_up = False
        self.started = time.time()
        self._tasks: list[asyncio.Task[None]] = []

    # What each service is

    def forget(self) -> None:
        """A new process remembers nothing."""

    def health(self) -> Mapping[str, Any]:
        return {"status": "ok", "service": self.logger, "version": "0.1.0"}

    def status(self) -> Mapping[str, Any] | None:
        """None for a service without one."""
        return None

    def metrics(self) -> Mapping[str, float]:
        return {}

    async def began(self) -> None:
        """Right after the start."""

    def work(self) -> Sequence[Awaitable[None]]:
        """What goes on while it runs, besides listening."""
        return ()

    async def hear(self, channel: str, message: dict[str, Any]) -> None:
        """A message of one of its channels."""

    # Workload

    async def start(self) -> None:
        self.forget()
        self.started = time.time()
        await self.port.open()
        self.is_up = True
        await self.began()
        works = [self._run(each) for each in self.work()]
        if self.channels:
            works.append(self._listen())
        self._tasks = [begin(each) for each in works]

    async def stop(self, how: signal.Signals) -> None:  # noqa: ARG002 # it ends the same way by any
        self.is_up = False
        tasks, self._tasks = self._tasks, []
        await end(*tasks)
        await self.port.close()
        with suppress(RedisError):
            await self.redis.aclose()
        if self.database is not None:
            await self.database.close()

    def freeze(self, is_on: bool) -> None:
        self.port.freeze(is_on)

    async def check(self) -> tuple[bool, str]:
        return self.is_up, "" if self.is_up else "curl: (7) Failed to connect: Connection refused"

    # Tools

    def say(self, level: str, text: str) -> None:
        now = time.time()
        at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))},{int(now * 1000) % 1000:03d}"
        self.log.write([self.style.format(at=at, level=level, logger=self.logger, text=text).encode()])

    async def publish(self, channel: str, message: Mapping[str, Any]) -> None:
        await self.redis.publish(channel, json.dumps(message))

    async def add(self, stream: str, fields: Mapping[str, Any], cap: int = CAP) -> None:
        texts: dict[Any, Any] = {name: str(value) for name, value in fields.items() if value is not None}
        await self.redis.xadd(stream, texts, maxlen=cap, approximate=True)

    async def follow(self, stream: str, take: Callable[[dict[str, str]], Awaitable[None]]) -> None:
        """Every entry from the first on, for ever."""
        last = "0-0"
        reader = self._connect()
        try:
            while True:
                try:
                    answer: Any = await reader.xread({stream: last}, block=_BLOCK)
                    for _, entries in answer or ():
                        for ident, fields in entries:
                            last = ident
                            await take(fields)
                except RedisError:
                    await asyncio.sleep(1.0)
        finally:
            with suppress(RedisError):
                await reader.aclose()

    async def _run(self, work: Awaitable[None]) -> None:
        await work

    async def _listen(self) -> None:
        while True:
            link: PubSub = self.redis.pubsub(ignore_subscribe_messages=True)
            try:
                await link.subscribe(*self.channels)
                while not self.is_deaf:
                    got = await link.get_message(timeout=_LISTEN)
                    if got is not None:
                        await self.hear(str(got["channel"]), json.loads(got["data"]))
            except RedisError as error:
                self.say("ERROR", f"Redis connection lost: {error}")
            finally:
                with suppress(RedisError):
                    await link.aclose()  # type: ignore[no-untyped-call]  # the library gives this method no types
            await asyncio.sleep(1.0)

    def routes(self) -> list[Route]:
        return [Route("/health", self._health), Route("/status", self._status)]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse(dict(self.health()))

    async def _status(self, _request: Request) -> Response:
        said = self.status()
        return JSONResponse({"error": "not found"}, 404) if said is None else JSONResponse(dict(said))

    async def _metrics(self, _request: Request) -> Response:
        lines = [f"{name} {value:g}" for name, value in self.metrics().items()]
        return PlainTextResponse("\n".join(lines) + "\n")
