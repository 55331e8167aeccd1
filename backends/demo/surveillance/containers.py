"""The six containers as compose makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Execute, Load, Mount, Workload, no_program

PROJECT: Final = "desk-two"
"""Compose's name of it: that of the folder it was started in, which is not always the program's."""
_MB: Final = 1024 * 1024
_ALL: Final = "0.0.0.0"  # noqa: S104 # what compose publishes, as shown in a list; nothing listens there

_WORDS: Final[Mapping[str, tuple[str, str, str, float, int]]] = {
    # service: container, image, command, percent of a core, megabytes
    "redis": (
        "surveillance-redis", "redis:7-alpine",
        "docker-entrypoint.sh redis-server --appendonly yes --maxmemory 512mb --maxmemory-policy allkeys-lru",
        2.1, 46,
    ),
    "timescaledb": (
        "surveillance-db", "timescale/timescaledb:latest-pg15", "docker-entrypoint.sh postgres", 8.4, 380,
    ),
    "data-ingestion": (
        "surveillance-ingestion", "surveillance-data-ingestion", "python -m services.data_ingestion",
        11.0, 120,
    ),
    "metrics-engine": (
        "surveillance-metrics", "surveillance-metrics-engine", "python -m services.metrics_engine", 14.5, 140,
    ),
    "anomaly-detector": (
        "surveillance-anomaly", "surveillance-anomaly-detector", "python -m services.anomaly_detector",
        3.2, 96,
    ),
    "dashboard": (
        "surveillance-dashboard", "surveillance-dashboard", "uvicorn services.dashboard.app:app --port 8050",
        2.4, 110,
    ),
}  # fmt: skip
SERVICES: Final = tuple(_WORDS)
_PING: Final = Check(("CMD", "python", "-c", "import redis; redis.from_url('redis://redis:6379').ping()"))
_CHECKS: Final = {
    "redis": Check(("CMD", "redis-cli", "ping"), retries=5, start_period=0.0),
    "timescaledb": Check(("CMD-SHELL", "pg_isready -U surveillance -d surveillance"), retries=5),
    "dashboard": Check(("CMD", "curl", "-f", "http://localhost:8050/")),
}
_PORTS: Final = {
    "redis": ((_ALL, 6379, 6379),), "timescaledb": ((_ALL, 5432, 5432),), "dashboard": ((_ALL, 8050, 8050),),
}  # fmt: skip
_VOLUMES: Final = {
    "redis": (Mount("/data", f"{PROJECT}_redis_data"),),
    "timescaledb": (Mount("/var/lib/postgresql/data", f"{PROJECT}_postgres_data"),),
}
_PASSWORD: Final = ("POSTGRES_USER=surveillance", "POSTGRES_PASSWORD=of-the-demo")


def container_specs(
    workloads: Mapping[str, Workload], logs: Mapping[str, LogStore], programs: Mapping[str, Execute]
) -> list[ContainerSpec]:
    """One for every service. Health is looked at more often than compose does."""
    return [
        ContainerSpec(
            service=service,
            name=name,
            image=image,
            command=command,
            load=Load(cpu, megabytes * _MB),
            workload=workloads[service],
            check=_CHECKS.get(service, _PING),
            restart="unless-stopped",
            ports=_PORTS.get(service, ()),
            project=PROJECT,
            environment=_PASSWORD if service == "timescaledb" else ("LOG_LEVEL=INFO", "LOG_FORMAT=json"),
            mounts=_VOLUMES.get(service, ()),
            network="network",
            execute=programs.get(service, no_program),
            log=logs[service],
        )
        for service, (name, image, command, cpu, megabytes) in _WORDS.items()
    ]
