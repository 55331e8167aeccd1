"""The nineteen containers as compose makes them: names, checks, mounts, variables, loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Execute, Idle, Load, Mount, Workload, no_program

PROJECT: Final = "cdb"
_ME: Final = "127.0.0.1"
_MB: Final = 1024 * 1024

_PULLED: Final = {
    # service: image, percent of a core, megabytes
    "cdb_redis": ("redis:7.4-alpine", 0.8, 14),
    "cdb_postgres": ("postgres:15-alpine", 1.2, 60),
    "cdb_prometheus": ("prom/prometheus:v2.55.0", 0.9, 90),
    "cdb_grafana": ("grafana/grafana:11.4.0", 0.6, 110),
    "cdb_postgres_exporter": ("prometheuscommunity/postgres-exporter:latest", 0.1, 18),
    "cdb_redis_exporter": ("bitnami/redis-exporter:latest", 0.1, 16),
    "cdb_alertmanager": ("prom/alertmanager:v0.27.0", 0.2, 30),
    "cdb_loki": ("grafana/loki:2.9.3", 0.9, 80),
    "cdb_promtail": ("grafana/promtail:2.9.3", 0.4, 40),
}
_BUILT: Final = {
    "cdb_ws": 1.9, "cdb_signal": 1.1, "cdb_candles": 0.6, "cdb_regime": 0.4, "cdb_allocation": 0.4,
    "cdb_risk": 1.3, "cdb_execution": 1.6, "cdb_db_writer": 0.9, "cdb_paper_runner": 0.8, "cdb_reports": 0.1,
}  # fmt: skip
SERVICES: Final = (*_PULLED, *_BUILT)
_PORTS: Final = {
    "cdb_redis": (6379, 6379), "cdb_postgres": (5432, 5432), "cdb_prometheus": (19090, 9090),
    "cdb_grafana": (3000, 3000), "cdb_postgres_exporter": (9187, 9187), "cdb_redis_exporter": (9121, 9121),
    "cdb_ws": (8000, 8000), "cdb_signal": (8005, 8005), "cdb_candles": (8007, 8007),
    "cdb_regime": (8008, 8008), "cdb_allocation": (8006, 8006), "cdb_risk": (8002, 8002),
    "cdb_execution": (8003, 8003), "cdb_paper_runner": (8004, 8004),
}  # fmt: skip
_VOLUMES: Final = {
    "cdb_redis": ("cdb_redis_data", "/data"),
    "cdb_postgres": ("cdb_postgres_data", "/var/lib/postgresql/data"),
    "cdb_prometheus": ("cdb_prom_data", "/prometheus"),
    "cdb_grafana": ("cdb_grafana_data", "/var/lib/grafana"),
    "cdb_risk": ("cdb_validation_data", "/app/data"),
    "cdb_loki": ("cdb_loki_data", "/loki"),
    "cdb_alertmanager": ("cdb_alertmanager_data", "/alertmanager"),
}
_SECRETS: Final = {
    "cdb_redis": ("redis_password",),
    "cdb_postgres": ("postgres_password",),
    "cdb_grafana": ("grafana_password", "smtp_user", "smtp_password", "smtp_from", "alert_email_to"),
    "cdb_risk": ("redis_password", "postgres_password", "mexc_api_key", "mexc_api_secret"),
    "cdb_execution": ("redis_password", "postgres_password", "mexc_api_key", "mexc_api_secret"),
}
VARIABLES: Final = {
    "cdb_postgres": ("POSTGRES_USER=claire_user", "POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password"),
    "cdb_grafana": ("GF_SECURITY_ADMIN_PASSWORD__FILE=/run/secrets/grafana_password",),
    "cdb_execution": ("MOCK_TRADING=true", "DRY_RUN=false", "MEXC_TESTNET=false"),
}
LIVE: Final = ("MOCK_TRADING=false", "DRY_RUN=false", "MEXC_TESTNET=false", "CONFIRM_LIVE_TRADING=true")
"""Those of execution in live mode; without the last of them it does not start in it."""
_CHECKS: Final = {
    "cdb_redis": ("CMD-SHELL", "redis-cli ping"),
    "cdb_postgres": ("CMD-SHELL", "pg_isready -U claire_user -d claire_de_binare"),
    "cdb_db_writer": ("CMD-SHELL", "kill -0 1"),
    "cdb_reports": ("CMD-SHELL", "pgrep -f daily_orders_summary.py"),
}


def container_specs(
    workloads: Mapping[str, Workload],
    logs: Mapping[str, LogStore],
    programs: Mapping[str, Execute],
    secrets: str,
    folder: str,
) -> list[ContainerSpec]:
    """One for every service; those without a workload idle. ``secrets`` is the host's folder of them."""
    labels = {
        "com.docker.compose.project.working_dir": folder,
        "com.docker.compose.project.config_files": ",".join(
            f"{folder}/infrastructure/compose/{name}.yml" for name in ("base", "dev", "logging")
        ),
    }
    return [_spec(name, workloads, logs[name], programs, secrets, labels) for name in SERVICES]


def _spec(
    name: str,
    workloads: Mapping[str, Workload],
    log: LogStore,
    programs: Mapping[str, Execute],
    secrets: str,
    labels: Mapping[str, str],
) -> ContainerSpec:
    image, cpu, megabytes = _PULLED.get(name, (f"{PROJECT}-{name}", _BUILT.get(name, 0.0), 60))
    test = _CHECKS.get(name, ("CMD", "curl", "-f", "http://localhost/health"))
    mounts = [Mount(f"/run/secrets/{each}", source=f"{secrets}/{each.upper()}", is_writable=False)
              for each in _SECRETS.get(name, ())]  # fmt: skip
    if name in _VOLUMES:
        volume, place = _VOLUMES[name]
        mounts.append(Mount(place, volume))
    port = _PORTS.get(name)
    return ContainerSpec(
        service=name,
        name=name,
        image=image,
        command="python -u service.py" if name in _BUILT else name.removeprefix("cdb_"),
        load=Load(cpu, megabytes * _MB),
        workload=workloads.get(name, Idle()),
        check=None if name == "cdb_promtail" else Check(test),
        restart="unless-stopped",
        ports=() if port is None else ((_ME, *port),),
        project=PROJECT,
        environment=VARIABLES.get(name, ()),
        labels=labels,
        mounts=tuple(mounts),
        network="cdb_network",
        execute=programs.get(name, no_program),
        log=log,
    )
