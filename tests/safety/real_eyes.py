"""Reading back through the room's own readers, over connections of their own."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from backends.model.clock import Clock
from backends.model.fact import Broken, Found, SourceError
from backends.model.port import FactReader
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import SourceKind, Stack
from backends.readers.http import HttpFactReader
from backends.readers.redis import RedisFactReader
from backends.web import Web


class RealEyes:
    """A verifier of a stack with Redis and HTTP sources."""

    def __init__(self, stack: Stack, clock: Clock) -> None:
        self._stack = stack
        self._clock = clock
        self._readers: dict[str, FactReader] = {}
        self._web = Web()
        self.seen: list[tuple[str, str]] = []
        """(fact, word) of every look that got an answer."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        asked = self._stack.facts[fact]
        try:
            async with asyncio.timeout(within):
                found = (await self._reader(asked.source, within).read([asked]))[fact]
        except (TimeoutError, SourceError) as error:
            why = SafeText(str(error) or "no answer in time")
            return Reading(fact, asked.source, Outcome.FAILED, self._clock.now(), 1.0, error=why)
        now = self._clock.now()
        if isinstance(found, Found):
            self.seen.append((fact, str(found.value)))
            return Reading(fact, asked.source, Outcome.OK, now, 1.0, value=found.value)
        if isinstance(found, Broken):
            return Reading(fact, asked.source, Outcome.FAILED, now, 1.0, error=found.why)
        return Reading(fact, asked.source, Outcome.MISSING, now, 1.0)

    async def close(self) -> None:
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))
        await self._web.aclose()

    def _reader(self, source: str, within: float) -> FactReader:
        if source not in self._readers:
            about = replace(self._stack.sources[source], deadline=within)
            is_redis = about.kind is SourceKind.REDIS
            self._readers[source] = RedisFactReader(about) if is_redis else HttpFactReader(about, self._web)
        return self._readers[source]
