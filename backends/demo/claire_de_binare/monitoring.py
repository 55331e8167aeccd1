"""Prometheus without rules, as it is there, and Grafana's health."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.replies import says, success

_JOBS: Final = {
    "prometheus": "cdb_prometheus", "cdb_execution": "cdb_execution", "cdb_signal": "cdb_signal",
    "cdb_candles": "cdb_candles", "cdb_db_writer": "cdb_db_writer", "cdb_risk": "cdb_risk",
    "cdb_ws": "cdb_ws", "cdb_postgres_exporter": "cdb_postgres_exporter",
    "cdb_redis_exporter": "cdb_redis_exporter",
}  # fmt: skip
"""Scrape job: the container behind it."""


class Prometheus:
    """Knows the queries that the room asks, and says of any other that it holds nothing."""

    def __init__(
        self,
        is_up: Callable[[str], bool],
        orders: Callable[[], Mapping[str, float]],
        written: Callable[[], Mapping[str, float]],
    ) -> None:
        """``orders`` are execution's counters, ``written`` those of the database writer by metric."""
        self._is_up = is_up
        self._orders = orders
        self._written = written
        self._loaded = time.time()

    def reload(self) -> None:
        """SIGHUP: the configuration is read again."""
        self._loaded = time.time()

    def routes(self) -> list[Route]:
        return [
            Route("/-/healthy", says("Prometheus Server is Healthy.\n")),
            Route("/api/v1/query", self._query),
            Route("/api/v1/targets", self._targets),
            Route("/api/v1/rules", self._rules),
            Route("/api/v1/alerts", self._alerts),
        ]

    async def _query(self, request: Request) -> Response:
        query = request.query_params.get("query", "")
        series: list[tuple[dict[str, str], float]] = []
        if query == "up == 0":
            series = [({"job": job}, 0.0) for job, name in _JOBS.items() if not self._is_up(name)]
        elif query == "prometheus_config_last_reload_successful":
            series = [({}, 1.0)]
        elif query == "prometheus_config_last_reload_success_timestamp_seconds":
            series = [({}, self._loaded)]
        elif "db_writer_events_" in query:
            series = [({}, count) for name, count in self._written().items() if name in query]
        elif "execution_orders_rejected_total" in query:
            seen = self._orders()
            series = [({}, seen["orders_rejected"] / max(seen["orders_received"], 1.0))]
        now = time.time()
        result = [{"metric": labels, "value": [now, f"{value:.15g}"]} for labels, value in series]
        return success({"resultType": "vector", "result": result})

    async def _targets(self, _request: Request) -> Response:
        targets = [self._target(job, name) for job, name in _JOBS.items()]
        return success({"activeTargets": targets, "droppedTargets": []})

    def _target(self, job: str, name: str) -> dict[str, Any]:
        is_up = self._is_up(name)
        return {"labels": {"job": job, "instance": name}, "scrapeUrl": f"http://{name}/metrics",
                "health": "up" if is_up else "down",
                "lastError": "" if is_up else "connection refused"}  # fmt: skip

    async def _rules(self, _request: Request) -> Response:
        return success({"groups": []})

    async def _alerts(self, _request: Request) -> Response:
        return success({"alerts": []})


def grafana_routes() -> list[Route]:
    async def health(_request: Request) -> Response:
        return JSONResponse({"commit": "demo", "database": "ok", "version": "11.4.0"})

    return [Route("/api/health", health)]
