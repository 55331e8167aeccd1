"""The kill-switch service (port 9900): no credentials, gone after a real kill, 200 to a failed one too.

It also kills for an intent of the bus that names bot 1 or nobody, whatever its age and its controller.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.hummingbot_desk.bot import Bot
from backends.demo.hummingbot_desk.project import Project, now_text

_REAL: Final = ("executed", "partial")


class KillSwitch:
    def __init__(
        self,
        bot: Bot,
        project: Project,
        is_up: Callable[[], bool],
        after_kill: Callable[[], Awaitable[None]],
        *,
        is_frank: bool,
    ) -> None:
        """A frank one answers 500 to what was no success, and says what is left."""
        self._bot, self._project, self._is_up, self._after_kill = bot, project, is_up, after_kill
        self._is_frank = is_frank
        self.is_dry = False
        self.fails_for = 0
        """Orders that the exchange does not cancel."""
        self.has_keys = True
        self._is_ending = False
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
        self._triggered, self._last, self._is_ending = False, None, False

    @property
    def is_listening(self) -> bool:
        """Whether it reads the bus: it runs, and has not just killed."""
        return self._is_up() and not self._is_ending

    async def obey(self, entry: str, intent: Mapping[str, Any]) -> None:
        """Do what an intent of the bus asks for. Of such a kill its status says nothing."""
        if intent.get("action") == "kill_switch" and intent.get("instance_name") in ("", self._bot.name):
            await self._do("execution_intent", "", {"entry_id": entry})

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "triggered": self._triggered})

    async def _status(self, _request: Request) -> Response:
        return JSONResponse({"triggered": self._triggered, "last_result": self._last})

    async def _kill(self, request: Request) -> Response:
        body = await request.body()
        pair = (await request.json()).get("trading_pair", "") if body else ""
        self._triggered = True
        report = await self._do("http", pair, {})
        result = self._last = report["result"]
        is_well = result["status"] in ("executed", "dry_run")
        return JSONResponse(report, 500 if self._is_frank and not is_well else 200)

    async def _do(self, trigger: str, pair: str, more: Mapping[str, str]) -> dict[str, Any]:
        """The report of one kill."""
        result = self._result()
        report = {
            "ts_utc": now_text(),
            "trigger": trigger,
            "dry_run": self.is_dry,
            "exchange": "bitget",
            "trading_pair": pair,
            "result": result,
            **more,
        }
        self._project.write("kill_switch/latest.json", report)
        if result["status"] in _REAL:
            self._is_ending = True
            await self._after_kill()
        return report

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
