"""A look that may take a second takes a second, however short the polls of that source are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backends.board.fresh import FreshReader
from backends.model.clock import SystemClock
from backends.model.reading import Outcome
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
