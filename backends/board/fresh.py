"""Reads facts afresh, over connections that no poller and no writer uses: what proofs are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from backends.board.derivation import Deriver
from backends.board.ingest import Readings, ingest_facts, ingest_failure, ingest_services, never, period_of
from backends.model.board import CLOCK, SERVICE
from backends.model.clock import Clock
from backends.model.fact import Broken, Fact, Found, SourceError, ValueType
from backends.model.port import FactReader, ServiceReader
from backends.model.query import Derivation, RedisQuery, SqlQuery
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind, Stack

PATIENCE: Final = 3.0
"""Seconds a reader may take here: longer than any look, so that each look's own time decides. A poll's is
shorter, and an answer that comes just after it would pass for silence where it contradicts.
"""

LANES: Final = 8
"""Looks at one source that may be under way at once."""

LEAST: Final = 2.0
"""Seconds a source may always take for all its facts of one examination."""

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
        deriver: Deriver | None = None,
        dated: Callable[[Readings], Readings] = dict,
    ) -> None:
        """``deriver`` is who remembers readings already; without one only these looks are remembered.
        ``dated`` adds to readings how long ago or unchanged they certainly are."""
        self._stack = stack
        self._make = make
        self._make_services = make_services
        self._clock = clock
        self._deriver = deriver or Deriver(stack)
        self._dated = dated
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
        if isinstance(spec.query, Derivation):
            return await self._derive(fact, spec.query, within)
        return (await self._ask(self._stack.sources[spec.source], [spec], within))[fact]

    async def look_all(self, keys: Iterable[str], longest: float) -> dict[str, Reading[Any]]:
        """All of these facts and services as they are now; a source is asked once for all of its own.

        All sources are asked at once, each for at most twice its deadline and never over ``longest``
        seconds. What cannot be read is FAILED, also for a fault of ours. What the room derives itself is
        made of its inputs as they are now, and of what is remembered of them.
        """
        asked = tuple(dict.fromkeys(keys))
        derived = {key: query for key in asked if (query := self._derivation(key)) is not None}
        inputs = [name for query in derived.values() for name in query.inputs]
        found = await self._look_far([*(key for key in asked if key not in derived), *inputs], longest)
        self._deriver.remember(found)
        found |= {key: self._deriver.make(key, found, self._clock.now()) for key in derived}
        return {key: found[key] for key in asked}

    async def _look_far(self, keys: Iterable[str], longest: float) -> dict[str, Reading[Any]]:
        wanted: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            wanted.setdefault(self._source_of(key).id, []).append(key)
        answers = await asyncio.gather(
            *(self._look_together(self._stack.sources[name], of, longest) for name, of in wanted.items())
        )
        return {key: reading for answer in answers for key, reading in answer.items()}

    async def _derive(self, fact: str, query: Derivation, within: float) -> Reading[Any]:
        """What the room makes of its inputs as they are now, and of what it remembers of them."""
        found = await asyncio.gather(*(self.look(name, within) for name in query.inputs))
        readings = {reading.key: reading for reading in found}
        self._deriver.remember(readings)
        return self._deriver.make(fact, readings, self._clock.now())

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

    def _derivation(self, key: str) -> Derivation | None:
        fact = self._stack.facts.get(key)
        return fact.query if fact is not None and isinstance(fact.query, Derivation) else None

    def _source_of(self, key: str) -> Source:
        if key.startswith(SERVICE):
            name = key.removeprefix(SERVICE)
            return self._stack.sources[next(it.source for it in self._stack.services if it.name == name)]
        return self._stack.sources[self._stack.facts[key].source]

    async def _look_together(self, source: Source, keys: list[str], longest: float) -> Readings:
        within = min(longest, max(LEAST, 2 * source.deadline))
        facts = [self._stack.facts[key] for key in keys if not key.startswith(SERVICE)]
        services = [key for key in keys if key.startswith(SERVICE)]
        try:
            found: dict[str, Reading[Any]] = {}
            async with asyncio.timeout(longest):
                if facts:
                    found |= await self._ask(source, facts, within)
                if services:
                    found |= await self._inspect(source, services, within)
        except Exception as fault:
            # A fault of a reader is one more reason why nothing is known; the other sources are not its.
            why = _why(fault, longest) if isinstance(fault, TimeoutError) else SafeText(type(fault).__name__)
            now = self._clock.now()
            before = never([(key, source, source.every) for key in keys], now)
            return ingest_failure(keys, source, why, now, before)
        return found

    async def _ask(self, source: Source, specs: list[Fact], within: float) -> Readings:
        asked = self._clock.now()
        before = never([(spec.id, source, period_of(spec, source)) for spec in specs], asked)
        try:
            async with self._turns.setdefault(source.id, asyncio.Semaphore(LANES)):
                # Its time begins when it can be asked: what loads a library here is not the source's silence.
                reader = await self._lane(source)
                try:
                    async with asyncio.timeout(within):
                        findings = await reader.read(specs)
                finally:
                    self._idle.setdefault(source.id, []).append(reader)
        except (SourceError, TimeoutError) as failure:
            names = [spec.id for spec in specs]
            return ingest_failure(names, source, _why(failure, within), self._clock.now(), before)
        return self._dated(ingest_facts(specs, findings, source, self._clock.now(), before))

    async def _look_at_service(self, key: str, within: float) -> Reading[Any]:
        return (await self._inspect(self._source_of(key), [key], within))[key]

    async def _inspect(self, source: Source, keys: list[str], within: float) -> Readings:
        before = never([(key, source, source.every) for key in keys], self._clock.now())
        try:
            reader = await self._service_reader(source)
            async with asyncio.timeout(within):
                found = await reader.services()
        except (SourceError, TimeoutError) as failure:
            return ingest_failure(keys, source, _why(failure, within), self._clock.now(), before)
        wanted = {key.removeprefix(SERVICE): None for key in keys}
        seen = ingest_services(wanted | dict(found), source, self._clock.now(), before)
        return self._dated({key: seen[key] for key in keys})

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
            return ingest_failure([key], source, _why(failure, within), self._clock.now(), before)[key]
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


def _why(failure: SourceError | TimeoutError, within: float) -> SafeText:
    return SafeText(failure if isinstance(failure, SourceError) else f"no answer in {within:g} s")
