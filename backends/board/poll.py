"""One task a source: wake, ask under a deadline, hand over, wait. Each source fails alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backends.board.backoff import Backoff
from backends.board.ingest import ingest_facts, ingest_failure, ingest_services, period_of
from backends.board.store import Store, health_after
from backends.model.board import SERVICE
from backends.model.clock import Clock, Instant
from backends.model.fact import Fact, SourceError
from backends.model.port import FactReader, ServiceReader
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source

EARLY = 0.05
"""A fact due within this many seconds goes with the poll that happens now."""


class Task(Protocol):
    """What one poll of one source asks for."""

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        """Ask the source; the result makes readings of the answer. Raises SourceError."""

    def keys(self) -> Sequence[str]:
        """The board keys the last ``ask`` was about."""

    def next_due(self, now: Instant) -> float:
        """Seconds until something is due."""

    async def close(self) -> None: ...


class FactTask:
    """Polls those facts of a source that are due, all in one call of its reader."""

    def __init__(self, source: Source, facts: Sequence[Fact], reader: FactReader, store: Store) -> None:
        self._source = source
        self._facts = facts
        self._reader = reader
        self._store = store
        self._due = dict.fromkeys((fact.id for fact in facts), 0.0)
        self._asked: list[Fact] = []

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        asked = [fact for fact in self._facts if self._due[fact.id] <= now.mono + EARLY]
        self._asked = asked
        for fact in asked:
            self._due[fact.id] = now.mono + period_of(fact, self._source)
        findings = await self._reader.read(asked)
        return lambda at: ingest_facts(asked, findings, self._source, at, self._store.board.readings)

    def keys(self) -> Sequence[str]:
        return [fact.id for fact in self._facts]

    def next_due(self, now: Instant) -> float:
        return max(min(self._due.values(), default=now.mono) - now.mono, 0.0)

    def all_due(self) -> None:
        """Ask for every fact at the next poll, whatever its cadence."""
        self._due = dict.fromkeys(self._due, 0.0)

    async def close(self) -> None:
        await self._reader.close()


class ServiceTask:
    """Polls the services of a runtime."""

    def __init__(self, source: Source, names: Sequence[str], reader: ServiceReader, store: Store) -> None:
        self._source = source
        self._names = names
        self._reader = reader
        self._store = store

    async def ask(self, now: Instant) -> Callable[[Instant], dict[str, Reading[Any]]]:
        del now
        services = await self._reader.services()
        return lambda at: ingest_services(services, self._source, at, self._store.board.readings)

    def keys(self) -> Sequence[str]:
        return [
            *(SERVICE + name for name in self._names),
            *(
                key
                for key, reading in self._store.board.readings.items()
                if key.startswith(SERVICE)
                and reading.source == self._source.id
                and key.removeprefix(SERVICE) not in self._names
            ),
        ]

    def next_due(self, now: Instant) -> float:
        del now
        return self._source.every

    def all_due(self) -> None:
        """Services are always due."""

    async def close(self) -> None:
        await self._reader.close()


class Poller:
    """Runs one source's task for as long as the engine lives."""

    def __init__(
        self,
        source: Source,
        task: FactTask | ServiceTask,
        store: Store,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._task = task
        self._store = store
        self._clock = clock
        self._backoff = Backoff(source.every, jitter)
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Poll now (engine loop only)."""
        self._task.all_due()
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                pause = await self.once()
                try:
                    await asyncio.wait_for(self._poked.wait(), pause)
                except TimeoutError:
                    continue
                finally:
                    self._poked.clear()
        finally:
            await self._task.close()

    async def once(self) -> float:
        """Poll once, publish what came of it, and return the seconds until the next poll."""
        started = self._clock.now()
        before = self._store.board.sources[self._source.id]
        error: SafeText | None = None
        readings: dict[str, Reading[Any]] = {}
        try:
            understand = await asyncio.wait_for(self._task.ask(started), self._source.deadline)
            readings = understand(self._clock.now())
        except SourceError as failure:
            error = SafeText(failure)
        except TimeoutError:
            error = SafeText(f"no answer within {self._source.deadline:g} s")
        except Exception as bug:
            error = SafeText(f"the reader itself failed: {type(bug).__name__}")
        now = self._clock.now()
        if error is None:
            self._backoff.succeeded()
            pause = max(self._task.next_due(now), 0.01)
        else:
            pause = self._backoff.failed()
            known = self._store.board.readings
            readings = ingest_failure(self._task.keys(), self._source, error, now, known)
            self._task.all_due()
        retry = Instant(now.mono + pause, now.wall + pause)
        self._store.apply(readings, health_after(before, error, now, retry))
        return pause
