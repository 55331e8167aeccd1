"""The whole surveillance: stores, workers, pages and containers, wired together."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from backends.demo.course import begin, end
from backends.demo.database import Database
from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import ContainerSpec, Workload
from backends.demo.faults import Faults
from backends.demo.port import HttpPort
from backends.demo.postgres_server import PostgresServer
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.service import HttpService
from backends.demo.storage import PostgresWork, RedisWork
from backends.demo.surveillance.containers import SERVICES, container_specs
from backends.demo.surveillance.dashboard import Dashboard
from backends.demo.surveillance.detector import Detector
from backends.demo.surveillance.faults import FAULTS
from backends.demo.surveillance.ingestion import Ingestion
from backends.demo.surveillance.metrics import MetricsEngine
from backends.demo.surveillance.programs import DatabasePrograms, WorkerPrograms
from backends.demo.surveillance.settings import HERE, PASSWORD, USER, lay_out
from backends.demo.surveillance.troubles import Troubles
from backends.demo.surveillance.worker import Worker
from backends.demo.voice import Voice

DATABASE: Final = "surveillance"
_AGE: Final = 3 * 3600.0
"""Seconds the containers have been running when the demo begins."""


class System:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(f"{seed} troubles")  # noqa: S311 # a world to look at, no secrets
        self.project = folder / "project"
        self._backups = folder / "backups"
        self._dice = random.Random(f"{seed} market")  # noqa: S311 # as above
        self.logs = {service: LogStore() for service in SERVICES}
        self._redis_server = RedisServer(folder, lambda line: self.logs["redis"].write([line]))
        self._password = folder / "db_password"
        self.postgres_server = PostgresServer(
            folder, lambda line: self.logs["timescaledb"].write([line]), {USER: PASSWORD}
        )
        self.front = RedisFront(self._redis_server.socket)
        self.redis = self._redis_server.client(0)
        self.database = Database(self.postgres_server.dsn(USER, DATABASE))
        config = self.project / "config"
        self.ingestion = Ingestion(self.redis, self.logs["data-ingestion"], config, self._dice)
        self.metrics = MetricsEngine(self.redis, self.logs["metrics-engine"], self.database)
        detector = Detector(self.redis, self.logs["anomaly-detector"], self.database, config)
        self._workers: tuple[Worker, ...] = (self.ingestion, self.metrics, detector)
        self._pages = self._dashboard()
        self.programs = WorkerPrograms(config)
        self.engine = Engine(self._containers(), _AGE, seed)
        for worker in self._workers:
            worker.on_crash = partial(self.engine.service(worker.service).crash, 1)
        self._docker = HttpPort(engine_app(self.engine), folder / "docker.sock")
        self._troubles = Troubles(self)
        self.faults = Faults(FAULTS, self._troubles.switches())
        self._course: list[asyncio.Task[None]] = []

    @property
    def addresses(self) -> Mapping[str, str]:
        """The room's sources, by their id in the stack file."""
        return {
            "docker": self._docker.url,
            "redis": f"redis://127.0.0.1:{self.front.port}/0",
            "postgres": f"postgresql://127.0.0.1:{self.postgres_server.port}/{DATABASE}",
            "dashboard": self._pages.port.url,
            "project": f"file://{self.project}",
            "backups": f"file://{self._backups}",
        }

    @property
    def credentials(self) -> Mapping[str, Path]:
        """Redis asks for none."""
        return {"postgres": self._password}

    async def start(self) -> None:
        """Stores first, then what is in them, then the services. Raises StartError."""
        lay_out(self.project, self._backups)
        self._password.touch(mode=0o600)
        self._password.write_text(PASSWORD)
        await self.engine.boot(("redis", "timescaledb"))
        await self.postgres_server.create(DATABASE, USER, (HERE / "schema.sql").read_text())
        await self.engine.boot(("data-ingestion",))
        await self.engine.boot(("metrics-engine", "anomaly-detector", "dashboard"))
        await self._docker.open()
        self._course = [begin(self.engine.look_after())]

    async def close(self) -> None:
        """End everything; what has ended already stays ended."""
        await self._troubles.close()
        await end(*self._course)
        await self._docker.close()
        # The workers before the stores: they would take a lost store for an error of theirs.
        for service in reversed(SERVICES):
            await self.engine.service(service).spec.workload.stop(signal.SIGTERM)
        await self.redis.aclose()
        await self.database.close()
        await self.engine.close()

    def _dashboard(self) -> HttpService:
        voice = Voice(self.logs["dashboard"], "dashboard")
        pages = Dashboard(self.redis, self.database)
        app = voice.hearing(Starlette(routes=pages.routes()))
        return HttpService(app, voice, on_start=pages.begin)

    def _containers(self) -> list[ContainerSpec]:
        redis, database = self._redis_server, self.postgres_server
        workloads: dict[str, Workload] = {
            "redis": RedisWork(redis, self.front),
            "timescaledb": PostgresWork(database, database.dsn(USER, DATABASE)),
            "dashboard": self._pages,
            **{worker.service: worker for worker in self._workers},
        }
        programs = {
            "timescaledb": DatabasePrograms(database, USER).execute,
            "data-ingestion": self.programs.execute,
        }
        return container_specs(workloads, self.logs, programs)
