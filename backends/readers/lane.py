"""Blocking client libraries under an asyncio deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from backends.model.fact import SourceError

T = TypeVar("T")


class Lane:
    """Runs one blocking call at a time, each in a daemon thread, so that a hung one delays nothing."""

    def __init__(self, title: str) -> None:
        """``title`` is what people call what is asked."""
        self._title = title
        self._busy_since: float | None = None

    async def call(self, work: Callable[[], T], within: float) -> T:
        """What ``work`` returns or raises; SourceError when it takes too long or the last one still hangs."""
        if self._busy_since is not None:
            raise SourceError(f"{self._title} has not answered for {monotonic() - self._busy_since:.0f} s")
        self._busy_since = monotonic()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # what work returned, None included

        def run() -> None:
            result: T | None = None
            failure: Exception | None = None
            try:
                result = work()
            except Exception as error:  # handed to the caller, who awaits it
                failure = error
            self._busy_since = None
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, failure)

        try:
            threading.Thread(target=run, name=f"{self._title.lower()}-poll", daemon=True).start()
        except RuntimeError:
            self._busy_since = None
            raise SourceError(f"{self._title} was not asked: no thread can be had") from None
        try:
            # Not wait_for, which in Python 3.11 loses a cancel that comes together with the result.
            async with asyncio.timeout(within):
                return await done
        except TimeoutError:
            raise SourceError(f"{self._title} did not answer within {within:g} s") from None
