"""The model registry API (8005), the web console (8080) and Grafana (3000), as far as an operator watches."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.replies import says
from backends.demo.trading_platform.answers import Json, fail
from backends.demo.trading_platform.kill_switch import now_text


class Registry:
    """The file-based model catalogue. Its health can be made to fail."""

    def __init__(self) -> None:
        self.is_well = True

    def routes(self) -> list[Route]:
        return [
            Route("/health", self._health),
            Route("/api/v1/models/{type}/current", self._closed),
            Route("/api/v1/models/{type}/{version}", self._closed),
        ]

    async def check(self) -> tuple[bool, str]:
        return self.is_well, "" if self.is_well else "curl: (22) The requested URL returned error: 503"

    async def _health(self, _request: Request) -> Response:
        if not self.is_well:
            return fail(503, "Registry locked: manifest checksum mismatch")
        return Json(
            {"status": "healthy", "service": "model_registry", "version": "1.0.0", "timestamp": now_text()}
        )

    async def _closed(self, _request: Request) -> Response:
        return fail(503, "Registry authentication is not configured")  # compose gives it no token


def console_routes(redis: Redis) -> list[Route]:
    """What a probe from outside may ask the console."""

    async def alive(_request: Request) -> Response:
        return Json({"status": "alive", "timestamp": now_text()})

    async def ready(_request: Request) -> Response:
        try:
            await redis.ping()
        except RedisError:
            return Json({"status": "not_ready"}, 503)
        return Json({"status": "ready"})

    async def hidden(_request: Request) -> Response:
        return fail(403, "Forbidden")

    async def login(_request: Request) -> Response:
        return Response(status_code=307, headers={"location": "/login"})

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", hidden),
        Route("/", login),
        Route("/health", login),
    ]


def grafana_routes() -> list[Route]:
    async def health(_request: Request) -> Response:
        return JSONResponse({"commit": "demo", "database": "ok", "version": "10.4.2"})

    async def login(_request: Request) -> Response:
        return Response(status_code=302, headers={"location": "/login"})

    return [Route("/api/health", health), Route("/", login), Route("/login", says("Grafana\n"))]
