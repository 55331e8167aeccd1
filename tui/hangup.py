"""Leaving in good order when the terminal goes away or the process is told to end.

Textual handles neither SIGTERM nor SIGHUP: the terminal would stay in full-screen mode. A terminal that is
gone for good, but whose SIGHUP was ignored by a parent, would leave the input thread spinning on end of
file. Procedures are not touched by any of this: they live in the engine.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType

PATIENCE = 5.0
"""Seconds the screen has to leave in good order; a terminal that reads nothing would hold it for ever."""


def exit_code(number: int) -> int:
    """The exit status a shell expects after a signal: 128 + n."""
    return 128 + number


class Hangup:
    """Calls ``leave(exit status)`` once, on the loop: at SIGTERM, at SIGHUP, or when the terminal is gone.

    When the screen has not left ``PATIENCE`` seconds later, ``last_words`` is called on a thread of its
    own (to let running procedures end) and the process ends without the screen.
    """

    def __init__(
        self, leave: Callable[[int], None], last_words: Callable[[], None] = lambda: None, fd: int = 0
    ) -> None:
        self._leave = leave
        self._last_words = last_words
        self._has_ended = threading.Event()
        self._has_left = False
        self._loop = asyncio.get_running_loop()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLHUP | select.POLLERR)
        self._loop.add_signal_handler(signal.SIGTERM, self._go, int(signal.SIGTERM))
        # Not the loop's own: it would be taken away with the loop, and the shell tells of a lost line again
        # while what was confirmed goes on to its end.
        signal.signal(signal.SIGHUP, self._on_hangup)

    def check(self) -> None:
        """Look whether the terminal is still there; called once a second."""
        if any(
            event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in self._poll.poll(0)
        ):
            self._go(int(signal.SIGHUP))

    def _on_hangup(self, number: int, _frame: FrameType | None) -> None:
        if not self._has_left and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._go, number)

    def ended(self) -> None:
        """The screen has left; nobody has to insist any more."""
        self._has_ended.set()

    def _go(self, number: int) -> None:
        if not self._has_left:
            self._has_left = True
            threading.Thread(target=self._insist, args=(exit_code(number),), daemon=True).start()
            self._leave(exit_code(number))

    def _insist(self, status: int) -> None:
        if not self._has_ended.wait(PATIENCE):
            self._last_words()
            os._exit(status)
