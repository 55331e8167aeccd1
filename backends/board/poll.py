"""One task a source: wake, ask under a deadline, hand over, wait. Each source fails alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backends.board.backoff import LONGEST, Backoff
from backends.board.ingest import ingest_facts, ingest_failure, ingest_services, period_of
from backends.board.store import Store, health_after
from backends.model.clock import EARLY, Clock, Instant, to_beat
from backends.model.fact import Fact, SourceError
from backends.model.port import FactReader, ServiceReader
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source

LOADING = 15.0
"""Seconds in which a source's client library is loaded, also on a busy machine."""

LATER = 0.003
"""Seconds after the beat at which all other sources are asked: those that decide about trading have it first,
also on a machine with too much to do. Not more: after a rest, however short, all takes twice as long."""

AFTER = 0.035
"""Seconds after the beat at which what was read is acted on: of sources that answer within 20 ms the board is
there by then."""


class Task(Protocol):
    """What one poll of one source asks for."""

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        """Ask the source; the result makes readings of the answer. Raises SourceError."""

    def next_due(self, now: Instant) -> float:
        """Seconds until something is due."""

    def all_due(self) -> None:
        """Ask for everything at the next poll, whatever its cadence."""

    async def close(self) -> None: ...


class FactTask:
    """Polls those facts of a source that are due, all in one call of its reader."""

    def __init__(
        self, source: Source, facts: Sequence[Fact], reader: FactReader, store: Store, lag: float = 0.0
    ) -> None:
        """``lag``: seconds after the beat at which it is polled."""
        self._source = source
        self._lag = lag
        self._facts = facts
        self._reader = reader
        self._store = store
        self._due = dict.fromkeys((fact.id for fact in facts), 0.0)

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        asked = [fact for fact in self._facts if self._due[fact.id] <= now.mono + EARLY]
        for fact in asked:
            self._due[fact.id] = now.mono + to_beat(now, period_of(fact, self._source), self._lag)
        findings = await self._reader.read(asked)
        return lambda at: ingest_facts(asked, findings, self._source, at, self._store.board.readings)

    def next_due(self, now: Instant) -> float:
        return max(min(self._due.values(), default=now.mono) - now.mono, 0.0)

    def all_due(self) -> None:
        self._due = dict.fromkeys(self._due, 0.0)

    async def close(self) -> None:
        await self._reader.close()


class ServiceTask:
    """Polls the services of a runtime."""

    def __init__(self, source: Source, reader: ServiceReader, store: Store) -> None:
        self._source = source
        self._reader = reader
        self._store = store

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        del now
        services = await self._reader.services()
        return lambda at: ingest_services(services, self._source, at, self._store.board.readings)

    def next_due(self, now: Instant) -> float:
        return to_beat(now, self._source.every, LATER)

    def all_due(self) -> None:
        """Services are always due."""

    async def close(self) -> None:
        await self._reader.close()


class Poller:
    """Runs one source's task for as long as the engine lives."""

    def __init__(
        self,
        source: Source,
        make: Callable[[], Task],
        store: Store,
        clock: Clock,
        longest: float = LONGEST,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``make`` loads the source's client library and is called in a thread, before the first poll."""
        self._source = source
        self._make = make
        self._making: asyncio.Future[Task] | None = None
        self._task: Task | None = None
        self._store = store
        self._clock = clock
        self._backoff = Backoff(source.every, jitter, longest)
        self._poked = asyncio.Event()
        self._held_until = 0.0

    def hold(self, seconds: float) -> None:
        """Begin no poll for so long (engine loop only): something urgent is to have the loop for itself."""
        self._held_until = self._clock.now().mono + seconds

    def poke(self) -> None:
        """Poll now (engine loop only)."""
        if self._task is not None:
            self._task.all_due()
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                while (held := self._held_until - self._clock.now().mono) > 0:  # noqa: ASYNC110 (a clock says when)
                    await asyncio.sleep(held)
                pause = await self.once()
                # A time-out would begin each poll with a cancellation and a second turn of the loop.
                alarm = asyncio.get_running_loop().call_later(pause, self._poked.set)
                try:
                    await self._poked.wait()
                finally:
                    alarm.cancel()
                self._poked.clear()
        finally:
            if self._task is not None:
                await self._task.close()

    async def once(self) -> float:
        """Poll once, publish what came of it, and return the seconds until the next poll."""
        error: SafeText | None = None
        readings: dict[str, Reading[Any]] = {}
        try:
            if self._task is None:
                self._task = await self._made()
            started = self._clock.now()
            async with asyncio.timeout(self._source.deadline):
                understand = await self._task.ask(started)
            readings = understand(self._clock.now())
        except SourceError as failure:
            error = SafeText(failure)
        except TimeoutError:
            error = SafeText(f"no answer within {self._source.deadline:g} s")
        except Exception as bug:
            # A fault of ours in one reader must not end the watching; it is shown like any failure.
            error = SafeText(f"the reader itself failed: {type(bug).__name__}")
        return self._publish(readings, error)

    async def _made(self) -> Task:
        """Made once. Raises SourceError while that takes too long, and what the making raised."""
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        await asyncio.wait({self._making}, timeout=LOADING)
        if not self._making.done():
            raise SourceError("what reads it is still being loaded; look at this host's disk")
        made, self._making = self._making, None
        return made.result()

    def _publish(self, readings: dict[str, Reading[Any]], error: SafeText | None) -> float:
        now = self._clock.now()
        board = self._store.board
        if error is None and self._task is not None:
            self._backoff.succeeded()
            pause = max(self._task.next_due(now), 0.01)
        else:
            pause = self._backoff.failed()
            ours = [key for key, reading in board.readings.items() if reading.source == self._source.id]
            why = error or SafeText("not asked")
            readings = ingest_failure(ours, self._source, why, now, board.readings)
            if self._task is not None:
                self._task.all_due()
        retry = Instant(now.mono + pause, now.wall + pause)
        self._store.apply(readings, health_after(board.sources[self._source.id], error, now, retry))
        return pause
