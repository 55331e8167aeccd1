"""What goes on in a simulated world for as long as it lasts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from traceback import format_exception
from typing import Any


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A part of the world that goes on until cancelled; if it ends otherwise, standard error says so."""
    task = asyncio.create_task(work)

    def tell(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            sys.stderr.write("A part of the demo has ended:\n" + "".join(format_exception(error)))

    task.add_done_callback(tell)
    return task


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them until they have ended: a cancellation that arrives in the middle of a call to a store may
    be taken for an error of that call."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=0.2)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at: what ended before it was asked to is told by others
