"""The whole stack: storage, the services on the bus, containers and folders, wired together."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Route

from backends.demo.claire_de_binare.containers import SERVICES, container_specs
from backends.demo.claire_de_binare.execution import Execution, PaperRunner, Writer
from backends.demo.claire_de_binare.faults import FAULTS
from backends.demo.claire_de_binare.feed import Candles, Feed, Regime, Signal
from backends.demo.claire_de_binare.gate import Allocation, Risk
from backends.demo.claire_de_binare.monitoring import Prometheus, grafana_routes
from backends.demo.claire_de_binare.project import Project
from backends.demo.claire_de_binare.service import Service
from backends.demo.claire_de_binare.troubles import Troubles
from backends.demo.course import begin, end
from backends.demo.database import Database
from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import ContainerSpec, Execute, Workload
from backends.demo.faults import Faults
from backends.demo.port import HttpPort
from backends.demo.postgres_server import PostgresServer, programs_folder
from backends.demo.programs import PostgresPrograms, VolumePrograms, archive_of, grafana_cli
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.service import HttpService
from backends.demo.storage import PostgresWork, RedisWork
from backends.demo.voice import Voice

ID: Final = "claire-de-binare"
DATABASE: Final = "claire_de_binare"
_ROLE: Final = "trader"
_AGE: Final = 5 * 3600.0
"""Seconds the containers have been running when the demo begins."""


class World:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed = seed
        self.project = Project(folder)
        self._inside = folder / "inside"
        self.volume = VolumePrograms()
        self._logs = {service: LogStore() for service in SERVICES}
        asked = self.project.values
        self._redis_server = RedisServer(
            folder, lambda line: self._logs["cdb_redis"].write([line]), asked["REDIS_PASSWORD"]
        )
        self._postgres = PostgresServer(
            folder,
            lambda line: self._logs["cdb_postgres"].write([line]),
            {_ROLE: asked["POSTGRES_PASSWORD"]},
        )
        self.front = RedisFront(self._redis_server.socket)
        self.redis = self._redis_server.client()
        connect = self._redis_server.client
        self.feed = Feed(connect, self._logs["cdb_ws"], self._dice("feed"))
        self.allocation = Allocation(connect, self._logs["cdb_allocation"])
        self.risk = Risk(connect, self._logs["cdb_risk"])
        self.execution = Execution(
            connect, self._logs["cdb_execution"], self._own_database(), self._dice("execution")
        )
        writer = Writer(connect, self._logs["cdb_db_writer"], self._own_database())
        self._services: dict[str, Service] = {
            "cdb_ws": self.feed,
            "cdb_signal": Signal(connect, self._logs["cdb_signal"]),
            "cdb_candles": Candles(connect, self._logs["cdb_candles"]),
            "cdb_regime": Regime(connect, self._logs["cdb_regime"]),
            "cdb_allocation": self.allocation,
            "cdb_risk": self.risk,
            "cdb_execution": self.execution,
            "cdb_db_writer": writer,
            "cdb_paper_runner": PaperRunner(connect, self._logs["cdb_paper_runner"]),
        }
        self._prometheus = Prometheus(self.is_up, lambda: self.execution.stats, writer.metrics)
        self._web = {
            "cdb_prometheus": self._served("cdb_prometheus", self._prometheus.routes()),
            "cdb_grafana": self._served("cdb_grafana", grafana_routes()),
        }
        self.engine = Engine(self._specs(), _AGE, seed)
        self._docker = HttpPort(engine_app(self.engine), folder / "docker.sock")
        self._tasks: list[asyncio.Task[Any]] = []
        self._troubles = Troubles(self)
        self.faults = Faults(FAULTS, self._troubles.switches())

    @property
    def addresses(self) -> dict[str, str]:
        """The room's sources, by their id in the stack file."""
        prometheus = self._web["cdb_prometheus"].port.url
        return {
            "docker": self._docker.url,
            "docker-facts": self._docker.url,
            "docker-store": self._docker.url,
            "redis": f"redis://127.0.0.1:{self.front.port}/0",
            "postgres": f"postgresql://127.0.0.1:{self._postgres.port}/{DATABASE}",
            "execution": self.execution.port.url,
            "risk": self.risk.port.url,
            "ws": self.feed.port.url,
            "signal": self._services["cdb_signal"].port.url,
            "paper": self._services["cdb_paper_runner"].port.url,
            "prometheus": prometheus,
            "prometheus-http": prometheus,
            "grafana": self._web["cdb_grafana"].port.url,
            "repo": f"file://{self.project.checkout}",
            "secrets": f"file://{self.project.secrets}",
            "backups": f"file://{self.project.backups}",
        }

    @property
    def credentials(self) -> Mapping[str, Path]:
        """The stores ask for their passwords; nothing else here asks for any."""
        return self.project.credentials

    def is_up(self, service: str) -> bool:
        return self.engine.service(service).state == "running"

    def ship(self) -> None:
        """Promtail has found the containers."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lines = [f'ts={now} level=info msg="added Docker target" containerID={name}' for name in SERVICES]
        self._logs["cdb_promtail"].write([line.encode() for line in lines])

    async def start(self) -> None:
        """Storage first, then the folders, then the services. Raises StartError."""
        self.project.prepare()
        await self.engine.boot(("cdb_redis", "cdb_postgres"))
        schema = (Path(__file__).parent / "schema.sql").read_text()
        await self._postgres.create(DATABASE, _ROLE, schema)
        self._logs["cdb_postgres"].write([b"running /docker-entrypoint-initdb.d/01-schema.sql"])
        await self.engine.boot([name for name in SERVICES if name not in ("cdb_redis", "cdb_postgres")])
        self.ship()
        await self._docker.open()
        self._tasks = [begin(self.engine.look_after())]

    async def close(self) -> None:
        """End everything; what has ended already stays ended."""
        await self._troubles.close()
        await end(*self._tasks)
        await self._docker.close()
        await self.redis.aclose()
        await self.engine.close()

    def _own_database(self) -> Database:
        return Database(self._postgres.dsn(_ROLE, DATABASE))

    def _dice(self, part: str) -> random.Random:
        return random.Random(f"{self._seed} {part}")  # noqa: S311 # a world to look at, no secrets

    def _served(self, name: str, routes: list[Route]) -> HttpService:
        return HttpService(Starlette(routes=routes), Voice(self._logs[name], name))

    def _specs(self) -> list[ContainerSpec]:
        workloads: dict[str, Workload] = {
            "cdb_redis": RedisWork(self._redis_server, self.front),
            "cdb_postgres": PostgresWork(self._postgres, self._postgres.dsn("postgres", "postgres")),
            **self._services,
            **self._web,
        }
        folder = programs_folder()
        # The image's user may do everything, as the server's own here.
        postgres = PostgresPrograms(folder, self._postgres.port, "postgres", self._inside)
        programs: dict[str, Execute] = {
            "cdb_postgres": postgres.run,
            "cdb_grafana": grafana_cli,
            "cdb_paper_runner": VolumePrograms().run,
            "cdb_risk": self.volume.run,
        }
        specs = container_specs(
            workloads, self._logs, programs, str(self.project.secrets), str(self.project.checkout)
        )
        kept = {
            "cdb_redis": archive_of({"/data/dump.rdb": self._redis_server.dump.read_bytes}),
            "cdb_grafana": archive_of({"/var/lib/grafana": lambda: b"simulated"}),
            "cdb_risk": archive_of({"/app/data": lambda: b"simulated"}),
        }
        specs = [replace(spec, archive=kept[spec.name]) if spec.name in kept else spec for spec in specs]
        into = {"cdb_postgres": postgres.unpack}
        specs = [replace(spec, unpack=into[spec.name]) if spec.name in into else spec for spec in specs]
        return [self._reloading(spec) if spec.name == "cdb_prometheus" else spec for spec in specs]

    def _reloading(self, spec: ContainerSpec) -> ContainerSpec:
        return replace(spec, on_signal=lambda _how: self._prometheus.reload())
