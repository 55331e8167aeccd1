"""One service of the surveillance in a container of its own: what its demo does, on its project's stores.

``python -m tests.servers.surveillance_service SERVICE``; where its stores are stands in its environment.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette

from backends.demo.database import Database
from backends.demo.dockerd.log_store import STDOUT, LogStore
from backends.demo.surveillance.dashboard import Dashboard
from backends.demo.surveillance.detector import Detector
from backends.demo.surveillance.ingestion import Ingestion
from backends.demo.surveillance.metrics import MetricsEngine
from backends.demo.surveillance.worker import Worker

CONFIG = Path("/app/config")


class PrintedLog(LogStore):
    """Its lines are the container's output."""

    def write(self, lines: Iterable[bytes], stream: int = STDOUT, ago: float = 0.0) -> None:
        for line in lines:
            os.write(stream, line + b"\n")


async def work(worker: Worker) -> int:
    """Until it is told to stop, or ends by itself; its exit code."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def crash() -> None:
        told.set_result(1)

    worker.on_crash = crash
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: told.done() or told.set_result(0))
    await worker.start()
    code = await told
    await worker.stop(signal.SIGTERM)
    return code


async def show(dashboard: Dashboard, port: int) -> int:
    await dashboard.begin()
    app = Starlette(routes=dashboard.routes())
    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="info")).serve()
    return 0


async def main(service: str) -> int:
    redis = Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True, socket_timeout=2.0)
    database, log = Database(os.environ["DATABASE"]), PrintedLog()
    if service == "dashboard":
        return await show(Dashboard(redis, database), int(os.environ["DASHBOARD_PORT"]))
    if service == "data-ingestion":
        return await work(Ingestion(redis, log, CONFIG, random.Random(service)))
    if service == "metrics-engine":
        return await work(MetricsEngine(redis, log, database))
    return await work(Detector(redis, log, database, CONFIG))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
