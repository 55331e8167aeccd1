"""The journal: who did what, to what, why, and what came of it; in order, and provably unchanged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import Struct, field

from backends.journal.chain_file import ChainFile
from backends.journal.entry import Entry, Kind, Session, body, capped
from backends.journal.redact import Redactor
from backends.model.clock import Clock
from backends.state_folder import closed

BUDGET: Final = 0.05
"""Seconds a stop waits for its intent to be on the disk."""

KEPT: Final = 10_000
"""Records kept in memory while the disk refuses them."""

RETRY: Final = 0.5
"""Seconds between two tries to write them."""

PATIENCE: Final = 2.0
"""Seconds after which a disk that does not answer is trouble, though it may still answer."""


class Recorder(Protocol):
    """What a procedure needs of a journal."""

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        """Whether it was on the disk within ``budget`` seconds; if not, it is kept and tried again."""

    def post(self, entry: Entry) -> None:
        """Record it after everything handed over before, without waiting."""


class _Item(Struct):
    body: dict[str, Any]
    is_synced: bool
    done: Future[bool] = field(default_factory=Future)

    def tell(self, is_written: bool) -> None:
        if not self.done.done():
            self.done.set_result(is_written)


class Journal:
    """Writes records from a thread of its own, so that a slow disk holds up nobody. Safe from any thread.

    Every text passes the redactor on its way in. A record the disk refuses is kept, in its place, and
    tried again until ``close``.
    """

    def __init__(
        self, folder: Path, session: Session, clock: Clock, redactor: Redactor, turn: float | None = None
    ) -> None:
        """``turn``: seconds after which a new file is begun, whatever its size; None for by size alone."""
        self.folder = folder
        self.host = session.operator.host
        self.on_outcome: Callable[[], None] | None = None
        """Called on the journal's thread when an outcome is on the disk; must return at once."""
        self._session = session
        self._clock = clock
        self._redactor = redactor
        self._file = ChainFile(folder, turn=turn)
        self._wake = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._lost = 0
        self._error: str | None = None
        self._busy_since: float | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why the last write failed, or is not done yet, in words; None while all is well."""
        error, busy = self._error, self._busy_since
        if busy is not None and time.monotonic() - busy > PATIENCE:
            return f"its disk has not answered for {time.monotonic() - busy:.0f} s"
        return error

    @property
    def lost(self) -> str | None:
        """How its files were found to lack what this process has written, in words; it stays told."""
        return self._file.lost

    @property
    def unwritten(self) -> int:
        """Records that are not on the disk: kept in memory, or lost for want of room there."""
        return len(self._waiting) + self._lost

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        """Record it and wait until it is on the disk, at most ``budget`` seconds. False: not yet."""
        item = self._put(entry)
        done = asyncio.wrap_future(item.done)
        await asyncio.wait({done}, timeout=budget)
        if done.done():
            return done.result()
        with self._wake:
            item.body["audit_degraded"] = True
        return False

    def post(self, entry: Entry) -> None:
        """Record it after everything handed over before; returns at once."""
        self._put(entry)

    def close(self, timeout: float = 2.0) -> int:
        """Write what is waiting, end the thread, and return how many records could not be written."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join(timeout)
        return self.unwritten

    def _put(self, entry: Entry) -> _Item:
        plain = body(entry, self._session, self._clock.now())
        item = _Item(capped(self._redactor.value(plain)), is_synced=entry.kind is not Kind.STEP)
        with self._wake:
            if self._is_closing or len(self._waiting) >= KEPT:
                self._lost += 1
                item.tell(False)
            else:
                self._waiting.append(item)
                self._wake.notify()
        return item

    def _work(self) -> None:
        while True:
            with self._wake:
                # With an error, what waits has been tried: time passes before the next try.
                if not self._is_closing and (self._error is not None or not self._waiting):
                    self._wake.wait(RETRY if self._error is not None else None)
                is_last = self._is_closing
            self._write_waiting()
            if is_last:
                return

    def _why(self, error: OSError) -> str:
        if isinstance(error, PermissionError):
            with suppress(OSError):
                shut = closed(self.folder.parent, self.folder.name, f"{self.folder.name}/[!.]*")
                if shut is not None:
                    return shut[0]
        return error.strerror or type(error).__name__

    def _write_waiting(self) -> None:
        """Write in order until all is written or the disk refuses."""
        while self._waiting:
            item = self._waiting[0]
            lost = self._lost
            self._busy_since = time.monotonic()
            try:
                # A copy: a record that comes too late for who waits for it is marked meanwhile.
                self._file.append(item.body | ({"lost_before": lost} if lost else {}), item.is_synced)
            except OSError as error:
                why = self._why(error)
                with self._wake:
                    self._error = why
                    for waiting in self._waiting:
                        waiting.body["audit_degraded"] = True
                        waiting.tell(False)
                return
            except Exception:
                # One record that cannot be put into words must not end the journal: the next one counts it.
                with self._wake:
                    self._lost += 1
                    self._waiting.popleft()
                item.tell(False)
                continue
            finally:
                self._busy_since = None
            with self._wake:
                self._error = None
                self._lost -= lost
                self._waiting.popleft()
            item.tell(True)
            if self.on_outcome is not None and item.body["kind"] == Kind.OUTCOME.value:
                self.on_outcome()
