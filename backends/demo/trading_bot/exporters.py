"""The bots' metrics over HTTP: the RL exporter, the prober, the GPU exporter, and Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_RISKS: Final = {"LOW": 0, "MEDIUM": 1, "HIGH": 2}
_DASHBOARDS: Final = ("capital-staging", "trading-system")


def rl_exporter(redis: Redis) -> Starlette:
    """Any path is answered; 500 and a zero when Redis is not reached."""

    async def metrics(_request: Request) -> Response:
        try:
            beat, influence, ttl = (
                await redis.get("policy:last_update_ts"),
                await redis.get("policy:allowed_influence_pct"),
                await redis.ttl("policy:allowed_influence_pct"),
            )
            state = await redis.hgetall("policy:current")
        except RedisError:
            return PlainTextResponse("rl_exporter_up 0\n", 500)
        percent = float(influence or 0)
        lines = {
            "rl_policy_last_update_seconds": beat or 0,
            "rl_policy_heartbeat_age_seconds": time() - float(beat) if beat else "inf",
            "rl_policy_entropy": state.get("entropy", "nan"),
            "rl_policy_q_spread": "nan",
            "rl_policy_collapse_risk": _RISKS.get(str(state.get("collapse_risk")), 3),
            "rl_policy_influence_pct": percent,
            "rl_policy_influence_weight": percent / 100,
            "rl_policy_influence_ttl_seconds": 0 if ttl == -2 else ttl,
            "rl_exporter_up": 1,
            "rl_exporter_last_scrape_timestamp": time(),
        }
        return PlainTextResponse(_exposed(lines))

    return Starlette(routes=[Route("/{path:path}", metrics)])


def prober(redis: Redis) -> Starlette:
    """Its Redis probe fails when the heartbeat is older than half an hour."""

    async def metrics(_request: Request) -> Response:
        try:
            beat = await redis.get("policy:last_update_ts")
            is_well = beat is not None and time() - float(beat) < 1800
        except RedisError:
            is_well = False
        lines = {
            "probe_success": int(is_well),
            "probe_redis_ok": int(is_well),
            "probe_exporter_ok": 1,
            "prober_up": 1,
        }
        return PlainTextResponse(_exposed(lines))

    return Starlette(routes=[Route("/{path:path}", metrics)])


def gpu_exporter(redis: Redis) -> Starlette:
    """A colour that is not there it calls blue."""

    async def metrics(_request: Request) -> Response:
        try:
            color = int(await redis.get("metrics:active_color") or 0)
        except (RedisError, ValueError):
            color = 0
        lines = {"gpu_mem_used_mb": 8211, "gpu_mem_frac": 0.75, "active_color": color, "cpu_pct": 12.5}
        return PlainTextResponse(_exposed(lines))

    return Starlette(routes=[Route("/{path:path}", metrics)])


def grafana() -> Starlette:
    """One of the four dashboards the runbook names is there."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"database": "ok", "version": "11.1.0"})

    async def dashboard(request: Request) -> Response:
        uid = request.path_params["uid"]
        is_known = uid in _DASHBOARDS
        return JSONResponse({"dashboard": {"uid": uid}} if is_known else {"message": "Dashboard not found"},
                            200 if is_known else 404)  # fmt: skip

    return Starlette(routes=[Route("/api/health", health), Route("/api/dashboards/uid/{uid}", dashboard)])


def _exposed(lines: Mapping[str, object]) -> str:
    return "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in lines.items())
