"""Two shapes of answer that Prometheus and Loki share: a plain word, and ``status: success`` around data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response


def says(text: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return PlainTextResponse(text)

    return answer


def success(data: object) -> Response:
    return JSONResponse({"status": "success", "data": data})
