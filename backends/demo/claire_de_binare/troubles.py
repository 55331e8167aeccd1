"""What each fault does to the simulated stack, and how it is taken back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from redis.exceptions import RedisError

from backends.demo.claire_de_binare.containers import LIVE, VARIABLES
from backends.demo.claire_de_binare.gate import LIMIT
from backends.demo.claire_de_binare.service import HALT
from backends.demo.course import begin, end
from backends.demo.faults import Switch

if TYPE_CHECKING:
    from backends.demo.claire_de_binare.world import World

_BREAKER: Final = "circuit_breaker:active"
_EMERGENCY: Final = "emergency_stop"


class Troubles:
    def __init__(self, world: World) -> None:
        self._world = world
        self._eraser: asyncio.Task[None] | None = None

    def switches(self) -> Mapping[str, Switch]:
        return {
            "halt-ignored": self._halt_ignored,
            "halt-erased": self._halt_erased,
            "execution-deaf": self._execution_deaf,
            "feed-stale": self._feed_stale,
            "cooldown": self._cooldown,
            "saturated": self._saturated,
            "live-mode": self._live_mode,
            "inert-switch": self._inert_switch,
            "secret-directory": self._secret_directory,
            "logs-not-shipped": self._not_shipped,
            "owner-stuck": self._owner_stuck,
            "writer-down": lambda is_on: self._down("cdb_db_writer", is_on, signal.SIGKILL),
            "redis-hang": self._redis_hang,
            "redis-refuse": self._world.front.refuse,
            "postgres-down": lambda is_on: self._down("cdb_postgres", is_on, signal.SIGTERM),
        }

    async def close(self) -> None:
        await self._halt_erased(False)

    async def _halt_ignored(self, is_on: bool) -> None:
        self._world.execution.ignores_halt = is_on

    async def _halt_erased(self, is_on: bool) -> None:
        task, self._eraser = self._eraser, None
        if task is not None:
            await end(task)
        if is_on:
            self._eraser = begin(self._erase())

    async def _erase(self) -> None:
        while True:
            with suppress(RedisError):
                await self._world.redis.delete(HALT)
            await asyncio.sleep(0.02)

    async def _execution_deaf(self, is_on: bool) -> None:
        self._world.execution.is_deaf = is_on

    async def _feed_stale(self, is_on: bool) -> None:
        self._world.feed.is_silent = is_on

    async def _cooldown(self, is_on: bool) -> None:
        if is_on:
            await self._world.allocation.cool_down()
        else:
            await self._world.engine.service("cdb_allocation").restart()

    async def _saturated(self, is_on: bool) -> None:
        self._world.risk.exposure = LIMIT + 4.2 if is_on else 0.0

    async def _live_mode(self, is_on: bool) -> None:
        self._world.execution.mode = "live" if is_on else "mock"
        container = self._world.engine.service("cdb_execution")
        container.spec = replace(container.spec, environment=LIVE if is_on else VARIABLES["cdb_execution"])

    async def _inert_switch(self, is_on: bool) -> None:
        path = self._world.project.checkout / ".cdb_kill_switch.state"
        if is_on:
            await self._world.redis.mset({_EMERGENCY: "fat finger", _BREAKER: "1"})
            path.write_text("state=active\n")
        else:
            await self._world.redis.delete(_EMERGENCY, _BREAKER)
            path.unlink(missing_ok=True)

    async def _secret_directory(self, is_on: bool) -> None:
        redis = self._world.engine.service("cdb_redis")
        if is_on:
            self._world.project.break_secret("REDIS_PASSWORD")
            redis.last_words = (
                "cat: read error: Is a directory",
                "*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***",
                "Reading the configuration file, at line 2",
                ">>> 'requirepass'",
                "wrong number of arguments",
            )
            redis.crashes_after = 0.5
            await redis.crash(1)
        else:
            self._world.project.write_secret("REDIS_PASSWORD")
            redis.crashes_after, redis.last_words = None, ()
            await redis.restart()

    async def _not_shipped(self, is_on: bool) -> None:
        promtail = self._world.engine.service("cdb_promtail")
        await promtail.restart()
        if not is_on:
            self._world.ship()

    async def _owner_stuck(self, is_on: bool) -> None:
        self._world.volume.is_stuck = is_on

    async def _redis_hang(self, is_on: bool) -> None:
        self._world.front.hang(is_on)

    async def _down(self, service: str, is_on: bool, how: signal.Signals) -> None:
        container = self._world.engine.service(service)
        if not is_on:
            await container.start()
        elif container.state in ("running", "paused"):
            await container.kill(how)
