"""Reads one fact afresh, over connections that no poller and no writer uses: what proofs are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from backends.board.derivation import Deriver
from backends.board.ingest import ingest_facts, ingest_failure, ingest_services, never, period_of
from backends.model.board import SERVICE
from backends.model.clock import Clock
from backends.model.fact import SourceError
from backends.model.port import FactReader, ServiceReader
from backends.model.query import Derivation
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source, Stack

LANES: Final = 8
"""Looks at one source that may be under way at once."""

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
    ) -> None:
        """``deriver`` is who remembers readings already; without one only these looks are remembered."""
        self._stack = stack
        self._make = make
        self._make_services = make_services
        self._clock = clock
        self._deriver = deriver or Deriver(stack)
        self._readers: list[FactReader] = []
        self._idle: dict[str, list[FactReader]] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._service_readers: dict[str, ServiceReader] = {}

    async def look(self, fact: str, within: float) -> Reading[Any]:
        """The fact as it is now, or a FAILED reading that says why not. Never raises for a source.

        ``service:<name>`` is a service of the stack, inspected anew.
        """
        if fact.startswith(SERVICE):
            return await self._look_at_service(fact, within)
        spec = self._stack.facts[fact]
        if isinstance(spec.query, Derivation):
            return await self._derive(fact, spec.query, within)
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

    async def _derive(self, fact: str, query: Derivation, within: float) -> Reading[Any]:
        """What the room makes of its inputs as they are now, and of what it remembers of them."""
        found = await asyncio.gather(*(self.look(name, within) for name in query.of))
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
        made = await asyncio.to_thread(self._make, source)
        self._readers.append(made)
        return made

    async def _look_at_service(self, key: str, within: float) -> Reading[Any]:
        name = key.removeprefix(SERVICE)
        spec = next(each for each in self._stack.services if each.name == name)
        source = self._stack.sources[spec.source]
        before = never([(key, source, source.every)], self._clock.now())
        try:
            if self._make_services is None:
                raise SourceError("services cannot be inspected here")
            if source.id not in self._service_readers:
                made = await asyncio.to_thread(self._make_services, source)
                self._service_readers.setdefault(source.id, made)
            async with asyncio.timeout(within):
                found = await self._service_readers[source.id].services()
        except (SourceError, TimeoutError) as failure:
            is_late = isinstance(failure, TimeoutError)
            why = SafeText(f"no answer in {within:g} s" if is_late else failure)
            return ingest_failure([key], source, why, self._clock.now(), before)[key]
        return ingest_services({name: found.get(name)}, source, self._clock.now(), before)[key]
