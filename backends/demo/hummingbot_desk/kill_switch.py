"""The kill-switch service (port 9900): no credentials, gone after a real kill, 200 to a failed one too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.hummingbot_desk.bot import Bot
from backends.demo.hummingbot_desk.project import Project, now_text


class KillSwitch:
    def __init__(
        self, bot: Bot, project: Project, after_kill: Callable[[], Awaitable[None]], *, is_frank: bool
    ) -> None:
        """A frank one answers 500 to what was no success, and says what is left."""
        self._bot, self._project, self._after_kill = bot, project, after_kill
        self._is_frank = is_frank
        self.is_dry = False
        self.fails_for = 0
        """Orders that the exchange does not cancel."""
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
        result = self._result()
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
        if result["status"] in ("executed", "partial"):
            await self._after_kill()
        is_well = result["status"] in ("executed", "dry_run")
        return JSONResponse(report, 500 if self._is_frank and not is_well else 200)

    def _result(self) -> dict[str, Any]:
        # Keys are tested before it looks whether the run is dry.
        if not self.has_keys:
            return self._told("error", error="missing_credentials")
        if self.is_dry:
            return self._told("dry_run")
        cancelled, failed = self._bot.cancel(self.fails_for)
        # The earlier one counts single failures only in its log.
        return self._told("partial" if failed and self._is_frank else "executed", cancelled, failed)

    def _told(
        self, status: str, cancelled: Sequence[str] = (), failed: Sequence[str] = (), error: str | None = None
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"status": status, "error": error, "cancelled": list(cancelled)}
        return {**said, "failed": list(failed), "flatten": None} if self._is_frank else said
