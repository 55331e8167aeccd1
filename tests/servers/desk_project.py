"""The Hummingbot desk as compose runs it, by the contract's names and profiles, in each of its generations:
idle containers, but for what its procedures look at. Bots that start by themselves print their banner and
write their minutes, the database's writer its report.

Its folder is the demo's: reports, controllers and environment file are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker

from backends.demo.hummingbot_desk.generation import Generation
from backends.demo.hummingbot_desk.project import now_text
from tests.servers.compose import Project, service
from tests.servers.demo import DemoWorld, switch
from tests.servers.docker import IMAGE, DockerEngine

BOTS: Final = ("bot1", "bot3", "bot4")
_SERVICES: Final = (
    "signal-service", "risk-service", "coordination-service", "event-store-service", "reconciliation-service",
    "shadow-parity-service", "portfolio-risk-service",
)  # fmt: skip
"""Of the control plane, in every generation."""
RECOVERED: Final = ("redis", "event-store-service", "event-store-monitor", "day2-gate-monitor")
PLANE_OF_R0: Final = (
    *_SERVICES, *RECOVERED, "exchange-snapshot-service", "soak-monitor", "daily-ops-reporter"
)  # fmt: skip
PLANE: Final = (*PLANE_OF_R0, "kill-switch", "mosquitto", "telegram-bot")
PLANE_OF_H: Final = (
    *_SERVICES, "redis", "kill-switch", "telegram-bot", "ops-scheduler", "market-data-service",
    "portfolio-allocator-service", "research-worker", "desk-snapshot-service", "realtime-ui-api",
    "realtime-ui-web", "postgres", "ops-db-writer",
)  # fmt: skip
MONITORING: Final = (
    "prometheus", "grafana", "loki", "promtail", "node-exporter", "cadvisor", "bot-metrics-exporter",
    "control-plane-metrics-exporter",
)  # fmt: skip
MONITORING_OF_H: Final = ("prometheus", "grafana", "node-exporter", "cadvisor", "metrics-exporter")
CLICKHOUSE: Final = ("clickhouse", "clickhouse-ingest")
CHECKED: Final[Mapping[str, str]] = {
    **dict.fromkeys((*RECOVERED, "postgres", "clickhouse"), "2s"),
    **dict.fromkeys(
        ("exchange-snapshot-service", "prometheus", "grafana", MONITORING[-1], "clickhouse-ingest"), "1m"
    ),
}
"""How often each is checked: none that may still be starting while it is looked at."""
Profiles = Mapping[str, tuple[str, ...]]
"""Which services each brings; those of no profile are always there."""
_PROFILES_OF_R1: Final[Profiles] = {
    "external": PLANE,
    "ops": ("postgres", "ops-db-writer"),
    "ops-tools": ("pgadmin",),
    "multi": ("bot2",),
    "test": ("bot3", "bot4"),
    "": ("bot1", "bot-watchdog", *MONITORING),
}
PROFILES: Final[Mapping[str, Profiles]] = {
    "R0": {
        **_PROFILES_OF_R1,
        "external": PLANE_OF_R0,
        "ops": ("postgres", "ops-db-writer", *CLICKHOUSE),
        "": ("bot1", *MONITORING),
    },
    "R1": _PROFILES_OF_R1,
    "H": {
        "multi": ("bot2",),
        "test": ("bot3", "bot4", "bot5", "bot6", "bot7"),
        "": ("bot1", "bot-watchdog", *PLANE_OF_H, *MONITORING_OF_H),
    },
}
"""By generation."""

TARGET: Final = "hummingbot/hummingbot:version-2.12.1"
COMPOSE_FILE: Final = "compose/docker-compose.yml"
COMPOSE_FILES: Final[Mapping[str, str]] = {"H": f"infra/{COMPOSE_FILE}"}
"""Where another generation has it."""
KEPT: Final = "redis-data"
"""The volume of H's Redis; the others have none for it."""

