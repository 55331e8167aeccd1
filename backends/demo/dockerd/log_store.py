"""One container's log: the newest lines, kept as the json-file driver would give them back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.demo.dockerd.stamps import SECOND, fixed

STDOUT: Final = 1
STDERR: Final = 2
KEPT: Final = 5_000
"""Lines of one container that are remembered."""
LONGEST: Final = 16_384
"""Bytes of one entry: Docker cuts longer lines into several, of which only the last ends the line."""


class Entry(Struct, frozen=True):
    at: int
    """Nanoseconds since the epoch."""
    stream: int
    text: bytes
    """With its end of line, unless it is a part of a long one."""

    def frame(self, *, stamped: bool) -> bytes:
        """As on the wire without a terminal: stream, length, text."""
        body = f"{fixed(self.at)} ".encode() + self.text if stamped else self.text
        return bytes((self.stream, 0, 0, 0)) + len(body).to_bytes(4, "big") + body


class LogStore:
    """Lines by ordinal; followers wait for the next."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._last = 0
        self._begun: int | None = None
        self._grown = asyncio.Event()
        self.end = 0
        """Ordinal after the newest entry."""

    def write(self, lines: Iterable[bytes], stream: int = STDOUT, ago: float = 0.0) -> None:
        """Take lines written ``ago`` seconds back, in order; each gets a moment of its own."""
        at = max(time.time_ns() - int(ago * SECOND), self._last + 1)
        for line in lines:
            for part in _parts(line):
                begun, self._begun = self._begun, None
                self._entries.append(Entry(min(at, begun or at), stream, part))
                self.end += 1
                at += 1_000
        self._last = at
        self._grown.set()

    def begin(self, at: int) -> None:
        """Its first line was written by then: a log that begins later has lost what came before."""
        if not self._entries:
            self._begun = at
        elif self._entries[0].at > at:
            self._entries[0] = replace(self._entries[0], at=at)

    def write_part(self, part: bytes, stream: int, count: int) -> None:
        """Take ``part``, at most ``LONGEST`` bytes of a line that goes on, so many times."""
        at = max(time.time_ns(), self._last + 1)
        self._entries += [Entry(at + number, stream, part) for number in range(count)]
        self.end += count
        self._last = at + count
        self._grown.set()

    def wake(self) -> None:
        """Let followers look again: the container has ended."""
        self._grown.set()

    async def wait(self) -> None:
        """Until something is written or the container ends."""
        self._grown.clear()
        await self._grown.wait()

    def since(self, ordinal: int) -> Iterator[Entry]:
        """Entries from ``ordinal`` on that are still kept."""
        first = self.end - len(self._entries)
        return islice(self._entries, max(0, ordinal - first), None)

    def tail(self, count: int | None) -> list[Entry]:
        """The newest ``count`` entries, or all that are kept."""
        entries = list(self._entries)
        if count is None:
            return entries
        return entries[-count:] if count else []


def _parts(line: bytes) -> Iterator[bytes]:
    for at in range(0, len(line) - LONGEST, LONGEST):
        yield line[at : at + LONGEST]
    yield line[(max(len(line), 1) - 1) // LONGEST * LONGEST :] + b"\n"
