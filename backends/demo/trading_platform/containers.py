"""The platform's containers, as its compose file makes them: names, checks, restart policies, loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Idle, Load, Workload

_MB: Final = 1024 * 1024
_ALL: Final = "0.0.0.0"  # noqa: S104 # what compose publishes, as shown in a list; nothing listens there
_ME: Final = "127.0.0.1"
_CURL: Final = ("CMD", "curl", "-f")

_WORDS: Final[Mapping[str, tuple[str, str, float, int]]] = {
    # service: image, command, percent of a core, megabytes
    "postgres": ("postgres:16", "docker-entrypoint.sh postgres", 1.6, 96),
    "redis": ("redis:7-alpine", "docker-entrypoint.sh redis-server --appendonly yes", 0.9, 14),
    "prometheus": (
        "prom/prometheus:latest",
        "/bin/prometheus --config.file=/etc/prometheus/prometheus.yml",
        1.1,
        88,
    ),
    "grafana": ("grafana/grafana:10.4.2", "/run.sh", 0.6, 74),
    "loki_server": ("grafana/loki:3.0.0", "/usr/bin/loki -config.file=/etc/loki/local-config.yaml", 1.4, 110),
    "promtail": (
        "grafana/promtail:3.0.0",
        "/usr/bin/promtail -config.file=/etc/promtail/config.yml",
        0.8,
        42,
    ),
    "execution_gateway": (
        "trading_platform-execution_gateway",
        "uvicorn apps.execution_gateway.main:app",
        6.5,
        410,
    ),
    "signal_service": ("trading_platform-signal_service", "uvicorn apps.signal_service.main:app", 4.2, 620),
    "market_data_service": (
        "trading_platform-market_data_service",
        "uvicorn apps.market_data_service.main:app",
        3.4,
        180,
    ),
    "model_registry": ("trading_platform-model_registry", "uvicorn apps.model_registry.main:app", 0.4, 150),
    "orchestrator": ("trading_platform-orchestrator", "uvicorn apps.orchestrator.main:app", 2.1, 240),
    "web_console_dev": ("trading_platform-web_console_dev", "python -m apps.web_console_ng.main", 3.0, 380),
    "backtest_worker_dev": (
        "trading_platform-backtest_worker_dev",
        "python -m apps.backtest_worker",
        0.7,
        290,
    ),
    "alert_worker": ("trading_platform-alert_worker", "python -m apps.alert_worker", 0.5, 130),
}

SERVICES: Final = tuple(_WORDS)
"""Compose services of profiles ``dev`` and, for alerts, ``workers``."""

_RESTARTED: Final = frozenset(
    ("execution_gateway", "signal_service", "market_data_service", "model_registry", "orchestrator",
     "alert_worker")
)  # fmt: skip
_PORTS: Final = {
    "postgres": (_ME, 5433, 5432), "redis": (_ME, 6379, 6379), "prometheus": (_ALL, 9090, 9090),
    "grafana": (_ALL, 3000, 3000), "loki_server": (_ALL, 3100, 3100), "execution_gateway": (_ALL, 8002, 8002),
    "signal_service": (_ALL, 8001, 8001), "market_data_service": (_ALL, 8004, 8004),
    "model_registry": (_ALL, 8005, 8005), "orchestrator": (_ALL, 8003, 8003),
    "web_console_dev": (_ALL, 8080, 8080),
}  # fmt: skip
_ENVIRONMENT: Final = {
    "grafana": ("GF_SECURITY_ADMIN_USER=operator", "GF_SECURITY_ADMIN_PASSWORD=of-the-demo"),
    "web_console_dev": (
        "WEB_CONSOLE_AUTH_TYPE=dev", "EXECUTION_GATEWAY_URL=http://execution_gateway:8002",
    ),
    "alert_worker": ("DATABASE_URL=postgresql://trader@postgres:5432/trader", "REDIS_URL=redis://redis:6379/0"),
}  # fmt: skip
_CHECKS: Final = {
    "postgres": Check(("CMD-SHELL", "pg_isready -U trader"), retries=5, start_period=0.0),
    "redis": Check(("CMD", "redis-cli", "ping"), timeout=3.0, retries=5, start_period=0.0),
    "loki_server": Check(("CMD", "wget", "--spider", "-q", "http://localhost:3100/ready"), retries=5),
    "backtest_worker_dev": Check(("CMD", "python", "-c", "import redis"), timeout=3.0),
    **{
        service: Check((*_CURL, f"http://localhost:{port}/health"), timeout=10.0)
        for service, port in (
            ("execution_gateway", 8002), ("signal_service", 8001), ("market_data_service", 8004),
            ("model_registry", 8005), ("orchestrator", 8003),
        )
    },
}  # fmt: skip


def container_specs(workloads: Mapping[str, Workload], logs: Mapping[str, LogStore]) -> list[ContainerSpec]:
    """One for every service; those without a workload idle. Checks run more often than compose's."""
    return [
        ContainerSpec(
            service=service,
            # Only the worker profiles lack a container_name, so compose numbers them.
            name=f"trading_platform-{service}-1"
            if service == "alert_worker"
            else f"trading_platform_{service}",
            image=image,
            command=command,
            load=Load(cpu, megabytes * _MB),
            workload=workloads.get(service, Idle()),
            check=_CHECKS.get(service),
            restart="unless-stopped" if service in _RESTARTED else "no",
            ports=(_PORTS[service],) if service in _PORTS else (),
            environment=_ENVIRONMENT.get(service, ()),
            log=logs[service],
        )
        for service, (image, command, cpu, megabytes) in _WORDS.items()
    ]
