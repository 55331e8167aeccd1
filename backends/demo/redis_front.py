"""What the room takes for Redis: a TCP port on loopback that passes everything on to the real server.

It stands for the network between the room and Redis, so that faults of that path (no answer, refused)
do not touch the platform's own services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from backends.demo.process import free_port

Hook = Callable[[], Awaitable[None]]


class RedisFront:
    """Opened and closed with the server behind it; refuses and hangs when told to."""

    def __init__(self, target: Path) -> None:
        self.port = free_port()
        self.before_answer: Hook | None = None
        """Awaited before each answer is passed back to the room."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._is_up = False
        self._is_refusing = False
        self._is_hanging = False

    async def open(self) -> None:
        """The server behind is there, a new one: nothing hangs any more."""
        self._is_up = True
        self.hang(False)
        await self._settle()

    async def close(self) -> None:
        """The server behind is gone: connections break, new ones are refused."""
        self._is_up = False
        await self._settle()

    async def refuse(self, is_on: bool) -> None:
        """Break connections and refuse new ones, or stop doing so."""
        self._is_refusing = is_on
        await self._settle()

    def hang(self, is_on: bool) -> None:
        """Accept connections and bytes but answer nothing, or go on where it stood."""
        self._is_hanging = is_on
        for link in self._links:
            link.freeze(is_on)

    async def _settle(self) -> None:
        is_open = self._is_up and not self._is_refusing
        if is_open and self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)
        elif not is_open and self._server is not None:
            self._server.close()
            self._server = None
            for link in list(self._links):
                link.abort()

    def _accept(self) -> _Link:
        return _Link(self)

    def joined(self, link: _Link) -> Path:
        """Called by a new link; the socket to pass on to."""
        self._links.add(link)
        link.freeze(self._is_hanging)
        return self._target

    def left(self, link: _Link) -> None:
        self._links.discard(link)


class _Link(asyncio.Protocol):
    """One connection of the room, and the one to the server that belongs to it."""

    def __init__(self, front: RedisFront) -> None:
        self.front = front
        self._room: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._in_order = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._room = transport
            self._spawn(self._connect(self.front.joined(self)))

    def data_received(self, data: bytes) -> None:
        if self._server is None:
            self._early.append(data)
        else:
            self._server.write(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.front.left(self)
        if self._server is not None:
            self._server.abort()

    def freeze(self, is_on: bool) -> None:
        """Stop or go on reading from both sides; what was sent waits in the sockets."""
        for transport in (self._room, self._server):
            if transport is None or transport.is_closing():
                continue
            if is_on and transport.is_reading():
                transport.pause_reading()
            elif not is_on and not transport.is_reading():
                transport.resume_reading()

    def abort(self) -> None:
        for transport in (self._room, self._server):
            if transport is not None:
                transport.abort()

    def answer(self, data: bytes) -> None:
        """Pass on what the server said."""
        if self._room is None or self._room.is_closing():
            return
        if self.front.before_answer is None and not self._in_order.locked():
            self._room.write(data)
        else:
            self._spawn(self._answer_later(data))

    async def _answer_later(self, data: bytes) -> None:
        async with self._in_order:
            if self.front.before_answer is not None:
                await self.front.before_answer()
            if self._room is not None:
                self._room.write(data)

    async def _connect(self, target: Path) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server, _ = await loop.create_unix_connection(lambda: _Back(self), str(target))
        except OSError:
            self.abort()
            return
        self._server.writelines(self._early)
        self._early.clear()
        if self._room is not None and not self._room.is_reading():
            self._server.pause_reading()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Back(asyncio.Protocol):
    """The server's side of a link."""

    def __init__(self, link: _Link) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._link.answer(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._link.abort()
