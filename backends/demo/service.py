"""The process in an HTTP service's container: it takes a moment to start, then its port answers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from backends.demo.port import Asgi, HttpPort
from backends.demo.voice import Voice

Judge = Callable[[], Awaitable[tuple[bool, str]]]
"""What ``curl -f .../health`` finds: whether the answer is well, and what it prints."""
Start = Callable[[], Awaitable[None]]


class HttpService:
    """A workload behind a port of its own."""

    def __init__(
        self, app: Asgi, voice: Voice, judge: Judge | None = None, on_start: Start | None = None
    ) -> None:
        self.port = HttpPort(app)
        self._voice = voice
        self._judge = judge
        self._on_start = on_start
        self._boot = 0.0
        self._starting: asyncio.Task[None] | None = None
        self.is_up = False

    async def start(self) -> None:
        """The first start is at once; a later one takes as long as Python needs to import things."""
        if self._boot == 0.0:
            self._boot = 1.5
            await self._open()
        else:
            self._starting = asyncio.create_task(self._open_later())

    async def stop(self, how: signal.Signals) -> None:
        if self._starting is not None:
            self._starting.cancel()
        if self.is_up and how != signal.SIGKILL:
            for line in (b"INFO:     Shutting down", b"INFO:     Application shutdown complete."):
                self._voice.raw(line)
        self.is_up = False
        await self.port.close()

    def freeze(self, is_on: bool) -> None:
        self.port.freeze(is_on)

    async def check(self) -> tuple[bool, str]:
        if not self.is_up:
            where = self.port.url.rpartition(":")[2]
            return False, f"curl: (7) Failed to connect to localhost port {where}: Connection refused"
        return await self._judge() if self._judge else (True, "")

    async def _open_later(self) -> None:
        self._voice.raw(b"INFO:     Started server process [1]")
        self._voice.raw(b"INFO:     Waiting for application startup.")
        await asyncio.sleep(self._boot)
        await self._open()
        self._voice.raw(b"INFO:     Application startup complete.")

    async def _open(self) -> None:
        if self._on_start is not None:
            await self._on_start()
        await self.port.open()
        self.is_up = True
