"""The whole desk: Redis, units, programs, exporters and files, wired together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from pathlib import Path
from time import localtime, strftime, time
from typing import Any, Final

from backends.demo.course import begin, end
from backends.demo.faults import Faults
from backends.demo.port import HttpPort
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.systemd.units import Units, stamp
from backends.demo.trading_bot.daemons import ENFORCER, RECON, Daemons
from backends.demo.trading_bot.exporters import gpu_exporter, grafana, prober, rl_exporter
from backends.demo.trading_bot.faults import FAULTS
from backends.demo.trading_bot.programs import Programs
from backends.demo.trading_bot.seed import seed_disk, seed_redis
from backends.demo.trading_bot.strategies import BasisCarry, MarketMaker
from backends.demo.trading_bot.troubles import Troubles

_RUNNING: Final = (
    "trading_bot", "ops_bot", "redis", "mm_as", "basis_carry", "mm_calibrator", "strategy_guard",
    "market_hours_guard", "rl-exporter", "rl-prober", "panic-webhook", "time-sync-monitor",
)  # fmt: skip
_AGE: Final = 3 * 3600.0


class Desk:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._app = folder / "opt" / "trader"
        self.units = Units(folder / "systemd")
        self.user_units = Units(folder / "user-systemd", are_users=True)
        self.programs = Programs(folder, self._app / "scripts")
        self._server = RedisServer(
            folder, lambda line: self.units.say("redis.service", line.decode(errors="replace"))
        )
        self.front = RedisFront(self._server.socket)
        self.redis = self._server.client(0)
        self.maker = MarketMaker(self.redis, self.units, self.dice("maker"))
        self._carry = BasisCarry(self.redis, self.units, self.dice("carry"))
        self.daemons = Daemons(self.redis, self.units, self.programs, self.dice("daemons"))
        self._ports = {
            "exporter": HttpPort(rl_exporter(self.redis)),
            "prober": HttpPort(prober(self.redis)),
            "gpu-exporter": HttpPort(gpu_exporter(self.redis)),
            "grafana": HttpPort(grafana()),
        }
        self._tasks: list[asyncio.Task[None]] = []
        self.faults = Faults(FAULTS, Troubles(self).switches())

    def dice(self, part: str) -> random.Random:
        """Each part has its own, so that what one does leaves the others' course alone."""
        return random.Random(f"{self._seed} {part}")  # noqa: S311 # a world to look at, no secrets

    @property
    def addresses(self) -> Mapping[str, str]:
        """The room's sources, by their id in the stack file."""
        return {
            "redis": f"redis://127.0.0.1:{self.front.port}/0",
            "systemd": self.units.url,
            "user-systemd": self.user_units.url,
            "host": self.programs.url,
            "app": f"file://{self._app}",
            "var-log": f"file://{self._folder / 'var-log'}",
            "tmp": f"file://{self._folder / 'tmp'}",
            "history": f"sqlite://{self._app / 'ab_history.db'}",
            **{source: port.url for source, port in self._ports.items()},
        }

    @property
    def credentials(self) -> Mapping[str, Path]:
        """None: upstream's Redis has no password."""
        return {}

    async def start(self) -> None:
        """Storage first, then what moves. Raises StartError."""
        await asyncio.to_thread(seed_disk, self._folder)
        self._make_units()
        await self._server.start()
        await seed_redis(self.redis, self.dice("seed"))
        await self.front.open()
        for port in self._ports.values():
            await port.open()
        for program in (RECON, ENFORCER):
            await self.programs.start(program, {"OPENAI_MOCK": "1", "REDIS_MOCK": "0", "USE_NOWNODES": "0"})
        works: list[Coroutine[Any, Any, None]] = [
            self.maker.keep_quoting(),
            self._carry.keep_carrying(),
            *self.daemons.works(),
            self._keep_talking(),
        ]
        self._tasks = [begin(work) for work in works]

    async def close(self) -> None:
        """End everything; what has ended already stays ended."""
        await end(*self._tasks)
        await self.programs.stop()
        for port in self._ports.values():
            await port.close()
        await self.front.close()
        await self.redis.aclose()
        await self._server.stop()

    def _make_units(self) -> None:
        began = time() - _AGE
        for name in _RUNNING:
            self.units.started(f"{name}.service", began, NRestarts="0", MemoryCurrent="52428800")
        self.units.add("rl-policy.service", Result="success", ExecMainCode="1", ExecMainStatus="0")
        self.units.started("rl-watchdog.timer", began, SubState="waiting")
        self.units.add(
            "rl-watchdog.service",
            ActiveState="failed",
            SubState="failed",
            Result="exit-code",
            ExecMainCode="1",
            ExecMainStatus="2",
            ExecMainExitTimestamp=stamp(time() - 600),
        )
        self.user_units.started("policy-blue.service", began)
        self.user_units.add("policy-green.service", ExecMainCode="1", ExecMainStatus="0")

    async def _keep_talking(self) -> None:
        """Lines of the journal, in upstream's two usual forms."""
        dice = self.dice("talk")
        while True:
            await asyncio.sleep(dice.uniform(0.4, 1.6))
            unit = dice.choice(("ops_bot", "strategy_guard", "trading_bot", "time-sync-monitor"))
            if not self.units.is_active(f"{unit}.service"):
                continue
            name = unit.replace("-", "_")
            text = dice.choice(("cycle done", "checked limits", "\u26a0 slow answer", "status ok"))
            level = dice.choice(("", "INFO - ", "WARNING - ")) if unit == "ops_bot" else ""
            moment = _moment(time())
            self.units.say(f"{unit}.service", f"{moment} - {name} - {level}{text}")


def _moment(at: float) -> str:
    return f"{strftime('%Y-%m-%d %H:%M:%S', localtime(at))},{int(at * 1000) % 1000:03d}"
