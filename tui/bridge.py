"""From another thread to the screen's loop: many changes in, few wake-ups a second out."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Protocol

WAKE_PERIOD = 0.25
"""Seconds between two wake-ups of the screen; between them changes are conflated into one."""


class Subject(Protocol):
    """Whatever calls back after a change; the engine does, and a log."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]: ...


class Bridge:
    """Calls ``on_change`` on the running loop after the subject changed, at most every ``period`` seconds.

    The first change after a quiet time is passed on at once; it carries no data, so the reader always
    takes the newest board.
    """

    def __init__(self, subject: Subject, on_change: Callable[[], None], period: float = WAKE_PERIOD) -> None:
        self._on_change = on_change
        self.period = period
        self._loop = asyncio.get_running_loop()
        # The engine's thread has a context of its own, in which Textual knows no active app.
        self._context = contextvars.copy_context()
        self._is_pending = False
        self._timer: asyncio.TimerHandle | None = None
        self._last = -period
        self._is_closed = False
        self._unsubscribe = subject.subscribe(self._wake)

    def close(self) -> None:
        """Stop listening; a change already under way is dropped."""
        self._is_closed = True
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        """On the subject's thread: must return at once, so it sets a flag and hops over at most once."""
        if self._is_pending or self._is_closed:
            return
        self._is_pending = True
        try:
            self._loop.call_soon_threadsafe(self._schedule, context=self._context)
        except RuntimeError:
            # The screen's loop has ended while the other thread still works: nobody is left to tell.
            self._is_closed = True

    def _schedule(self) -> None:
        wait = self._last + self.period - self._loop.time()
        if wait <= 0:
            self._deliver()
        else:
            self._timer = self._loop.call_later(wait, self._deliver)

    def _deliver(self) -> None:
        if self._is_closed:
            return
        self._last = self._loop.time()
        # Cleared before the reader looks: a change during the look must come back.
        self._is_pending = False
        self._on_change()
