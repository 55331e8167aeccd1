"""A request that is given up takes nothing with it: whenever that is, the next ones are answered."""

from __future__ import annotations

import asyncio

import httpx

from backends.readers.http_page import Web
from tests.contract.http_server import Answer, HttpServer

MOMENTS = 40
"""Turns of the loop after which a request is given up: more than one takes."""

ROUNDS = 10
"""Together they are given up more often than there are connections to one service."""


async def ask(web: Web, url: str) -> bytes:
    async with web.stream("GET", httpx.URL(url), timeout=2.0) as response:
        return b"".join([piece async for piece in response.aiter_raw()])


async def test_a_service_still_answers_after_requests_were_given_up_at_every_moment() -> None:
    async with HttpServer() as server, Web() as web:
        server.answers["/a"] = Answer(200, b"here")
        for turns in list(range(MOMENTS)) * ROUNDS:
            request = asyncio.ensure_future(ask(web, f"{server.url}/a"))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        assert await ask(web, f"{server.url}/a") == b"here"
