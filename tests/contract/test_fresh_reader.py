"""A look that may take a second takes a second, however short the polls of that source are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from backends.board.fresh import FreshReader
from backends.model.clock import SystemClock
from backends.model.fact import Fact, Finding, Found
from backends.model.judge import is_gone
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.readers.redis import RedisFactReader
from tests.building import KILL, redis_source, stack
from tests.servers.redis import RedisServer

SLOW = 0.6


@asynccontextmanager
async def slow_way(port: int) -> AsyncIterator[int]:
    """A port behind which Redis answers ``SLOW`` seconds late."""

    async def carry(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while asked := await client.read(65536):
                writer.write(asked)
                told = await reader.read(65536)
                await asyncio.sleep(SLOW)
                answer.write(told)
        finally:
            writer.close()
            answer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize(("within", "outcome"), [(1.5, Outcome.OK), (0.3, Outcome.FAILED)])
async def test_the_time_given_to_a_look_decides(
    redis_db: RedisServer, within: float, outcome: Outcome
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    async with slow_way(redis_db.port) as port:
        source = redis_source(f"redis://127.0.0.1:{port}/0")
        assert source.deadline < SLOW
        spec = stack(sources={"redis": source}, facts={KILL.id: KILL})
        reader = FreshReader(spec, RedisFactReader, SystemClock())
        try:
            assert (await reader.look(KILL.id, within)).outcome is outcome
        finally:
            await reader.close()


class Slow:
    """A reader whose library takes its time to load, and which then answers at once."""

    def __init__(self, loaded: threading.Event) -> None:
        loaded.wait(SLOW / 2)

    async def read(self, facts: Sequence[Fact]) -> dict[str, Finding]:
        return {each.id: Found(SafeText("ACTIVE")) for each in facts}

    async def close(self) -> None:
        return


async def test_what_loads_here_is_no_silence_of_the_source_but_keeps_nobody_for_ever() -> None:
    spec = stack(sources={"redis": redis_source("redis://127.0.0.1:1/0")}, facts={KILL.id: KILL})
    loaded = threading.Event()
    reader = FreshReader(spec, lambda _: Slow(loaded), SystemClock())
    found = (await reader.look_all([KILL.id], 0.05))[KILL.id]
    assert (found.outcome, str(found.error)) == (Outcome.FAILED, "no answer in 0.05 s")
    assert (await reader.look(KILL.id, 0.05)).outcome is Outcome.OK
    await reader.close()


class Listing:
    """What an engine lists."""

    def __init__(self, found: dict[str, Service | None]) -> None:
        self._found = found

    async def services(self) -> dict[str, Service | None]:
        return self._found

    async def close(self) -> None: ...


WORKER = Service("worker", Runtime.DOCKER, "1", SafeText("worker"), RunState.EXITED, Health.NO_CHECK)


@pytest.mark.parametrize(("other", "is_known"), [(WORKER, True), (None, False)])
async def test_what_an_engine_does_not_have_is_gone_only_where_it_has_something_of_the_stack(
    other: Service | None, is_known: bool
) -> None:
    """A variable that is left in a shell leads to another engine; there nothing of the stack was stopped."""
    source = Source("docker", SourceKind.DOCKER, "Docker", "unix:///nowhere", 1.0, 1.0)
    specs = tuple(ServiceSpec(name, (name,), "work", "docker") for name in ("gateway", "worker"))
    spec = stack(sources={"docker": source}, services=specs)
    listing = Listing({"gateway": None, "worker": other})
    reader = FreshReader(spec, RedisFactReader, SystemClock(), lambda _: listing)
    try:
        seen = await reader.look("service:gateway", 1.0)
    finally:
        await reader.close()
    assert seen.outcome is Outcome.MISSING
    assert is_gone(seen) is is_known
