"""The desk's containers, as its compose file makes them: names, checks, variables, loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Execute, Idle, Load, Mount, Workload, no_program

PREFIX: Final = "hbot-"
_MB: Final = 1024 * 1024
_ME: Final = "127.0.0.1"
_ALL: Final = "0.0.0.0"  # noqa: S104 # what compose publishes, as shown in a list; nothing listens there
_BOT: Final = "hummingbot/hummingbot:version-2.12.0"
_PLANE: Final = "hbot-control-plane:20260222"
BOTS: Final = ("bot1", "bot3", "bot4")
"""Those that exist; bot 2 is reserved and absent, as policy demands."""

_PLANE_SERVICES: Final = (
    "signal-service",
    "risk-service",
    "coordination-service",
    "event-store-service",
    "event-store-monitor",
    "day2-gate-monitor",
    "exchange-snapshot-service",
    "reconciliation-service",
    "shadow-parity-service",
    "portfolio-risk-service",
    "soak-monitor",
    "daily-ops-reporter",
    "kill-switch",
    "ops-db-writer",
    "control-plane-metrics-exporter",
)
_OTHERS: Final = {
    "redis": ("redis:7.2-alpine", 0.9, 24),
    "postgres": ("postgres:16-alpine", 1.4, 90),
    "mosquitto": ("eclipse-mosquitto:2.0", 0.1, 8),
    "prometheus": ("prom/prometheus:v2.51.2", 1.2, 120),
    "grafana": ("grafana/grafana:10.4.2", 0.6, 80),
    "loki": ("grafana/loki:2.9.8", 1.0, 100),
    "promtail": ("grafana/promtail:2.9.8", 0.5, 40),
    "node-exporter": ("prom/node-exporter:v1.8.1", 0.3, 16),
    "cadvisor": ("gcr.io/cadvisor/cadvisor:v0.49.1", 2.1, 70),
    "bot-metrics-exporter": ("python:3.11-slim", 0.4, 40),
    "bot-watchdog": (_PLANE, 0.1, 30),
    "telegram-bot": (_PLANE, 0.2, 36),
}
_UNCHECKED: Final = ("promtail", "bot-watchdog", "telegram-bot")
SERVICES: Final = (*BOTS, *_PLANE_SERVICES, *_OTHERS)
_PORTS: Final = {
    "redis": (_ME, 6379, 6379),
    "postgres": (_ME, 5432, 5432),
    "kill-switch": (_ALL, 9900, 9900),
    "prometheus": (_ME, 9090, 9090),
    "grafana": (_ME, 3000, 3000),
    "loki": (_ME, 3100, 3100),
}
_ENVIRONMENT: Final = {
    "bot1": (
        "BOT_MODE=paper",
        "EXT_SIGNAL_RISK_ENABLED=true",
        "BUS_SOFT_PAUSE_ON_OUTAGE=true",
        "BOT_POLICY_ROLE=live_microcap_primary",
    ),
    "kill-switch": ("KILL_SWITCH_DRY_RUN=false", "KILL_SWITCH_EXCHANGE=bitget"),
    "coordination-service": ("COORD_ENABLED=false", "COORD_REQUIRE_ML_ENABLED=true"),
    "signal-service": ("ML_ENABLED=false",),
}
_CODE: Final = "/home/hummingbot/controllers"
_MOUNTS: Final = (
    Mount(_CODE, source="/opt/hbot/controllers", is_writable=False),
    Mount("/home/hummingbot/scripts/controllers", source="/opt/hbot/controllers", is_writable=False),
)
_FILE_CHECK: Final = Check(("CMD", "python", "-c", "report age"), interval=10.0)


def container_specs(
    workloads: Mapping[str, Workload], logs: Mapping[str, LogStore], programs: Mapping[str, Execute]
) -> list[ContainerSpec]:
    """One for every service; those without a workload idle. ``programs`` are run inside them."""
    return [
        replace(
            _spec(service, workloads.get(service, Idle()), logs[service]),
            execute=programs.get(service, no_program),
        )
        for service in SERVICES
    ]


def _spec(service: str, workload: Workload, log: LogStore) -> ContainerSpec:
    image, cpu, megabytes = _OTHERS.get(service, (_BOT, 9.0, 380) if service in BOTS else (_PLANE, 0.8, 60))
    is_checked = service not in _UNCHECKED and service not in ("bot3", "bot4")
    return ContainerSpec(
        service=service,
        name=f"{PREFIX}{service}",
        image=image,
        command=f"{service} --run",
        load=Load(cpu, megabytes * _MB),
        workload=workload,
        check=_FILE_CHECK if is_checked else None,
        restart="unless-stopped",
        ports=(_PORTS[service],) if service in _PORTS else (),
        project="hbot",
        environment=_ENVIRONMENT.get(service, ()),
        mounts=_MOUNTS if service in BOTS else (),
        log=log,
    )
