"""A loop whose time passes only when everything waits: ten simulated seconds take milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from backends.model.clock import Instant

T = TypeVar("T")

EPOCH = 1_790_000_000.0


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits and nothing will ever happen")
            self.loop.passed += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.passed = 0.0
        self.stepped = 0.0
        """Seconds by which the host's clock was set since the start."""
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """At once and here: no simulated time passes while a file is written."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class VirtualClock:
    """The room's clock of a virtual loop: simulated seconds since the start, and a fixed date."""

    def now(self) -> Instant:
        loop = asyncio.get_running_loop()
        passed = loop.time()
        return Instant(passed, EPOCH + passed + getattr(loop, "stepped", 0.0))


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in simulated time; what is still waiting then is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
