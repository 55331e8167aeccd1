"""Files of this room's own, asked so that a disk that hangs holds up nothing but who asked."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Final, TypeVar

PATIENCE: Final = 2.0
"""Seconds a disk may take to answer."""

T = TypeVar("T")


async def answered(work: Callable[[], T]) -> T:
    """What ``work`` returns, done in a thread. Raises what it raises, and OSError when it takes too long."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.to_thread(work)
    except TimeoutError:
        raise OSError(errno.ETIMEDOUT, "the disk does not answer") from None
