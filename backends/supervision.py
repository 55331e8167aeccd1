"""What keeps the engine going when a part of it fails: restarts, alarms, threads nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from backends.journal.entry import Entry, Kind
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board
from backends.model.clock import Clock, Instant
from backends.model.safetext import SafeText

REST: Final = 1.0
"""Seconds before a part that failed is started again."""

SHOWN: Final = 600.0
"""Seconds for which a fault is told after it last happened."""

KEPT: Final = 30.0
"""Seconds an idle thread waits for its next job: to make one for each job costs more than most jobs."""


class Book(Protocol):
    """Turns a board into the alarms that are active on it."""

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]: ...


class Supervisor:
    """Keeps the parts of the engine running. A fault of ours is journalled, is an alarm, and ends nothing."""

    def __init__(self, clock: Clock, post: Callable[[Entry], None]) -> None:
        self._clock = clock
        self._post = post
        self._faults: dict[str, tuple[Instant, Instant, str]] = {}
        """By part: first and last time, and the kind of error; its text may hold anything and is not kept."""

    async def keep(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` until it returns or the caller is cancelled; start it again after a fault."""
        while True:
            try:
                await work()
            except Exception as fault:
                self.note(part, fault)
                await asyncio.sleep(REST)
            else:
                return

    def note(self, part: str, fault: BaseException | None) -> None:
        """A part of the engine failed."""
        now = self._clock.now()
        kind = type(fault).__name__ if fault is not None else "unknown"
        known = self._faults.get(part)
        self._faults[part] = (known[0] if known else now, now, kind)
        if known is None or known[2] != kind:
            self._post(Entry(Kind.NOTE, f"a fault in this program: {part}: {kind}"))

    def on_loop_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """For ``loop.set_exception_handler``: nothing is printed over the screen, and no text is kept."""
        self.note("an unattended task", context.get("exception"))

    def alarms(self, now: Instant) -> tuple[Alarm, ...]:
        """One alarm for each part that failed in the last ten minutes."""
        return tuple(
            Alarm(
                id=f"room:{part}",
                priority=Priority.HIGH,
                title=SafeText(f"A part of this room failed: {part} ({kind})"),
                cause=SafeText("a fault in this program; trading is not touched by it"),
                consequence=SafeText("what that part shows may have been missing for a while"),
                response=SafeText("It was started again. If this stays, restart the room and report it."),
                since=first,
                subject="room",
            )
            for part, (first, last, kind) in self._faults.items()
            if now.since(last) <= SHOWN
        )

    def over(self, book: Book) -> Book:
        """``book`` with the alarms about the room itself, also when ``book`` fails."""
        return _Supervised(book, self)


class _Supervised:
    def __init__(self, book: Book, supervisor: Supervisor) -> None:
        self._book = book
        self._supervisor = supervisor

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
        try:
            found = self._book.evaluate(board, now)
        except Exception as fault:
            self._supervisor.note("the alarms", fault)
            found = board.alarms
        ours = {alarm.id for alarm in found}
        return (*(alarm for alarm in self._supervisor.alarms(now) if alarm.id not in ours), *found)


class DaemonThreads(ThreadPoolExecutor):
    """A daemon thread for each job there is at once, kept a while for the next.

    A name server that hangs holds up nobody else, not even the end.
    """

    def __init__(self, kept: float = KEPT) -> None:
        """``kept``: seconds an idle thread waits for its next job before it ends."""
        super().__init__()
        self._kept = kept
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        """One for each idle thread that no job was given to yet."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        if self._idle.acquire(blocking=False):
            self._jobs.put(work)
        else:
            # Given to it and not to the queue: where no thread can be started, nothing is done later either.
            threading.Thread(target=self._serve, args=(work,), name="engine-job", daemon=True).start()
        return future

    def _serve(self, job: Callable[[], None]) -> None:
        """Do this job, and others until there is none for a while."""
        while True:
            job()
            del job  # what it holds is not kept with the thread
            self._idle.release()
            while True:
                try:
                    job = self._jobs.get(timeout=self._kept)
                    break
                except Empty:
                    if self._idle.acquire(blocking=False):
                        return
                    # A job was given to this thread just now.
