"""Keeps the journal's head in a second place, from a thread of its own: a slow place holds up nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from backends.journal.chain import START
from backends.journal.chain_file import end_of, lasting_end_of
from backends.journal.journal import Journal
from backends.model.anchor import AnchorError, Mark
from backends.model.clock import Clock

EVERY: Final = 60.0
"""Seconds between two looks whether the head has moved; after an outcome it is anchored at once."""

PATIENCE: Final = 10.0
"""Seconds after which a place that does not answer is trouble, though it may still answer."""


_LOOK: Final = 0.05
"""Seconds between two looks whether it is done."""


class Anchor(Protocol):
    """A place that keeps every head it is given, out of reach of whoever can write the journal."""

    def put(self, mark: Mark) -> None:
        """Keep it. Blocks, but not for ever if that can be helped. Raises AnchorError."""


class Anchorage:
    """Anchors the head after each outcome and every ``EVERY`` seconds when it has moved.

    ``make`` may load a client library; it is called on the thread. One head at a time; a place that comes
    back is given the newest.
    """

    def __init__(
        self, journal: Journal, make: Callable[[], Anchor], clock: Clock, every: float = EVERY
    ) -> None:
        self._journal = journal
        self._make = make
        self._clock = clock
        self._every = every
        self._wake = threading.Event()
        self._is_closing = False
        self._busy_since: float | None = None
        self._error: str | None = None
        self._anchored = START
        self.cut_off: str | None = None
        """How the journal was found to lack what this process has anchored, in words; it stays told."""
        journal.on_outcome = self._wake.set
        self._thread = threading.Thread(target=self._work, name="anchor", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why the head is not anchored, in words; None while all is well."""
        busy = self._busy_since
        if busy is not None and time.monotonic() - busy > PATIENCE:
            return f"no answer for {time.monotonic() - busy:.0f} s"
        return self._error

    def settle(self, timeout: float = PATIENCE) -> int:
        """Anchor the head now; the newest record whose head this process anchored within ``timeout`` seconds.
        Blocks until then at the most; 0 while there is none.
        """
        head = end_of(self._journal.folder)
        until = time.monotonic() + timeout
        self._wake.set()
        while self._anchored.seq < head.seq and time.monotonic() < until:
            time.sleep(_LOOK)
        return self._anchored.seq

    def close(self, timeout: float = 1.0) -> None:
        """Anchor the last head, waiting at most ``timeout`` seconds, and end."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        anchor: Anchor | None = None
        while True:
            self._wake.wait(self._every)
            self._wake.clear()
            is_last = self._is_closing
            self._busy_since = time.monotonic()
            try:
                anchor = anchor or self._make()
                self._bring(anchor)
                self._error = None
            except (AnchorError, OSError) as error:
                self._error = str(error)
            except Exception as error:
                # A fault in a client library must not end the anchoring for good; it may hold a secret.
                self._error = f"a fault: {type(error).__name__}"
            self._busy_since = None
            if is_last:
                return

    def _bring(self, anchor: Anchor) -> None:
        head, known = lasting_end_of(self._journal.folder), self._anchored
        if head.seq < known.seq or (head.seq == known.seq and head != known):
            ends = f"it ends at record {head.seq}" if head != START else "it is empty"
            self.cut_off = f"{ends}, and record {known.seq} {known.hash[:12]} was anchored"
        if head in (START, known):
            return
        where = str(self._journal.folder.absolute())
        anchor.put(Mark(self._journal.host, where, head.seq, head.hash, self._clock.now().iso()))
        self._anchored = head
