"""The kill-switch service (port 9900): no credentials, 200 whatever happened, gone after a real kill."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.hummingbot_desk.bot import Bot
from backends.demo.hummingbot_desk.project import Project, now_text


class KillSwitch:
    def __init__(self, bot: Bot, project: Project, after_kill: Callable[[], Awaitable[None]]) -> None:
        self._bot, self._project, self._after_kill = bot, project, after_kill
        self.is_dry = False
        self.has_keys = True
        self._triggered = False
        self._last: Any = None

    def routes(self) -> list[Route]:
        return [
            Route("/health", self._health),
            Route("/status", self._status),
            Route("/kill", self._kill, methods=["POST"]),
        ]

    async def begin(self) -> None:
        """Started anew it remembers nothing."""
        self._triggered, self._last = False, None

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "triggered": self._triggered})

    async def _status(self, _request: Request) -> Response:
        return JSONResponse({"triggered": self._triggered, "last_result": self._last})

    async def _kill(self, request: Request) -> Response:
        body = await request.body()
        pair = (await request.json()).get("trading_pair", "") if body else ""
        self._triggered = True
        # Keys are tested before it looks whether the run is dry.
        if not self.has_keys:
            result: dict[str, Any] = {"status": "error", "error": "missing_credentials", "cancelled": []}
        elif self.is_dry:
            result = {"status": "dry_run", "error": None, "cancelled": []}
        else:
            result = {"status": "executed", "error": None, "cancelled": self._bot.cancel()}
        self._last = result
        report = {
            "ts_utc": now_text(),
            "trigger": "http",
            "dry_run": self.is_dry,
            "exchange": "bitget",
            "trading_pair": pair,
            "result": result,
        }
        self._project.write("kill_switch/latest.json", report)
        if result["status"] == "executed":
            await self._after_kill()
        return JSONResponse(report)
