"""Prometheus (port 9090): targets that follow the containers, the platform's alerts, small queries."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.dockerd.stamps import SECOND, trimmed
from backends.demo.promql import QueryError, Store, evaluate
from backends.demo.replies import says, success

_JOBS: Final = {
    "prometheus": ("prometheus", "localhost:9090"),
    "execution-gateway": ("execution_gateway", "execution_gateway:8002"),
    "signal-service": ("signal_service", "signal_service:8001"),
    "orchestrator": ("orchestrator", "orchestrator:8003"),
    "market-data-service": ("market_data_service", "market_data_service:8004"),
    "model-registry": ("", "model_registry:8005"),
    "web-console-metrics": ("", "web_console_dev:8503"),
}
"""Scrape jobs: compose service and target. Without a service the target is down for good."""

_DOWN_ALERTS: Final = {
    "execution-gateway": ("ExecutionGatewayDown", "critical", 60),
    "signal-service": ("SignalServiceDown", "high", 120),
    "orchestrator": ("OrchestratorDown", "high", 60),
    "market-data-service": ("MarketDataServiceDown", "critical", 60),
}
"""Alert, severity and seconds until it fires."""

_ALWAYS: Final = (
    ("CBMetricMissing", "critical", "Circuit breaker metric missing", "cb_staleness_seconds is absent"),
    ("SignalServiceRedisDisconnected", "medium", "Signal service Redis disconnected", "gauge is 0"),
)
"""Alerts that fire permanently on the platform: known noise."""

_GROUP: Final = "trading_platform"

Metrics = Callable[[], Awaitable[Store]]


class Prometheus:
    def __init__(self, is_up: Callable[[str], bool], numbers: Metrics) -> None:
        """``is_up`` knows compose services; ``numbers`` are the services' metrics."""
        self._is_up = is_up
        self._numbers = numbers
        self._born = time.time()
        self._down_since: dict[str, float] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/-/healthy", says("Prometheus Server is Healthy.\n")),
            Route("/-/ready", says("Prometheus Server is Ready.\n")),
            Route("/", says("Prometheus\n")),
            Route("/api/v1/alerts", self._alerts),
            Route("/api/v1/rules", self._rules),
            Route("/api/v1/targets", self._targets),
            Route("/api/v1/alertmanagers", self._alertmanagers),
            Route("/api/v1/query", self._query, methods=["GET", "POST"]),
            Route("/api/v1/status/buildinfo", self._build),
        ]

    def watch(self) -> None:
        """Look which targets are up, so that alerts know since when one is not."""
        now = time.time()
        for job in _JOBS:
            if self._reaches(job):
                self._down_since.pop(job, None)
            else:
                self._down_since.setdefault(job, now)

    def _reaches(self, job: str) -> bool:
        service = _JOBS[job][0]
        return bool(service) and self._is_up(service)

    async def _alerts(self, _request: Request) -> Response:
        return success({"alerts": self._active()})

    def _active(self) -> list[dict[str, Any]]:
        self.watch()
        alerts = [
            _alert(name, severity, self._born, "firing", {"summary": summary, "description": why})
            for name, severity, summary, why in _ALWAYS
        ]
        for job, (name, severity, wait) in _DOWN_ALERTS.items():
            since = self._down_since.get(job)
            if since is not None:
                state = "firing" if time.time() - since >= wait else "pending"
                notes = {"summary": f"{job} is down", "description": f"up{{job={job!r}}} is 0"}
                alerts.append(_alert(name, severity, since, state, notes, job=job))
        return alerts

    async def _rules(self, _request: Request) -> Response:
        """The alerting rules that are loaded, all in one group."""
        names = [name for name, *_ in (*_ALWAYS, *_DOWN_ALERTS.values())]
        states = {alert["labels"]["alertname"]: alert["state"] for alert in self._active()}
        rules = [{"name": name, "type": "alerting", "state": states.get(name, "inactive")} for name in names]
        return success({"groups": [{"name": _GROUP, "file": "/etc/prometheus/alerts.yml", "rules": rules}]})

    async def _alertmanagers(self, _request: Request) -> Response:
        """None is deployed with the platform."""
        return success({"activeAlertmanagers": [], "droppedAlertmanagers": []})

    async def _targets(self, _request: Request) -> Response:
        active = []
        for job, (service, target) in _JOBS.items():
            is_up = self._reaches(job)
            active.append(
                {"labels": {"job": job, "instance": target, "service": service or job},
                 "scrapePool": job, "scrapeUrl": f"http://{target}/metrics",
                 "health": "up" if is_up else "down",
                 "lastError": "" if is_up else f'Get "http://{target}/metrics": connection refused',
                 "lastScrape": trimmed(time.time_ns() - 4 * SECOND), "lastScrapeDuration": 0.004,
                 "scrapeInterval": "15s", "scrapeTimeout": "10s"}
            )  # fmt: skip
        return success({"activeTargets": active, "droppedTargets": []})

    async def _query(self, request: Request) -> Response:
        asked = request.query_params.get("query")
        if asked is None and request.method == "POST":
            asked = str((await request.form()).get("query", ""))
        try:
            vector = evaluate(asked or "", await self._store())
        except QueryError as error:
            why = f'invalid parameter "query": parse error: {error}'
            return JSONResponse({"status": "error", "errorType": "bad_data", "error": why}, 400)
        now = round(time.time(), 3)
        result = [{"metric": labels, "value": [now, f"{value:.12g}"]} for labels, value in vector]
        return success({"resultType": "vector", "result": result})

    async def _store(self) -> Store:
        up = [
            ({"__name__": "up", "job": job, "instance": target}, float(self._reaches(job)))
            for job, (_, target) in _JOBS.items()
        ]
        alerts = [
            ({"__name__": "ALERTS", "alertstate": alert["state"], **alert["labels"]}, 1.0)
            for alert in self._active()
        ]
        rules = [({"rule_group": _GROUP}, float(len(_ALWAYS) + len(_DOWN_ALERTS)))]
        return {**await self._numbers(), "up": up, "ALERTS": alerts, "prometheus_rule_group_rules": rules}

    async def _build(self, _request: Request) -> Response:
        return success({"version": "2.51.0", "revision": "demo", "branch": "HEAD", "goVersion": "go1.22"})


def _alert(
    name: str, severity: str, since: float, state: str, notes: Mapping[str, str], **labels: str
) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": dict(notes),
        "state": state,
        "activeAt": trimmed(int(since * SECOND)),
        "value": "1e+00",
    }
