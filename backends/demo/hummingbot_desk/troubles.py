"""What each fault does to the desk, and how it is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backends.demo.course import end
from backends.demo.faults import Switch

if TYPE_CHECKING:
    from backends.demo.hummingbot_desk.desk import Desk

_LIFE = 0.5
"""Seconds the database's writer lives before it misses the database."""


class Troubles:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._keeper: asyncio.Task[None] | None = None

    def switches(self) -> Mapping[str, Switch]:
        """Of every generation; its catalogue says which of them there are."""
        return {
            "kill-dry-run": self._kill_dry_run,
            "kill-no-keys": self._kill_no_keys,
            "kill-partial": self._kill_partial,
            "halt-not-obeyed": self._halt_not_obeyed,
            "file-not-read": self._file_not_read,
            "connector-not-ready": self._connector_not_ready,
            "bots-deaf": self._bots_deaf,
            "watchdog-works": self._watchdog_works,
            "bots-at-prompt": self._bots_at_prompt,
            "hard-stop": self._hard_stop,
            "allocator-resumes": self._allocator_resumes,
            "redis-hang": self._redis_hang,
            "redis-refuse": self._desk.front.refuse,
            "recon-critical": self._recon_critical,
            "portfolio-kill": self._portfolio_kill,
            "reports-stale": self._reports_stale,
            "scripts-lie": self._scripts_lie,
            "postgres-down": self._postgres_down,
            "clickhouse-down": self._clickhouse_down,
        }

    async def close(self) -> None:
        if self._keeper is not None:
            await end(self._keeper)

    async def _kill_dry_run(self, is_on: bool) -> None:
        self._desk.kill_switch.is_dry = is_on

    async def _kill_no_keys(self, is_on: bool) -> None:
        self._desk.kill_switch.has_keys = not is_on

    async def _kill_partial(self, is_on: bool) -> None:
        self._desk.kill_switch.fails_for = 1 if is_on else 0

    async def _halt_not_obeyed(self, is_on: bool) -> None:
        self._desk.bots["bot1"].is_defiant = is_on
        await self._keep_up(is_on, 0.3, lambda: True)

    async def _watchdog_works(self, is_on: bool) -> None:
        await self._keep_up(is_on, 1.0, lambda: self._desk.is_up("bot-watchdog"))

    async def _keep_up(self, is_on: bool, pause: float, may: Callable[[], bool]) -> None:
        """Start bot 1 whenever it was stopped, or leave it."""
        await self.close()
        self._keeper = asyncio.create_task(self._start_again(pause, may)) if is_on else None

    async def _start_again(self, pause: float, may: Callable[[], bool]) -> None:
        container = self._desk.engine.service("bot1")
        while True:
            await asyncio.sleep(pause)
            if container.state == "exited" and may():
                await container.start()

    async def _file_not_read(self, is_on: bool) -> None:
        self._desk.bots["bot1"].reads_file = not is_on

    async def _connector_not_ready(self, is_on: bool) -> None:
        self._desk.bots["bot1"].is_connected = not is_on

    async def _bots_deaf(self, is_on: bool) -> None:
        if is_on:
            await self._desk.bus.forget()
        else:
            await self._desk.bus.gather()

    async def _hard_stop(self, is_on: bool) -> None:
        self._desk.bots["bot1"].break_limit(is_on)

    async def _bots_at_prompt(self, is_on: bool) -> None:
        for bot in self._desk.bots.values():
            bot.leave_alone(is_on)

    async def _allocator_resumes(self, is_on: bool) -> None:
        self._desk.resumes = is_on

    async def _redis_hang(self, is_on: bool) -> None:
        self._desk.front.hang(is_on)

    async def _recon_critical(self, is_on: bool) -> None:
        finding = {
            "severity": "critical",
            "check": "inventory_drift",
            "bot": "bot1",
            "message": "base differs",
        }
        said = {"status": "critical", "critical_count": 1, "findings": [finding]}
        self._change("reconciliation/latest.json", said if is_on else {})

    async def _portfolio_kill(self, is_on: bool) -> None:
        said = {"status": "critical", "critical_count": 1, "portfolio_action": "kill_switch"}
        self._change("portfolio_risk/latest.json", said if is_on else {})
        self._desk.kills = is_on

    def _change(self, report: str, said: Mapping[str, Any]) -> None:
        self._desk.project.changes[report] = said
        self._desk.project.refresh(self._desk.bots["bot1"])

    async def _reports_stale(self, is_on: bool) -> None:
        self._desk.project.go_stale(is_on)

    async def _scripts_lie(self, is_on: bool) -> None:
        self._desk.project.set_lying(is_on)

    async def _postgres_down(self, is_on: bool) -> None:
        await self._set("postgres", not is_on)
        match self._desk.generation.writer_without_database:
            case "dies":
                writer = self._desk.engine.service("ops-db-writer")
                writer.last_words = ("psycopg.OperationalError: connection refused",) if is_on else ()
                writer.crashes_after = _LIFE if is_on else None
                self._desk.project.unwritten = {"ops_db_writer/latest.json"} if is_on else set()
                if is_on:
                    await writer.crash(1)
                elif writer.state == "restarting":
                    await writer.restart()
            case "tells":
                said = {"status": "fail", "errors": ["connection refused"]}
                self._change("ops_db_writer/latest.json", said if is_on else {})

    async def _clickhouse_down(self, is_on: bool) -> None:
        await self._set("clickhouse", not is_on)

    async def _set(self, service: str, is_up: bool) -> None:
        container = self._desk.engine.service(service)
        await (container.start() if is_up else container.stop())
