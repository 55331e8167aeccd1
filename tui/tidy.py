"""What depends on whether somebody is at the keys: how often the panes are drawn, and when Python looks for
what is no longer used.

A look through everything holds up the whole program for as long as a slow dialog takes to appear. The small
looks, at what is new, stay automatic.
"""

from __future__ import annotations

import gc
from typing import Final

from backends.model.clock import Instant

QUIET: Final = 10.0
"""Seconds without a key after which nobody minds."""

SELDOM: Final = 2.0
"""Seconds between two drawings of what only drifts, while nobody is at the keys."""

HURRY: Final = 0.5
"""Seconds by which a beat may come early: with a board, and not by the clock."""

EVERY: Final = 60.0
"""Seconds between two looks."""

LATEST: Final = 600.0
"""Seconds after which there is one all the same: what is dropped must not fill the memory."""

MUCH: Final = 2
"""Middle looks, one for each 7,000 new things, after which it looks even beside somebody at the keys: a look
through that much is not felt, one through what a hundred dialogs left behind is."""

START: Final = 3.0
"""Seconds from the first beat until the start-up is over: the panes are filled by then."""

_SMALL: Final = (700, 10, 1_000_000)
"""Python's own measure for the small looks, and never a whole one by itself."""


class Tidy:
    """Looks through everything at fitting moments. Times are seconds of the room's monotonic clock."""

    def __init__(self, pulse: float = 1.0) -> None:
        """``pulse``: seconds between two beats."""
        self._pulse = pulse
        self._opened: float | None = None
        self._looked: float | None = None
        self._keyed = float("-inf")
        self._period = float("-inf")
        self._is_settled = False

    def keyed(self, now: float) -> None:
        """Somebody pressed a key."""
        self._keyed = now

    def lets_wait(self, now: Instant, drawn: float) -> bool:
        """Whether panes that were last ``drawn`` then may wait for the next beat: the room has stood for a
        while, nobody pressed a key lately, and it is no beat at which most sources were asked."""
        is_quiet = self._opened is not None and now.mono - max(self._opened, self._keyed) >= QUIET
        return is_quiet and now.wall % SELDOM >= SELDOM / 2 and now.mono - drawn < SELDOM - HURRY

    def is_due(self, now: float) -> bool:
        """Whether another beat's time has come: there is one in each period of the clock."""
        return now // self._pulse > self._period

    def beat(self, now: float) -> None:
        """Once in each period: look if it is time for it."""
        self._period = now // self._pulse
        self._opened = now if self._opened is None else self._opened
        if self._looked is None:
            if now - self._opened >= START:
                self._keep()
                self._looked = now
                gc.set_threshold(*_SMALL)
                gc.enable()
        elif now - self._looked >= (EVERY if now - self._keyed >= QUIET else LATEST):
            self._looked = now
            if self._is_settled:
                gc.collect()
            else:
                # By now everything was loaded that the room needs at rest.
                self._is_settled = True
                self._keep()
        elif gc.get_count()[2] >= MUCH:
            gc.collect()

    def _keep(self) -> None:
        """What is there and was not dropped stays for good: it is never looked through again."""
        gc.collect()
        gc.freeze()
