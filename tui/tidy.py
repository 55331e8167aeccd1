"""When Python looks for what is no longer used: not while somebody is at the keys.

A look through everything holds up the whole program for as long as a slow dialog takes to appear. The small
looks, at what is new, stay automatic.
"""

from __future__ import annotations

import gc
from typing import Final

QUIET: Final = 10.0
"""Seconds without a key after which nobody minds."""

EVERY: Final = 60.0
"""Seconds between two looks."""

LATEST: Final = 600.0
"""Seconds after which there is one all the same: what is dropped must not fill the memory."""

_NEVER: Final = 1_000_000
"""Of the small looks until Python takes a whole one by itself."""


class Tidy:
    """Looks through everything at fitting moments. Times are seconds of the room's monotonic clock."""

    def __init__(self) -> None:
        self._looked: float | None = None
        self._keyed = float("-inf")
        self._is_settled = False

    def keyed(self, now: float) -> None:
        """Somebody pressed a key."""
        self._keyed = now

    def beat(self, now: float) -> None:
        """Once a second: look if it is time for it. The first call ends the start-up."""
        if self._looked is None:
            self._keep()
            self._looked = now
            gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
            gc.enable()
        elif now - self._looked >= (EVERY if now - self._keyed >= QUIET else LATEST):
            self._looked = now
            if self._is_settled:
                gc.collect()
            else:
                # By now everything was loaded that the room needs at rest.
                self._is_settled = True
                self._keep()

    def _keep(self) -> None:
        """What is there and was not dropped stays for good: it is never looked through again."""
        gc.collect()
        gc.freeze()
