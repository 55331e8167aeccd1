"""A log flood: every container that runs writes, so many lines a second together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from typing import Final

from backends.demo.dockerd.container import Container

RATE: Final = 10_000
"""Lines a second."""
_TICK: Final = 0.05
_TEXTS: Final = (
    b"libs.trading.orders - DEBUG - order book update AAPL bid=190.10 ask=190.12 depth=20",
    b"apps.service.pipeline - INFO - processed batch in 0.004s, 128 rows, cache hit ratio 0.97",
    b"libs.data.quality - WARNING - gap of 3 ticks in TSLA, interpolated",
    b"apps.service.client - INFO - POST /api/v1/events 202 (0.003s)",
    b"libs.core.retry - ERROR - attempt 2 of 5 failed: connection reset by peer, retrying in 0.2s",
)


async def flood(containers: Callable[[], Sequence[Container]], rate: int = RATE) -> None:
    """Write until cancelled; what a slow moment missed is not made up for by more than a second's worth."""
    texts = cycle(_TEXTS)
    written, began = 0, time.monotonic()
    while True:
        await asyncio.sleep(_TICK)
        now = time.monotonic()
        due = int((now - began) * rate) - written
        if due > rate:
            written, began, due = 0, now, int(rate * _TICK)
        running = containers()
        written += due
        if not running:
            continue
        head = _head(time.time())
        share, rest = divmod(due, len(running))
        for number, container in enumerate(running):
            container.log.write(_lines(head, islice(texts, share + (number < rest))))


def _head(at: float) -> bytes:
    whole = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    return f"{whole},{int(at * 1000) % 1000:03d} - ".encode()


def _lines(head: bytes, texts: Iterable[bytes]) -> list[bytes]:
    return [head + text for text in texts]
