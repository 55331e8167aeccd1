"""The kill switch over HTTP: the same three calls on the gateway and on the orchestrator."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.trading_platform.answers import Json, body_of, fail
from backends.demo.trading_platform.gateway_auth import Authority
from backends.demo.trading_platform.kill_switch import AlreadyError, KillSwitch, MissingStateError
from backends.demo.voice import Voice


class KillSwitchApi:
    """Status, engage and disengage."""

    def __init__(
        self, kill: KillSwitch, voice: Voice, unavailable: set[str], authority: Authority | None
    ) -> None:
        """Without an authority nobody is asked who they are. ``unavailable`` learns of a missing state."""
        self._kill = kill
        self._voice = voice.named("libs.trading.risk_management.kill_switch")
        self._unavailable = unavailable
        self._authority = authority

    def routes(self) -> list[Route]:
        path = "/api/v1/kill-switch"
        return [
            Route(f"{path}/status", self.status),
            Route(f"{path}/engage", self.engage, methods=["POST"]),
            Route(f"{path}/disengage", self.disengage, methods=["POST"]),
        ]

    async def status(self, request: Request) -> Response:
        await self._ask(request)
        try:
            return Json(await self._kill.status())
        except (MissingStateError, RedisError) as error:
            return self._unanswered(error)

    async def engage(self, request: Request) -> Response:
        await self._ask(request)
        body = await body_of(request, {"reason": str, "operator": str})
        state = await self._change(self._kill.engage(body["reason"], body["operator"], body.get("details")))
        if isinstance(state, dict):
            self._voice.critical(f"🔴 KILL-SWITCH ENGAGED: {body['reason']} (operator: {body['operator']})")
            return Json(state)
        return state

    async def disengage(self, request: Request) -> Response:
        await self._ask(request)
        body = await body_of(request, {"operator": str})
        state = await self._change(self._kill.disengage(body["operator"], body.get("notes")))
        if isinstance(state, dict):
            self._voice.info(f"✅ Kill-switch disengaged: {body.get('notes')} (operator: {body['operator']})")
            return Json(state)
        return state

    async def _ask(self, request: Request) -> None:
        if self._authority is not None:
            await self._authority.api(request, "cancel_order")

    async def _change(self, work: Awaitable[dict[str, Any]]) -> dict[str, Any] | Response:
        try:
            state: dict[str, Any] = await work
        except AlreadyError as error:
            self._voice.error(f"Redis EVAL failed: {error}")
            return fail(400, str(error))
        except (MissingStateError, RedisError) as error:
            return self._unanswered(error)
        return state

    def _unanswered(self, error: Exception) -> Response:
        if isinstance(error, MissingStateError):
            self._unavailable.add("kill_switch")
        return fail(503, f"Kill-switch unavailable: {error}")
