"""How long the screen's loop is held up by one callback: by work of its own, or by waiting for something."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

LIMIT: Final = 0.25
"""Seconds of processor time that one callback may take: twice the longest seen of one that does only what it
should, on two processors that three test processes share."""

_SLEEP: Final = "time.sleep"
_WAITS: Final = (
    _SLEEP,
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen",
    "os.system", "sqlite3.connect",
)  # fmt: skip
"""What takes as long as somebody else likes. Told by name, for how long it takes depends on the machine."""


class Lag:
    """What was found on the loop's thread while this was measured."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.which = ""
        self.waits: list[str] = []
        self._collected = 0.0
        self._began = 0.0
        self._thread = threading.get_ident()

    def check(self) -> None:
        """AssertionError when a callback took too long, or waited for something outside."""
        assert not self.waits, f"the screen's loop waits: {', '.join(self.waits)}"
        assert self.longest <= LIMIT, f"{self.longest * 1000:.0f} ms of the screen's loop in {self.which}"

    def run(self, handle: asyncio.Handle) -> None:
        """Run one callback as the loop does, and see how long it worked.

        Processor time, for another program's share says nothing; without that of the collector, which
        here walks through the whole test session and in the room only through what is new.
        """
        began, collected = time.thread_time(), self._collected
        _RUN(handle)
        took = time.thread_time() - began - (self._collected - collected)
        if took > self.longest:
            self.longest, self.which = took, repr(handle)

    def on_collect(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collected += time.thread_time() - self._began

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _WAITS and threading.get_ident() == self._thread:
            self.waits.append(f"{event}{arguments!r:.80}")


_RUN: Final = asyncio.Handle._run
_ASLEEP: Final = time.sleep
_measuring: list[Lag] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for lag in _measuring:
        lag.on_event(event, arguments)


# There is no taking it away again; it asks one empty list.
sys.addaudithook(_hook)


@contextmanager
def measured() -> Iterator[Lag]:
    """Everything the loop of this thread runs meanwhile is measured; ``check`` says what it came to."""
    lag = Lag()

    def run(handle: asyncio.Handle) -> None:
        lag.run(handle)

    def sleep(seconds: float) -> None:
        lag.on_event(_SLEEP, (seconds,))
        _ASLEEP(seconds)

    gc.callbacks.append(lag.on_collect)
    asyncio.Handle._run = run  # type: ignore[method-assign]  # put back below
    time.sleep = sleep  # not every Python reports it as an event
    _measuring.append(lag)
    try:
        yield lag
    finally:
        _measuring.remove(lag)
        time.sleep = _ASLEEP
        asyncio.Handle._run = _RUN  # type: ignore[method-assign]  # as it was
        gc.callbacks.remove(lag.on_collect)
