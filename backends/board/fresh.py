"""Reads one fact afresh, over connections that no poller and no writer uses: what proofs are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from backends.board.ingest import ingest_facts, ingest_failure, ingest_services, never, period_of
from backends.model.board import CLOCK, SERVICE
from backends.model.clock import Clock
from backends.model.fact import Broken, Fact, Found, RedisQuery, SourceError, SqlQuery, ValueType
from backends.model.port import FactReader, ServiceReader
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind, Stack

PATIENCE: Final = 3.0
"""Seconds a reader may take here: longer than any look, so that each look's own time decides. A poll's is
shorter, and an answer that comes just after it would pass for silence where it contradicts.
"""

LANES: Final = 8
"""Looks at one source that may be under way at once."""

_TIMES: Final = {
    SourceKind.REDIS: Fact("clock", "Clock", "", "", RedisQuery("time", ""), ValueType.TIME),
    SourceKind.POSTGRES: Fact(
        "clock", "Clock", "", "",
        SqlQuery("SELECT extract(epoch FROM clock_timestamp())::float8 AS now"), ValueType.TIME, pick="now",
    ),
}  # fmt: skip
"""What a source is asked for its own time."""

CLOSING: Final = 1.0
"""Seconds all connections together may take to close."""


class FreshReader:
    """A ``Verifier``: keeps readers of its own for each source, opened when first needed or warmed."""

    def __init__(
        self,
        stack: Stack,
        make: Callable[[Source], FactReader],
        clock: Clock,
        make_services: Callable[[Source], ServiceReader] | None = None,
    ) -> None:
        self._stack = stack
        self._make = make
        self._make_services = make_services
        self._clock = clock
        self._readers: list[FactReader] = []
        self._idle: dict[str, list[FactReader]] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._service_readers: dict[str, ServiceReader] = {}

    async def look(self, fact: str, within: float) -> Reading[Any]:
        """The fact as it is now, or a FAILED reading that says why not. Never raises for a source.

        ``service:<name>`` is a service of the stack, inspected anew; ``clock:<source>`` the seconds by which
        the clock of a Redis, a PostgreSQL or a Docker Engine differs from this host's.
        """
        if fact.startswith(SERVICE):
            return await self._look_at_service(fact, within)
        if fact.startswith(CLOCK):
            return await self._look_at_clock(fact, within)
        spec = self._stack.facts[fact]
        source = self._stack.sources[spec.source]
        asked = self._clock.now()
        before = never([(fact, source, period_of(spec, source))], asked)
        try:
            async with asyncio.timeout(within), self._turns.setdefault(source.id, asyncio.Semaphore(LANES)):
                reader = await self._lane(source)
                try:
                    findings = await reader.read([spec])
                finally:
                    self._idle.setdefault(source.id, []).append(reader)
        except (SourceError, TimeoutError) as failure:
            why = (
                SafeText(failure)
                if isinstance(failure, SourceError)
                else SafeText(f"no answer in {within:g} s")
            )
            return ingest_failure([fact], source, why, self._clock.now(), before)[fact]
        return ingest_facts([spec], findings, source, self._clock.now(), before)[fact]

    async def warm(self, facts: list[str]) -> None:
        """Open the connections these facts will need; what fails now will say so when it is needed."""
        await asyncio.gather(*(self.look(fact, 2.0) for fact in facts))

    async def close(self) -> None:
        readers: list[FactReader | ServiceReader] = [*self._readers, *self._service_readers.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await asyncio.gather(*(reader.close() for reader in readers), return_exceptions=True)
        self._readers.clear()
        self._idle.clear()
        self._service_readers.clear()

    async def _lane(self, source: Source) -> FactReader:
        """A reader nobody is using: one reader holds one connection, and takes one question at a time."""
        idle = self._idle.setdefault(source.id, [])
        if idle:
            return idle.pop()
        # Loading a client library takes a while, and a stop may be under way on this loop.
        patient = replace(source, deadline=max(source.deadline, PATIENCE))
        made = await asyncio.to_thread(self._make, patient)
        self._readers.append(made)
        return made

    async def _look_at_service(self, key: str, within: float) -> Reading[Any]:
        name = key.removeprefix(SERVICE)
        spec = next(each for each in self._stack.services if each.name == name)
        source = self._stack.sources[spec.source]
        before = never([(key, source, source.every)], self._clock.now())
        try:
            reader = await self._service_reader(source)
            async with asyncio.timeout(within):
                found = await reader.services()
        except (SourceError, TimeoutError) as failure:
            is_late = isinstance(failure, TimeoutError)
            why = SafeText(f"no answer in {within:g} s" if is_late else failure)
            return ingest_failure([key], source, why, self._clock.now(), before)[key]
        return ingest_services({name: found.get(name)}, source, self._clock.now(), before)[key]

    async def _look_at_clock(self, key: str, within: float) -> Reading[Any]:
        source = self._stack.sources[key.removeprefix(CLOCK)]
        before = never([(key, source, source.every)], self._clock.now())
        try:
            async with asyncio.timeout(within):
                await self._tell_time(source)  # what is opened and loaded for it takes its own time
                asked = self._clock.now()
                told = await self._tell_time(source)
                took = self._clock.now().since(asked)
        except (SourceError, TimeoutError) as failure:
            is_late = isinstance(failure, TimeoutError)
            why = SafeText(f"no answer in {within:g} s" if is_late else failure)
            return ingest_failure([key], source, why, self._clock.now(), before)[key]
        apart = round(abs(told - (asked.wall + took / 2)), 3)
        spec = replace(_TIMES[SourceKind.REDIS], id=key, source=source.id)
        return ingest_facts([spec], {key: Found(apart)}, source, self._clock.now(), before)[key]

    async def _tell_time(self, source: Source) -> float:
        """The source's own time, epoch seconds."""
        if source.kind is SourceKind.DOCKER:
            return await (await self._service_reader(source)).clock()
        if source.kind not in _TIMES:
            raise SourceError(f"{source.kind.value} tells no time")
        spec = replace(_TIMES[source.kind], source=source.id)
        reader = await self._lane(source)
        try:
            found = (await reader.read([spec]))[spec.id]
        finally:
            self._idle.setdefault(source.id, []).append(reader)
        if not isinstance(found, Found) or not isinstance(found.value, float):
            raise SourceError(str(found.why) if isinstance(found, Broken) else "it tells no time")
        return found.value

    async def _service_reader(self, source: Source) -> ServiceReader:
        if self._make_services is None:
            raise SourceError("services cannot be inspected here")
        if source.id not in self._service_readers:
            made = await asyncio.to_thread(self._make_services, source)
            self._service_readers.setdefault(source.id, made)
        return self._service_readers[source.id]
