"""Leaving in good order when the terminal goes away or the process is told to end.

Textual handles neither SIGTERM nor SIGHUP: the terminal would stay in full-screen mode. A terminal that is
gone for good, but whose SIGHUP was ignored by a parent, would leave the input thread spinning on end of
file. Procedures are not touched by any of this: they live in the engine.
"""

from __future__ import annotations

import asyncio
import select
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def exit_code(number: int) -> int:
    """The exit status a shell expects after a signal: 128 + n."""
    return 128 + number


class Hangup:
    """Calls ``leave(exit status)`` once, on the loop: at SIGTERM, at SIGHUP, or when the terminal is gone."""

    def __init__(self, leave: Callable[[int], None], fd: int = 0) -> None:
        self._leave = leave
        self._has_left = False
        self._loop = asyncio.get_running_loop()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLHUP | select.POLLERR)
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._go, int(number))

    def check(self) -> None:
        """Look whether the terminal is still there; called once a second."""
        if any(
            event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in self._poll.poll(0)
        ):
            self._go(int(signal.SIGHUP))

    def close(self) -> None:
        """Give the signals back."""
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)

    def _go(self, number: int) -> None:
        if not self._has_left:
            self._has_left = True
            self._leave(exit_code(number))
