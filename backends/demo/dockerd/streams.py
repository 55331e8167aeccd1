"""Answers that go on: logs, stats and events, each until the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import Any, Final

from starlette.responses import Response

from backends.demo.course import end
from backends.demo.dockerd.container import Container
from backends.demo.dockerd.meter import nothing

TOGETHER: Final = 0.02
"""Seconds in which lines that come close together become one write."""

_BATCH: Final = 256 * 1024


class Stream(Response):
    """Sends chunks as they come. It ends when they end or the client has gone, whichever is first."""

    def __init__(self, chunks: AsyncIterator[bytes], kind: str | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = kind
        self.body = b""
        self.raw_headers = [(b"content-type", kind.encode())] if kind else []
        self._chunks = chunks

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(sending, leaving)

    async def _send(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        chunks: Any = self._chunks
        async with aclosing(chunks):
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def log_frames(
    container: Container,
    *,
    streams: Collection[int],
    is_following: bool,
    is_stamped: bool,
    tail: int | None,
    since: int | None,
    until: int | None,
) -> AsyncIterator[bytes]:
    """The log in frames: what is kept, then, following, what comes until the container ends.

    ``since`` and ``until`` are nanoseconds since the epoch.
    """
    log = container.log
    seen = log.end
    started = container.started
    old = [
        entry
        for entry in log.tail(None)
        if entry.stream in streams and (since or 0) <= entry.at and (until is None or entry.at <= until)
    ]
    for entry_batch in _batches([one.frame(stamped=is_stamped) for one in _last(old, tail)]):
        yield entry_batch
    while is_following and until is None:
        new = [one.frame(stamped=is_stamped) for one in log.since(seen) if one.stream in streams]
        seen = log.end
        for batch in _batches(new):
            yield batch
        if container.started != started or container.state not in ("running", "paused"):
            return
        if seen == log.end:
            await log.wait()
            await asyncio.sleep(TOGETHER)


async def stats_lines(container: Container, *, is_stream: bool, is_one_shot: bool) -> AsyncIterator[bytes]:
    """One object a second while the client stays; or one object, with or without one to compare with."""
    spec = container.spec
    before: dict[str, Any] | None = None
    if not is_stream and container.is_running and not is_one_shot:
        before = container.meter.sample(spec.name, spec.id, None)
        await asyncio.sleep(1.0)
    while True:
        if container.state in ("running", "paused"):
            sample = container.meter.sample(spec.name, spec.id, before)
            before = sample
        else:
            sample, before = nothing(spec.name, spec.id), None
        yield json.dumps(sample, separators=(",", ":")).encode() + b"\n"
        if not is_stream:
            return
        await asyncio.sleep(1.0)


def _last(entries: list[Any], count: int | None) -> list[Any]:
    if count is None:
        return entries
    return entries[-count:] if count else []


def _batches(frames: list[bytes]) -> list[bytes]:
    """Joined up to a size that does not fill the transport's buffers at once."""
    batches: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= _BATCH:
            batches.append(b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        batches.append(b"".join(waiting))
    return batches
