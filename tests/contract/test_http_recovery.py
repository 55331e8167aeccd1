"""Whatever became of requests before, a service that answers is read again, without a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from backends.model.fact import Fact, Found, SourceError, ValueType
from backends.model.query import HttpQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers.http import HttpFactReader
from backends.readers.http_page import Web
from tests.contract.http_server import Answer, HttpServer

MODES = [
    Fact(f"mode.{number}", "Mode", "test", "web", HttpQuery(f"/mode/{number}"), ValueType.TEXT)
    for number in range(8)
]


async def call_off(reader: HttpFactReader, turns: int) -> None:
    """A poll that is cancelled after so many turns of the loop."""

    async def poll() -> None:
        await reader.read(MODES)

    asked = asyncio.create_task(poll())
    for _ in range(turns):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_polls_that_were_called_off_leave_the_next_a_connection() -> None:
    halted = {fact.id: Found(SafeText("halt")) for fact in MODES}
    async with HttpServer() as server:
        server.otherwise = Answer(200, b'"halt"')
        for turns in range(30):
            web = Web()
            reader = HttpFactReader(Source("web", SourceKind.HTTP, "Web", server.url, 1.0, 2.0), web)
            for _ in range(3):
                await call_off(reader, turns)
            with suppress(SourceError):
                await reader.read(MODES)  # finds out, at worst
            assert await reader.read(MODES) == halted, f"called off after {turns} turns"
            await reader.close()
            await web.aclose()
