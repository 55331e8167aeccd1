"""A small real HTTP server on loopback that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

HANG = -1
"""A status: take the request and never answer."""


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""


class HttpServer:
    """``async with HttpServer() as web``; ``web.answers`` by path with query, else by path alone; 404 for any
    other.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._place = host, port
        self.answers: dict[str, Answer] = {}
        self.otherwise = Answer(404, b'{"detail":"Not Found"}')
        self.requests: list[Request] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> HttpServer:
        self._server = await asyncio.start_server(self._serve, *self._place)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://{self._place[0]}:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            # Cancelled is how it ends with the test; asyncio would log that as an error.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._one(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Request(method, target, headers))
        path = target.partition("?")[0]
        answer = self.answers.get(target) or self.answers.get(path, self.otherwise)
        if answer.status == HANG:
            await asyncio.Event().wait()
        named = {"Content-Length": str(len(answer.body)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in named.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        writer.write(answer.body)
        await writer.drain()
