"""How the platform's FastAPI services answer: decimal strings, ISO times, ``{"detail": ...}`` for errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.trading_platform.gateway_auth import AuthError
from backends.demo.voice import Voice

Handler = Callable[[Request], Awaitable[Response]]


class Json(Response):
    """JSON with numbers of the database as decimal strings."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, default=_plain, separators=(",", ":"), ensure_ascii=False).encode()


def fail(status: int, detail: object) -> Json:
    return Json({"detail": detail}, status)


class InvalidError(Exception):
    """The body does not fit; ``errors`` is FastAPI's list."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("invalid request")
        self.errors = [
            {
                "type": "missing" if "required" in message else "value_error",
                "loc": ["body", name],
                "msg": message,
            }
            for name, message in errors
        ]


async def body_of(request: Request, required: Mapping[str, type]) -> dict[str, Any]:
    """The JSON object of a request. Raises InvalidError when a member is absent or of another type."""
    try:
        body = json.loads(await request.body() or b"null")
    except ValueError:
        raise InvalidError(("body", "JSON decode error")) from None
    if not isinstance(body, dict):
        raise InvalidError(("body", "Field required"))
    wrong = [
        (name, "Field required" if name not in body else f"Input should be a valid {kind.__name__}")
        for name, kind in required.items()
        if not isinstance(body.get(name), kind)
    ]
    if wrong:
        raise InvalidError(*wrong)
    return body


def service_app(routes: Sequence[Route], voice: Voice) -> Starlette:
    """A service's application, with its answers to what goes wrong."""

    async def not_well(_request: Request, error: Exception) -> Response:
        voice.trace("Traceback (most recent call last):", f"{type(error).__name__}: {error}")
        return Response("Internal Server Error", 500, media_type="text/plain")

    return Starlette(
        routes=routes,
        exception_handlers={
            AuthError: _refused,
            InvalidError: _invalid,
            HTTPException: _no_route,
            psycopg.Error: not_well,
            RedisError: not_well,
            ValueError: not_well,
            LookupError: not_well,
            TypeError: not_well,
        },
    )


async def metrics(request: Request) -> Response:
    """``/metrics`` answers with a redirect, as a mounted application does."""
    return Response(status_code=307, headers={"location": f"{request.url.path}/"})


async def _refused(_request: Request, error: Any) -> Response:
    return fail(error.status, error.detail)


async def _invalid(_request: Request, error: Any) -> Response:
    return fail(422, error.errors)


_NO_ROUTE: Final = {404: "Not Found", 405: "Method Not Allowed"}


async def _no_route(_request: Request, error: Any) -> Response:
    return fail(error.status_code, _NO_ROUTE.get(error.status_code, error.detail))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
