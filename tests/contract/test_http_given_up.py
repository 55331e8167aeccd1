"""A request that is given up takes nothing with it: whenever that is, the next ones are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx

from backends.model.action import HttpCall
from backends.model.fact import Fact, Found, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import HttpQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers.http import HttpFactReader
from backends.web import Web
from backends.writers.http import HttpEffector
from tests.contract.http_server import Answer, HttpServer

MOMENTS = 40
"""Turns of the loop after which a request is given up: more than one takes."""

ROUNDS = 10
"""Together they are given up more often than there are connections to one service."""

GIVEN_UP = 60
"""Rounds of stops: a client of the library's own has more connections."""

MODES = [
    Fact(f"mode.{number}", "Mode", "test", "web", HttpQuery(f"/mode/{number}"), ValueType.TEXT)
    for number in range(8)
]


async def ask(web: Web, url: str) -> bytes:
    async with web.stream("GET", httpx.URL(url), timeout=2.0) as response:
        return b"".join([piece async for piece in response.pieces()])


async def give_up(asking: Coroutine[Any, Any, object], turns: int) -> None:
    """Begin it, and call it off after so many turns of the loop."""
    asked = asyncio.ensure_future(asking)
    for _ in range(turns):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_a_service_still_answers_after_requests_were_given_up_at_every_moment() -> None:
    async with HttpServer() as server, Web() as web:
        server.answers["/a"] = Answer(200, b"here")
        for turns in list(range(MOMENTS)) * ROUNDS:
            await give_up(ask(web, f"{server.url}/a"), turns)
        assert await ask(web, f"{server.url}/a") == b"here"


async def test_polls_of_many_pages_that_were_given_up_leave_the_next_its_connections() -> None:
    halted = {fact.id: Found(SafeText("halt")) for fact in MODES}
    async with HttpServer() as server:
        server.otherwise = Answer(200, b'"halt"')
        for turns in range(MOMENTS):
            async with Web() as web:
                reader = HttpFactReader(Source("web", SourceKind.HTTP, "Web", server.url, 1.0, 2.0), web)
                for _ in range(3):
                    await give_up(reader.read(MODES), turns)
                assert await reader.read(MODES) == halted, f"called off after {turns} turns"


async def test_a_stop_over_http_is_still_sent_after_others_were_given_up_at_every_moment() -> None:
    halt = HttpCall("web", "POST", "/halt")
    step = Step("halt", "Halt", halt, (), 2.0, 2.0)
    async with HttpServer() as server:
        server.otherwise = Answer(200, b"{}")
        effector = HttpEffector(Source("web", SourceKind.HTTP, "Web", server.url, 1.0, 2.0))
        await effector.warm()
        for turns in list(range(MOMENTS)) * GIVEN_UP:
            await give_up(effector.act(halt, {}, step), turns)
        assert (await effector.act(halt, {}, step)).kind is ReceiptKind.DONE
        await effector.close()
