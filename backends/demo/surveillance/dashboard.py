"""The dashboard's pages: always 200, whatever is wrong; only the bodies tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from backends.demo.database import Database
from backends.demo.surveillance.structlog import now

_SHOWN: Final = (
    "alert_id", "alert_type", "priority", "severity", "exchange", "instrument", "trigger_metric",
    "trigger_value", "trigger_threshold", "zscore_value", "zscore_threshold", "triggered_at",
    "duration_seconds", "resolved_at",
)  # fmt: skip
_CHART: Final = """
SELECT date_trunc('minute', timestamp) AS minute, avg(value) AS value, min(value) AS low, max(value) AS high
FROM metrics WHERE metric_name = %s AND exchange = %s AND instrument = %s
  AND created_at > now() - interval '15 minutes' GROUP BY 1 ORDER BY 1"""


class Dashboard:
    """Its two clients are made when it starts: a store that is away then stays away for it."""

    def __init__(self, redis: Redis, database: Database) -> None:
        self._redis = redis
        self._database = database
        self._has = {"redis": True, "postgres": True}
        self._began = monotonic()

    async def begin(self) -> None:
        """What happens at its start."""
        self._began = monotonic()
        self._has = {"redis": await self._is_redis_there(), "postgres": await self._is_database_there()}

    def routes(self) -> list[Route]:
        return [
            Route("/", self._page),
            Route("/api/health", self._health),
            Route("/api/alerts", self._alerts),
            Route("/api/state/{exchange}/{instrument}", self._state),
            Route("/api/metrics/{metric}/all/{instrument}", self._chart),
        ]

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>Market surveillance</title>")

    async def _health(self, _request: Request) -> Response:
        redis = self._has["redis"] and await self._is_redis_there()
        postgres = self._has["postgres"] and await self._is_database_there()
        exchanges = {}
        for name in ("binance", "okx"):
            said = await self._json(f"health:{name}") if redis else None
            exchanges[name] = _exchange(said) if said else {"status": "unknown"}
        gone = [one for one in exchanges.values() if one["status"] in ("disconnected", "unknown")]
        lost = [one for one in exchanges.values() if one["status"] == "disconnected"]
        is_bad = len(gone) == len(exchanges) or not (redis or postgres)
        word = "degraded" if is_bad else "warning" if lost or not (redis and postgres) else "healthy"
        return JSONResponse(
            {
                "status": word, "exchanges": exchanges,
                "infrastructure": {
                    "redis": "connected" if redis else "disconnected",
                    "postgres": "connected" if postgres else "disconnected",
                },
                "uptime_seconds": int(monotonic() - self._began), "timestamp": now(),
            }
        )  # fmt: skip

    async def _alerts(self, _request: Request) -> Response:
        alerts = []
        for ident in sorted(await self._members("alerts:active")):
            alert = await self._json(f"alert:{ident}")
            if alert is not None:
                alerts.append({name: alert.get(name) for name in _SHOWN} | _lasting(alert))
        alerts.sort(key=lambda alert: (alert["priority"], alert["triggered_at"]))
        counts = {word: sum(alert["priority"] == word for alert in alerts) for word in ("P1", "P2", "P3")}
        return JSONResponse({"alerts": alerts, "counts": counts | {"total": len(alerts)}})

    async def _state(self, request: Request) -> Response:
        where = request.path_params
        book = await self._json(f"orderbook:{where['exchange']}:{where['instrument']}") or {}
        said = {
            name: book.get(name) for name in ("timestamp", "spread_bps", "mid_price", "best_bid", "best_ask")
        }
        # It reads lists that nothing writes.
        never = {"spread_zscore": None, "spread_zscore_status": "warming", "spread_warmup_progress": "0/30"}
        return JSONResponse({**where, **said, **never, "basis_bps": None, "basis_zscore": None})

    async def _chart(self, request: Request) -> Response:
        metric = {"spread": "spread_bps", "depth": "depth_10bps_total"}.get(request.path_params["metric"])
        if metric is None:
            return JSONResponse({"detail": "unknown metric type"}, 400)
        points: dict[str, list[dict[str, Any]]] = {}
        for exchange in ("binance", "okx"):
            try:
                rows = await self._database.rows(_CHART, metric, exchange, request.path_params["instrument"])
            except psycopg.Error:
                rows = []
            points[exchange] = [
                {"timestamp": row["minute"].isoformat(), "value": str(row["value"]),
                 "min_value": str(row["low"]), "max_value": str(row["high"])}
                for row in rows
            ]  # fmt: skip
        return JSONResponse(points if self._has["postgres"] else {"binance": [], "okx": []})

    async def _json(self, key: str) -> dict[str, Any] | None:
        try:
            raw = await self._redis.get(key)
        except RedisError:
            return None
        found = None if raw is None else json.loads(raw)
        return found if isinstance(found, dict) else None

    async def _members(self, key: str) -> set[str]:
        try:
            return {str(one) for one in await self._redis.smembers(key)} if self._has["redis"] else set()
        except RedisError:
            return set()

    async def _is_redis_there(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except RedisError:
            return False

    async def _is_database_there(self) -> bool:
        try:
            await self._database.rows("SELECT 1")
        except psycopg.Error:
            return False
        return True


def _exchange(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": said["status"], "lag_ms": said["lag_ms"], "message_rate": said["message_count"],
        "gaps_1h": 0, "last_message": said["last_message_at"], "reconnect_count": said["reconnect_count"],
    }  # fmt: skip


def _lasting(alert: Mapping[str, Any]) -> dict[str, int]:
    since = datetime.now(UTC) - datetime.fromisoformat(alert["triggered_at"])
    return {"duration_seconds": int(since.total_seconds())}
