"""The signal service, port 8001: what PostgreSQL marks as the active model, loaded and served."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any, Final

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.database import Database
from backends.demo.promql import Vector
from backends.demo.trading_platform.answers import Json, fail, metrics
from backends.demo.trading_platform.kill_switch import now_text
from backends.demo.voice import Voice

STRATEGY: Final = "alpha_baseline"
_PAUSE: Final = 5.0
"""Seconds between two rounds of signals."""


class SignalService:
    def __init__(self, database: Database, rng: random.Random, voice: Voice) -> None:
        self.voice = voice
        self.model: dict[str, Any] | None = None
        self.is_up: Callable[[], bool] = lambda: True
        self._db = database
        self._rng = rng

    async def begin(self) -> None:
        """The process starts: it loads the active model."""
        self.model = None
        try:
            await self.load()
        except psycopg.OperationalError as error:
            self.voice.error(f"Model load failed: {error}")

    async def load(self) -> str | None:
        """Load what is active now; the version loaded before."""
        before = self.model["version"] if self.model else None
        rows = await self._db.rows(
            "SELECT strategy_name, version, model_path, activated_at, created_at, performance_metrics"
            " FROM model_registry WHERE strategy_name = %s AND status = 'active'",
            STRATEGY,
        )
        self.model = rows[0] if rows else None
        return before

    def buckets(self) -> Vector:
        """How long rounds take, as the rates of a histogram's buckets."""
        edges = ((0.05, 0.04), (0.1, 0.15), (0.5, 0.2), (5.0, 0.2), (math.inf, 0.2))
        return [({"le": "+Inf" if math.isinf(le) else f"{le:g}"}, rate) for le, rate in edges]

    async def keep_generating(self, symbols: tuple[str, ...]) -> None:
        """A round of signals now and then, in the log, until cancelled."""
        voice = self.voice.named("apps.signal_service.signal_generator")
        while True:
            await asyncio.sleep(_PAUSE * self._rng.uniform(0.7, 1.3))
            if self.is_up() and self.model:
                took = self._rng.uniform(0.03, 0.12)
                voice.info(f"Generated {len(symbols)} signals with {self.model['version']} in {took:.3f}s")
                if self._rng.random() < 0.1:
                    voice.warning(f"Feature cache miss for {self._rng.choice(symbols)}, computing features")


def signal_routes(service: SignalService) -> list[Route]:
    api = _Api(service)
    return [
        Route("/", api.root),
        Route("/health", api.health),
        Route("/ready", api.ready),
        Route("/metrics", metrics),
        Route("/metrics/", api.metrics),
        Route("/api/v1/model/info", api.info),
        Route("/api/v1/model/reload", api.reload, methods=["POST"]),
        Route("/api/v1/signals/generate", api.generate, methods=["POST"]),
    ]


class _Api:
    def __init__(self, service: SignalService) -> None:
        self._service = service

    async def root(self, _request: Request) -> Response:
        return Json({"service": "signal_service", "version": "1.0.0", "status": "running"})

    async def health(self, _request: Request) -> Response:
        return Json(self._health())

    async def ready(self, _request: Request) -> Response:
        is_ready = self._service.model is not None
        return Json({**self._health(), "ready": is_ready}, 200 if is_ready else 503)

    async def metrics(self, _request: Request) -> Response:
        # The Redis gauge is set once at import, before the client exists: always 0 on the platform.
        text = (
            f"signal_service_model_loaded_status {int(self._service.model is not None)}\n"
            "signal_service_redis_connection_status 0\nsignal_service_database_connection_status 1\n"
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def info(self, _request: Request) -> Response:
        model = self._service.model
        if model is None:
            return fail(503, "Model not loaded")
        return Json({**model, "strategy": model["strategy_name"], "status": "active"})

    async def reload(self, _request: Request) -> Response:
        service = self._service
        service.voice.info("Manual model reload requested")
        before = await service.load()
        version = service.model["version"] if service.model else None
        is_new = before != version
        said = f"Model reloaded: {version}" if is_new else f"Model is up to date: {version}"
        return Json({"reloaded": is_new, "version": version, "previous_version": before,
                     "pending_validation": False, "message": said})  # fmt: skip

    async def generate(self, _request: Request) -> Response:
        return fail(401, {"error": "authentication_required", "message": "Authentication required"})

    def _health(self) -> dict[str, Any]:
        # Compose allows running without a model, so that is healthy too.
        model = self._service.model
        info = model and {"strategy": model["strategy_name"], "version": model["version"],
                          "activated_at": model["activated_at"]}  # fmt: skip
        return {
            "status": "healthy", "model_loaded": model is not None, "model_info": info,
            "redis_status": "disabled", "feature_cache_enabled": False, "timestamp": now_text(),
            "service": "signal_service",
        }  # fmt: skip
