"""A TCP server that goes wrong on demand, and a proxy that remembers what passed."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from types import TracebackType


class Fault(Enum):
    NONE = "none"
    """Pass everything to the real server and back."""
    HANG = "hang"
    """Take what comes, answer nothing, keep the connection open."""
    GARBAGE = "garbage"
    """Answer every message with bytes of no protocol."""
    CLOSE = "close"
    """Close as soon as something comes."""


NOISE = b"\x00\xff\x17 this is not the protocol you are looking for \r\n\r\n" * 8


class Faulty:
    """``async with Faulty(port) as door``: a loopback port that leads to ``port``, as far as ``fault`` lets.

    The fault can be changed at any time and holds for open connections too.
    """

    def __init__(self, target: int | None = None, fault: Fault = Fault.NONE) -> None:
        self._target = target
        self.fault = fault
        self.connections = 0
        self.sent = bytearray()
        """Everything clients sent."""
        self.bursts = 0
        """How often clients spoke after the server had: round trips."""
        self.received = 0
        """Bytes the real server answered."""
        self._held: bytes | None = None
        self._server_spoke_last = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Faulty:
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

    def hold(self, piece: bytes | None) -> None:
        """Pass on what comes before ``piece``, and nothing more on the connection on which it came."""
        self._held = piece

    def forget(self) -> None:
        """Start counting anew."""
        self.sent.clear()
        self.bursts = self.received = self.connections = 0
        self._server_spoke_last = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            # Cancelled is how it ends with the test; asyncio would log that as an error.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back: asyncio.Task[None] | None = None
        onward: asyncio.StreamWriter | None = None
        is_held = False
        try:
            if self._target is not None:
                answers, onward = await asyncio.open_connection("127.0.0.1", self._target)
                back = asyncio.create_task(self._answer(answers, writer))
            while piece := await reader.read(1 << 20):
                self._note(piece)
                if self.fault is Fault.CLOSE:
                    return
                if self.fault is Fault.GARBAGE:
                    writer.write(NOISE)
                elif self.fault is Fault.NONE and onward is not None and not is_held:
                    before, held, _ = piece.partition(self._held) if self._held else (piece, b"", b"")
                    is_held = bool(held)
                    onward.write(before)
        finally:
            if back is not None and onward is not None:
                back.cancel()
                onward.close()

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await answers.read(1 << 16):
                self._server_spoke_last = True
                self.received += len(piece)
                if self.fault is Fault.NONE:
                    writer.write(piece)
                    await writer.drain()
            writer.close()

    def _note(self, piece: bytes) -> None:
        self.sent += piece
        self.bursts += self._server_spoke_last
        self._server_spoke_last = False


def redis_commands(sent: bytes) -> list[list[bytes]]:
    """The commands in what a Redis client sent."""
    commands: list[list[bytes]] = []
    rest = bytes(sent)
    while rest:
        head, _, rest = rest.partition(b"\r\n")
        assert head[:1] == b"*", head
        words = []
        for _ in range(int(head[1:])):
            size, _, rest = rest.partition(b"\r\n")
            words.append(rest[: int(size[1:])])
            rest = rest[int(size[1:]) + 2 :]
        commands.append(words)
    return commands