_BOT: Final = """
minutes=/logs/epp_v24/$${BOT}_real
busybox mkdir -p $$minutes
say() {
  echo "$$(date +%H:%M:%S) - script_strategy_base - $$1"
  echo "$$(date '+%Y-%m-%d %H:%M:%S'),000 - 1 - script_strategy_base - INFO - $$1" >> /logs/logs_real.log
}
case $$BOT_MODE in
  live) say "LIVE MODE - REAL MONEY AT RISK" ;;
  *) say "EPP v2.4 STARTUP bot=$$BOT mode=PAPER" ;;
esac
say "Preflight validation passed."
case $$SCRIPT_CONFIG in *notrade*) orders=0 ;; *) orders=2 ;; esac
echo ts,state,orders_active > $$minutes/minute.csv
while :; do
  echo "$$(date '+%Y-%m-%dT%H:%M:%S')+00:00,running,$$orders" >> $$minutes/minute.csv
  sleep 1
done
"""
_WRITER: Final = """
report() {
  busybox mkdir -p /reports/ops_db_writer
  echo "{\\"ts_utc\\": \\"$$(date '+%Y-%m-%dT%H:%M:%S')+00:00\\", \\"status\\": \\"pass\\"}" \
    > /reports/ops_db_writer/latest.json
}
report
test "$$0" = python || while :; do sleep 1; report; done
"""
_RECOVERY: Final = '''
"""In the place of the desk's script of this name: compose starts four services, and it says how they are."""
import json, os, subprocess
from datetime import datetime, timezone
root = os.environ["PYTHONPATH"]
os.chdir(root)
files = ["--project-directory", ".", "--env-file", "env/.env", "-f", "compose/docker-compose.yml"]
compose = ["docker", "compose", *files, "-p", "hbot", "--profile", "external"]
wanted = ["redis", "event-store-service", "event-store-monitor", "day2-gate-monitor"]
up = subprocess.run([*compose, "up", "-d", "--wait", *wanted])
said = {"ts_utc": datetime.now(timezone.utc).isoformat(), "status": "fail" if up.returncode else "pass"}
os.makedirs("reports/recovery", exist_ok=True)
with open("reports/recovery/latest.json", "w") as file:
    json.dump(said, file)
'''


@dataclass(frozen=True)
class Desk:
    """What compose has of one generation."""

    project: Project
    generation: Generation

    @property
    def former(self) -> str:
        """The bots' image before any upgrade."""
        return self.generation.bot_image

    def container(self, service: str) -> Any:
        """The client's container of that service. Raises ``docker.errors.NotFound``."""
        return self.project.engine.client.containers.get(_container(self.generation, service))


@contextmanager
def desk_project(engine: DockerEngine, demo: DemoWorld, generation: Generation) -> Iterator[Desk]:
    """Nothing of it runs yet. The demo's own bots and services rest: what is written is written by these."""
    folder = Path(demo.config).parent / "hbot"
    images = (generation.bot_image, TARGET)
    for name in images:
        engine.client.images.get(IMAGE).tag(*name.split(":"))
    path = folder / COMPOSE_FILES.get(generation.id, COMPOSE_FILE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_compose(folder, generation), indent=1))
    script = folder / "scripts/release/recover_event_store_stack_and_strict_cycle.py"
    script.write_text(_RECOVERY)
    switch(demo, "reports-stale", is_on=True)
    _bring_up_to_date(folder / "reports")
    theirs = docker.APIClient(demo["docker"])
    for bot in generation.bots:
        theirs.stop(f"{generation.prefix}{bot}")
    theirs.close()
    project = Project(generation.project, folder, engine)
    try:
        yield Desk(project, generation)
    finally:
        project.clear()
        for name in images:
            engine.client.images.remove(name)


def _bring_up_to_date(reports: Path) -> None:
    """The demo's services write no more, and what they wrote last is of now."""
    old = str(json.loads((reports / "reconciliation/latest.json").read_text())["ts_utc"])
    for path in reports.rglob("*.json"):
        text = path.read_text()
        if old in text:
            path.write_text(text.replace(old, now_text()))


def _container(generation: Generation, service: str) -> str:
    part = generation.parts.get(service)
    return f"{generation.prefix}{(part.container if part else '') or service}"


def _compose(folder: Path, generation: Generation) -> dict[str, Any]:
    services: dict[str, Any] = {
        name: service(
            profile=profile or None,
            name=_container(generation, name),
            check="true" if name in CHECKED else None,
        )
        for profile, names in PROFILES[generation.id].items()
        for name in names
    }
    for name, interval in CHECKED.items():
        if name in services:
            services[name]["healthcheck"]["interval"] = interval
    for name in sorted({*generation.bots, "bot2"}):
        services[name]["image"] = "${HUMMINGBOT_IMAGE}"
        if generation.has_banner:
            trader = generation.bots.get(name)
            services[name] |= {
                "command": ["sh", "-c", _BOT],
                "environment": {"BOT": name, **_pairs(trader.environment if trader else ())},
                "volumes": [f"{folder}/data/{name}/logs:/logs"],
            }
    if generation.has_banner:
        services["bot1"]["environment"] |= {
            "SCRIPT_CONFIG": "${BOT1_SCRIPT_CONFIG}",
            "BOT_MODE": "${BOT1_MODE}",
        }
    if "kill-switch" in services:
        services["kill-switch"]["environment"] = {"KILL_SWITCH_DRY_RUN": "${KILL_SWITCH_DRY_RUN}"}
    services["ops-db-writer"] |= {
        "entrypoint": ["sh", "-c", _WRITER],
        "command": ["serve"],
        "volumes": [f"{folder}/reports:/reports"],
        "depends_on": {"postgres": {"condition": "service_healthy"}},
    }
    kept: dict[str, Any] = {}
    if generation.id == "H":
        services["redis"]["volumes"] = [f"{KEPT}:/data"]
        kept = {"volumes": {KEPT: {}}}
    return {"services": services, **kept}


def _pairs(environment: Sequence[str]) -> dict[str, str]:
    return dict(each.split("=", 1) for each in environment)
