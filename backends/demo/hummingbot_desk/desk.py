"""The whole desk: storage, bots, services, containers and the project's folder, wired together."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

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
from backends.demo.hummingbot_desk.clickhouse import ClickHouse
from backends.demo.hummingbot_desk.configuration import PAST
from backends.demo.hummingbot_desk.containers import container_specs
from backends.demo.hummingbot_desk.faults import FAULTS
from backends.demo.hummingbot_desk.generation import Generation
from backends.demo.hummingbot_desk.kill_switch import KillSwitch
from backends.demo.hummingbot_desk.monitoring import Loki, Prometheus, grafana_routes
from backends.demo.hummingbot_desk.project import Project
from backends.demo.hummingbot_desk.troubles import Troubles
from backends.demo.port import HttpPort
from backends.demo.postgres_server import PostgresServer, programs_folder
from backends.demo.programs import PostgresPrograms
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.service import HttpService
from backends.demo.storage import PostgresWork, RedisWork
from backends.demo.voice import Voice

_USER: Final = "trader"
"""As every demo's database user."""
_AGE: Final = 5 * 3600.0
_REPORT: Final = 4.0
"""Seconds between two reports of a service."""
_TTL: Final = 300.0
"""Seconds the intents of portfolio risk and the allocator hold."""
_INGEST: Final = 300.0
"""Seconds between two runs of the ingest, as of the desk's other jobs."""
_CHATTER: Final = (
    ("signal-service", "signal_service", "signals published count=1"),
    ("risk-service", "risk_service", "decision approved instance=bot1"),
    ("event-store-service", "event_store", "ingested events=61 missing=0"),
    ("reconciliation-service", "reconciliation", "status=ok critical=0"),
    ("portfolio-risk-service", "portfolio_risk", "action=allow critical=0"),
)


