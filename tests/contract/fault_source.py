"""Servers that answer every question with one and the same wrong thing."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

BODY_FAULTS = {
    "nothing": b"", "HTML": b"<html><body>healthy</body></html>", "empty object": b"{}", "list": b"[[]]",
    "JSON text": b'"healthy"', "half": b'{"status": "hea', "not UTF-8": b'{"status": "\xff"}',
    "huge": b" " * 1_100_000 + b'{"status": "healthy"}',
}  # fmt: skip
"""Bodies of a 200 that are not what was asked for."""

RAW_REPLIES = {
    "nil": b"$-1\r\n",
    "empty text": b"$0\r\n\r\n",
    "text that is no text": b"$4\r\n\xff\xfe\x00\x01\r\n",
    "list": b"*2\r\n*0\r\n$-1\r\n",
    "empty list": b"*0\r\n",
    "huge number": b":9223372036854775807\r\n",
    "huge text": b"$400000\r\n" + b"x" * 400_000 + b"\r\n",
    "error": b"-ERR something is wrong\r\n",
    "not permitted": b"-NOPERM this user has no permissions\r\n",
    "not logged in": b"-NOAUTH Authentication required.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "half an answer": b"$100\r\nhalf",
}


class StubbornRedis:
    """``async with StubbornRedis(reply)``: a port where every Redis command gets the same reply."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> StubbornRedis:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
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
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                while piece := await reader.read(1 << 20):
                    # Each command starts with its number of words; no word of these tests does.
                    for _ in range(piece.count(b"\r\n*") + piece.startswith(b"*")):
                        writer.write(self._reply)
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()
