"""Files of this room's own, asked so that a disk that hangs holds up nothing but who asked."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
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


def free(folder: Path) -> int:
    """Bytes that can still be written below ``folder``, which need not be there yet. Raises OSError."""
    disk = os.statvfs(next(each for each in (folder, *folder.parents) if each.exists()))
    return disk.f_bavail * disk.f_frsize