class Desk:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int, generation: Generation) -> None:
        self._folder = folder
        self._seed = seed
        self.generation = generation
        self.logs = {service: LogStore() for service in generation.services}
        self._redis_server = RedisServer(
            folder, lambda line: self.logs["redis"].write([line]), generation.password
        )
        self._postgres_server = PostgresServer(folder, lambda line: self.logs["postgres"].write([line]))
        self.front = RedisFront(self._redis_server.socket)
        self.redis = self._redis_server.client(0)
        self._database = Database(self._postgres_server.dsn(_USER, generation.database))
        self.project = Project(folder / "hbot", generation)
        self.bots = {name: self._bot(name) for name in generation.bots}
        self.bus = Bus(self.redis, list(self.bots.values()), self._dice("bus"), generation)
        self.kill_switch = KillSwitch(
            self.bots["bot1"], self.project, lambda: self.is_up("kill-switch"), self._end_kill_switch,
            is_frank=generation.is_kill_frank,
        )  # fmt: skip
        if "kill-switch" in generation.parts:
            self.bus.kill_switch = self.kill_switch
        self.kills = False
        """Portfolio risk orders the bots in its scope to stop."""
        self.resumes = False
        """The allocator resumes every bot."""
        self.prometheus = Prometheus(self.is_up, self._ages, generation)
        serving = {
            "prometheus": (self.prometheus.routes(), None),
            "grafana": (grafana_routes(generation.monitoring), None),
            "loki": (Loki(lambda: list(self.bots["bot1"].told)).routes(), None),
            "clickhouse": (ClickHouse().routes(), None),
            "kill-switch": (self.kill_switch.routes(), self.kill_switch.begin),
        }
        self._services = {
            name: self._service(name, routes, on_start)
            for name, (routes, on_start) in serving.items()
            if name in generation.parts
        }
        specs = container_specs(generation, self._workloads(), self.logs, self._programs())
        self.engine = Engine(specs, _AGE, seed)
        self._docker = HttpPort(engine_app(self.engine), folder / "docker.sock")
        self._ingest_program = Path()
        self._tasks: list[asyncio.Task[Any]] = []
        self._troubles = Troubles(self)
        self.faults = Faults(FAULTS[generation.id], self._troubles.switches())

    @property
    def addresses(self) -> dict[str, str]:
        """The room's sources, by their id in the stack file."""
        redis = f"redis://127.0.0.1:{self.front.port}/0"
        return {
            "docker": self._docker.url,
            "docker-facts": self._docker.url,
            "redis": redis,
            "redis-slow": redis,
            "postgres": f"postgresql://127.0.0.1:{self._postgres_server.port}/{self.generation.database}",
            "files": f"file://{self.project.folder}",
            **{source: service.port.url for source, service in self._services.items()},
        }

    @property
    def credentials(self) -> Mapping[str, Path]:
        """Redis' password, where it asks for one."""
        path = self._folder / "redis.password"
        return dict.fromkeys(("redis", "redis-slow"), path) if self.generation.password else {}

    def is_up(self, service: str) -> bool:
        """Whether a compose service's container runs."""
        return self.engine.service(service).state == "running"

    async def start(self) -> None:
        """Storage first, then the folder, then the rest. Raises StartError."""
        for path in set(self.credentials.values()):
            path.touch(mode=0o600)
            path.write_text(self.generation.password or "")
        await self.engine.boot(("redis", "postgres"))
        schema = (Path(__file__).parent / "schema.sql").read_text()
        await self._postgres_server.create(self.generation.database, _USER, schema)
        for name, bot in self.bots.items():
            bot.prepare(PAST.get(name, {}))
        self.project.prepare()
        if "clickhouse" in self._services:
            self._ingest_program = self.project.prepare_ingest(self._services["clickhouse"].port.port)
        await self.bus.prepare()
        await self.engine.boot(
            [name for name in self.generation.services if name not in ("redis", "postgres")]
        )
        await self._write_database()
        await self._turn()
        await self._docker.open()
        work: list[Coroutine[Any, Any, None]] = [
            self.engine.look_after(),
            _every(1.0, self._turn),
            _every(0.2, self.bus.turn),
            _every(_REPORT, self._report),
        ]
        if "clickhouse" in self._services:
            work.append(_every(_INGEST, self._ingest))
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
        return Bot(name, self.generation, self.project.folder, self.redis, self.logs[name], self._dice(name))

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
        folder = programs_folder()
        port, inside = self._postgres_server.port, self._folder / "inside"
        return {"postgres": PostgresPrograms(folder, port, _USER, inside, self.generation.owner).run}

    def _ages(self) -> Mapping[str, float]:
        now = time.time()
        return {
            one.spec.service: now - one.started / 1e9
            for one in self.engine.containers.values()
            if one.state == "running"
        }

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
                if bot.is_up and bot.reasons and self.generation.floods:
                    await self.bus.intend(bot.name, bot.controller, "kill_switch", bot.reasons)
                if self.resumes and self.is_up("portfolio-allocator-service"):
                    await self.bus.intend(bot.name, "epp_v2_4", "resume", "rebalance", _TTL)
            except RedisError:
                continue

    async def _report(self) -> None:
        self.project.refresh(self.bots["bot1"])
        for service, logger, text in _CHATTER:
            if self.is_up(service):
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())
                self.logs[service].write([f"{stamp} INFO  {logger}: {text}".encode()])
        await self._write_database()
        if self.kills and self.is_up("portfolio-risk-service"):
            with suppress(RedisError):
                for bot in self.generation.risk_scope:
                    await self.bus.intend(bot, "portfolio_risk_v1", "kill_switch", "daily_loss", _TTL)

    async def _ingest(self) -> None:
        """One run of the service that fills ClickHouse."""
        if self.is_up("clickhouse-ingest"):
            env = {"PYTHONPATH": str(self.project.folder), "CH_HOST": "127.0.0.1"}
            run = await asyncio.create_subprocess_exec(
                sys.executable, self._ingest_program, "--once", env=env, stdout=asyncio.subprocess.DEVNULL
            )
            await run.wait()

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
