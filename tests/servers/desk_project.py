"""The Hummingbot desk as compose runs it, by the contract's names and profiles: idle containers, but for what
its procedures look at. Bots print their banner and write their minutes, the database's writer its report.

Its folder is the demo's: reports, controllers and environment file are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import docker

from tests.servers.compose import Project, service
from tests.servers.demo import DemoWorld, switch
from tests.servers.docker import IMAGE, DockerEngine

BOTS: Final = ("bot1", "bot3", "bot4")
PLANE: Final = (
    "redis", "signal-service", "risk-service", "coordination-service", "event-store-service",
    "event-store-monitor", "day2-gate-monitor", "exchange-snapshot-service", "reconciliation-service",
    "shadow-parity-service", "portfolio-risk-service", "soak-monitor", "daily-ops-reporter", "kill-switch",
    "mosquitto", "telegram-bot",
)  # fmt: skip
MONITORING: Final = (
    "prometheus", "grafana", "loki", "promtail", "node-exporter", "cadvisor", "bot-metrics-exporter",
    "control-plane-metrics-exporter",
)  # fmt: skip
RECOVERED: Final = ("redis", "event-store-service", "event-store-monitor", "day2-gate-monitor")
CHECKED: Final[Mapping[str, str]] = {
    **dict.fromkeys((*RECOVERED, "postgres"), "2s"),
    **dict.fromkeys(("exchange-snapshot-service", "prometheus", "grafana", MONITORING[-1]), "1m"),
}
"""How often each is checked: none that may still be starting while it is looked at."""
PROFILES: Final[Mapping[str, tuple[str, ...]]] = {
    "external": PLANE,
    "ops": ("postgres", "ops-db-writer"),
    "ops-tools": ("pgadmin",),
    "multi": ("bot2",),
    "test": ("bot3", "bot4"),
    "": ("bot1", "bot-watchdog", *MONITORING),
}
"""Which services each brings; those of no profile are always there."""

FORMER, TARGET = "hummingbot/hummingbot:version-2.12.0", "hummingbot/hummingbot:version-2.12.1"

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
case $$SCRIPT in *notrade*) orders=0 ;; *) orders=2 ;; esac
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


@contextmanager
def desk_project(engine: DockerEngine, demo: DemoWorld) -> Iterator[Project]:
    """Nothing of it runs yet. The demo's own bots and services rest: what is written is written by these."""
    folder = Path(demo.config).parent / "hbot"
    for name in (FORMER, TARGET):
        engine.client.images.get(IMAGE).tag(*name.split(":"))
    path = folder / "compose/docker-compose.yml"
    path.parent.mkdir()
    path.write_text(json.dumps(_compose(folder), indent=1))
    script = folder / "scripts/release/recover_event_store_stack_and_strict_cycle.py"
    script.write_text(_RECOVERY)
    switch(demo, "reports-stale", is_on=True)
    theirs = docker.APIClient(demo["docker"])
    for bot in BOTS:
        theirs.stop(f"hbot-{bot}")
    theirs.close()
    project = Project("hbot", folder, engine)
    try:
        yield project
    finally:
        project.clear()
        for name in (FORMER, TARGET):
            engine.client.images.remove(name)


def _compose(folder: Path) -> dict[str, Any]:
    services: dict[str, Any] = {
        name: service(profile=profile or None, name=f"hbot-{name}", check="true" if name in CHECKED else None)
        for profile, names in PROFILES.items()
        for name in names
    }
    for name, interval in CHECKED.items():
        services[name]["healthcheck"]["interval"] = interval
    for name in (*BOTS, "bot2"):
        services[name] |= {
            "image": "${HUMMINGBOT_IMAGE}",
            "command": ["sh", "-c", _BOT],
            "environment": {"BOT": name},
            "volumes": [f"{folder}/data/{name}/logs:/logs"],
        }
    services["bot1"]["environment"] |= {"SCRIPT": "${BOT1_SCRIPT_CONFIG}", "BOT_MODE": "${BOT1_MODE}"}
    services["kill-switch"]["environment"] = {"KILL_SWITCH_DRY_RUN": "${KILL_SWITCH_DRY_RUN}"}
    services["ops-db-writer"] |= {
        "entrypoint": ["sh", "-c", _WRITER],
        "command": ["serve"],
        "volumes": [f"{folder}/reports:/reports"],
        "depends_on": {"postgres": {"condition": "service_healthy"}},
    }
    return {"services": services}
