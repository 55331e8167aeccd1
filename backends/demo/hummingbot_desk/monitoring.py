"""Prometheus, Grafana and Loki, as far as this desk's operators ask them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.hummingbot_desk.generation import Generation, Monitoring
from backends.demo.promql import QueryError, Store, evaluate
from backends.demo.replies import success

_JOBS: Final = ("prometheus", "node-exporter", "cadvisor", "grafana")
_COMPUTED: Final = {"node_cpu_seconds_total": 23.0, "node_memory": 48.0, "node_filesystem": 41.0}
"""Percent: what the longer sums of the dashboards come to, by what they are about."""


class Prometheus:
    def __init__(
        self, is_up: Callable[[str], bool], ages: Callable[[], Mapping[str, float]], generation: Generation
    ) -> None:
        """``is_up`` knows compose services, ``ages`` the seconds each container has run."""
        self._is_up, self._ages = is_up, ages
        self._prefix, self._knows = generation.prefix, generation.monitoring
        self._bots = tuple(generation.bots)
        self._jobs = {
            **{job: job for job in _JOBS},
            "bot-metrics": self._knows.bots,
            "control-plane-metrics": self._knows.plane,
        }
        self._born = time.time()
        self.computed = dict(_COMPUTED)
        self.reconnects = 0.0
        """Of bot 1's market data, in as long as is asked for."""

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/targets", self._targets),
            Route("/api/v1/rules", self._rules),
            Route("/api/v1/alerts", self._alerts),
            Route("/api/v1/query", self._query, methods=["GET", "POST"]),
        ]

    async def _targets(self, _request: Request) -> Response:
        active = [
            {
                "labels": {"job": job, "instance": service},
                "health": "up" if self._is_up(service) else "down",
                "lastError": "" if self._is_up(service) else "connection refused",
            }
            for job, service in self._jobs.items()
        ]
        return success({"activeTargets": active, "droppedTargets": []})

    async def _rules(self, _request: Request) -> Response:
        rules = [
            {"name": name, "state": "inactive", "health": "ok", "type": "alerting"}
            for name in self._knows.rules
        ]
        return success({"groups": [{"name": "desk", "rules": rules}]})

    async def _alerts(self, _request: Request) -> Response:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._born))
        fire = dict(self._knows.alerts)
        if missed := [bot for bot in self._bots if not self._is_up(bot)]:
            fire[self._knows.missed] = f"{', '.join(missed)} not seen"
        alerts = [
            {
                "labels": {"alertname": name, "severity": "critical"},
                "annotations": {"summary": summary},
                "state": "firing",
                "activeAt": at,
            }
            for name, summary in fire.items()
        ]
        return success({"alerts": alerts})

    async def _query(self, request: Request) -> Response:
        asked = request.query_params.get("query") or str((await request.form()).get("query", ""))
        try:
            vector = self._answer(asked)
        except QueryError as error:
            return JSONResponse({"status": "error", "errorType": "bad_data", "error": str(error)}, 400)
        now = round(time.time(), 3)
        result = [{"metric": labels, "value": [now, f"{value:.12g}"]} for labels, value in vector]
        return success({"resultType": "vector", "result": result})

    def _answer(self, asked: str) -> list[tuple[dict[str, str], float]]:
        for about, percent in self.computed.items():
            if about in asked:
                return [({}, percent)]
        if asked.startswith("time() - max(timestamp("):
            return [({}, 4.0)] if self._is_up(self._knows.bots) else []
        if "container_start_time_seconds" in asked:
            found = [age for name, age in self._ages().items() if f'"{self._prefix}{name}"' in asked]
            return [({}, found[0])] if found else []
        if "__name__" in asked:
            return [({"__name__": "hbot_control_plane_report_fresh", "report": "coordination"}, 1.0)]
        return evaluate(asked, self._store())

    def _store(self) -> Store:
        reports = ("coordination", "coordination_policy", "promotion_gate")
        fresh = [({"report": report}, 1.0) for report in reports]
        gates = [
            ({"gate": "coordination_policy_scope", "source": "promotion_latest"}, 1.0),
            ({"gate": "coordination_runtime_ok"}, 1.0),
        ]
        return {
            "up": [({"job": job}, float(self._is_up(service))) for job, service in self._jobs.items()],
            "hbot_control_plane_report_fresh": fresh,
            "hbot_control_plane_gate_status": gates,
            "hbot_bot_ws_reconnect_total:rate": [({"bot": "bot1"}, self.reconnects)],
        }


def grafana_routes(knows: Monitoring) -> list[Route]:
    async def health(_request: Request) -> Response:
        return JSONResponse({"commit": "demo", "database": "ok", "version": "10.4.2"})

    async def sources(_request: Request) -> Response:
        return JSONResponse(
            [{"name": name, "type": uid.partition("-")[0], "uid": uid} for uid, name in knows.sources]
        )

    async def source(request: Request) -> Response:
        if request.path_params["uid"] not in dict(knows.sources):
            return JSONResponse({"message": "Data source not found"}, 404)
        return JSONResponse({"status": "OK", "message": "Data source is working"})

    async def dashboards(_request: Request) -> Response:
        return JSONResponse([{"title": title, "uid": uid} for uid, title in knows.dashboards.items()])

    return [
        Route("/api/health", health),
        Route("/api/datasources", sources),
        Route("/api/datasources/uid/{uid}/health", source),
        Route("/api/search", dashboards),
    ]


class Loki:
    """The lines of bots 1 to 3; bot 4 is not shipped."""

    def __init__(self, lines: Callable[[], list[tuple[int, str]]]) -> None:
        """``lines`` are bot 1's, with nanoseconds, oldest first."""
        self._lines = lines

    def routes(self) -> list[Route]:
        return [
            Route("/ready", self._series),
            Route("/loki/api/v1/series", self._series),
            Route("/loki/api/v1/query_range", self._query),
        ]

    async def _series(self, request: Request) -> Response:
        asked = request.query_params.get("match[]", "")
        return success([{"job": "bot_logs", "bot": "bot1"}] if 'bot="bot1"' in asked else [])

    async def _query(self, request: Request) -> Response:
        asked = request.query_params.get("query", "")
        word = asked.partition('|= "')[2].partition('"')[0]
        start, end = int(request.query_params["start"]), int(request.query_params["end"])
        found = [[str(at), text] for at, text in self._lines() if start <= at <= end and word in text]
        stream: dict[str, Any] = {"stream": {"job": "bot_logs", "bot": "bot1"}, "values": found[::-1]}
        is_any = found and 'bot="bot1"' in asked
        return success({"resultType": "streams", "result": [stream] if is_any else []})
