"""A service with a kill switch: real HTTP on loopback, answering as the orchestrator does, or badly."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any

ENGAGE, STATUS = "/api/v1/kill-switch/engage", "/api/v1/kill-switch/status"

PACKED = 64 * 1024 * 1024
"""Bytes that the answer ``packed`` unpacks to."""


@cache
def packed() -> bytes:
    return gzip.compress(gzip.compress(bytes(PACKED)))


@dataclass
class Call:
    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """Loop time of its arrival."""


@dataclass
class SwitchServer:
    """``async with SwitchServer() as web``; ``fault`` is a word of ``_one`` below, or a status to answer."""

    fault: str = "none"
    state: str = "ACTIVE"
    knows: Callable[[], str] | None = None
    """What it reads where the switch is kept; None for one that keeps its own."""
    detail: str | None = None
    """What it says with a status to answer; None for the status."""
    calls: list[Call] = field(default_factory=list)
    connections: int = 0

    async def __aenter__(self) -> SwitchServer:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
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
            # A cancelled handler ends quietly: the streams would log it as an error.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._one(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.calls.append(Call(method, target, headers, body, asyncio.get_running_loop().time()))
        if method == "GET":
            await self._say(writer, 200, {"state": self.knows() if self.knows else self.state})
            return
        match self.fault:
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                self.state = "ENGAGED"
                writer.transport.abort()
            case "half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                writer.transport.close()
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(1000):
                    writer.write(b" ")
                    await asyncio.sleep(0.05)
            case "noise":
                writer.write(b"\x00\x17 not http \r\n\r\n")
                writer.transport.close()
            case "huge":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    writer.write(b" " * 1_000_000)
                    await writer.drain()
            case "packed":
                raw = packed()
                head = f"Content-Encoding: gzip, gzip\r\nContent-Length: {len(raw)}\r\n\r\n"
                writer.write(f"HTTP/1.1 409 Said\r\n{head}".encode() + raw)
            case "deep":
                writer.write(b"HTTP/1.1 409 Said\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60_000)
            case "redirect":
                await self._say(writer, 307, {}, "Location: /elsewhere\r\n")
            case "quote":
                await self._say(writer, 401, {"detail": f"not valid: {headers.get('authorization')}"})
            case "none":
                await self._engage(writer)
            case status:
                await self._say(writer, int(status), {"detail": self.detail or f"status {status}"})

    async def _engage(self, writer: asyncio.StreamWriter) -> None:
        if self.state == "ENGAGED":
            await self._say(writer, 400, {"detail": "Kill-switch already engaged by lee"})
            return
        self.state = "ENGAGED"
        await self._say(writer, 200, {"state": "ENGAGED", "engaged_by": "kim"})

    async def _say(self, writer: asyncio.StreamWriter, status: int, body: Any, more: str = "") -> None:
        raw = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} Said\r\n{more}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        await writer.drain()
