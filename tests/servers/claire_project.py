"""Claire de Binare as compose runs it, by the contract's names: a real PostgreSQL and a real Redis in their
containers on a network of the project's own, listeners on the bus, and idle containers for all the rest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

import backends.demo.claire_de_binare as demo_package
from tests.servers.compose import Project, service
from tests.servers.demo import DemoWorld
from tests.servers.docker import IMAGE, DockerEngine
from tests.servers.process import drop_home, make_home, wait_until
from tests.servers.stores import every_second, postgres_service, redis_mounts, redis_service

NAME = "cdb"
BASE = ("cdb_redis", "cdb_postgres", "cdb_prometheus", "cdb_grafana", "cdb_postgres_exporter",
        "cdb_redis_exporter")  # fmt: skip
DEV = ("cdb_ws", "cdb_signal", "cdb_candles", "cdb_regime", "cdb_allocation", "cdb_risk", "cdb_execution",
       "cdb_db_writer", "cdb_paper_runner", "cdb_reports")  # fmt: skip
LOGGING = ("cdb_alertmanager", "cdb_loki", "cdb_promtail")
FILES = "infrastructure/compose"
"""Where the compose files are, below the checkout."""

_HEAR = ("cdb_execution", "cdb_db_writer", "cdb_paper_runner")
_VOLUMES = {"cdb_prometheus": "prom_data:/prometheus", "cdb_grafana": "grafana_data:/var/lib/grafana",
            "cdb_risk": "validation_data:/app/data", "cdb_loki": "loki_data:/loki",
            "cdb_alertmanager": "alertmanager_data:/alertmanager"}  # fmt: skip
_INIT = (
    "createdb -U claire_user claire_de_binare && "
    "echo running /docker-entrypoint-initdb.d/01-schema.sql && "
    "psql -q -U claire_user -d claire_de_binare -v ON_ERROR_STOP=1 "
    "-f /docker-entrypoint-initdb.d/01-schema.sql"
)
_MIGRATION = "ALTER TABLE orders ALTER COLUMN price DROP NOT NULL;\n"
_RESTORE = """
busybox rm -rf /data/* && cat /backup/redis_dump.rdb > /data/dump.rdb || exit 1
{serve} --appendonly no > /dev/null &
say() {{ printf '%s\\r\\n' "$1" | busybox nc -w 1 127.0.0.1 7000; }}
until say PING | grep -q PONG; do sleep 0.1; done
say 'CONFIG SET appendonly yes'
until say 'INFO persistence' | grep -q 'aof_rewrite_in_progress:0'; do sleep 0.1; done
say SHUTDOWN
wait
"""
_PASSWORD = "$(cat /run/secrets/redis_password)"


def write_files(folder: Path, contents: Mapping[str, Mapping[str, Any]]) -> None:
    """The compose files of a checkout by their names; each says what is given."""
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / FILES / f"{name}.yml").write_text(json.dumps(content, indent=1))


def options(names: Sequence[str] = ("base", "dev", "logging")) -> tuple[str, ...]:
    """What a compose command says to use these files."""
    return tuple(word for name in names for word in ("-f", f"{FILES}/{name}.yml"))


@dataclass
class Claire:
    """The running project beside the demo whose HTTP stands for its services'."""

    project: Project
    home: Path
    network: str
    """The first three numbers of its addresses."""
    secrets: Path

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def dsn(self) -> str:
        return f"postgresql://claire_user@{self.network}.11:5432/claire_de_binare"

    @property
    def password(self) -> str:
        """Redis' own."""
        return (self.secrets / "REDIS_PASSWORD").read_text()

    def takes_sessions(self) -> bool:
        """Whether the database takes connections."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.dsn):
            return True
        return False

    def bus(self) -> redis.Redis:
        return redis.Redis(f"{self.network}.10", 6379, password=self.password, decode_responses=True)

    def restore_redis(self, backup: str) -> None:
        """What a person does by hand, in a container of its own: the snapshot becomes the data."""
        client = self.project.engine.client
        client.containers.get("cdb_redis").stop()
        where = {
            f"{NAME}_redis_data": "/data",
            str(self.folder / "infrastructure/dr_backups" / backup): "/backup",
        }
        mounts = [f"{source}:{target}" for source, target in where.items()]
        shell = [
            "sh",
            "-c",
            _RESTORE.format(serve="/redis --port 7000 --bind 127.0.0.1 --dir /data --save ''"),
        ]
        client.containers.run(
            IMAGE, shell, remove=True, network_mode="none", volumes=[*mounts, *redis_mounts()]
        )
        client.containers.get("cdb_redis").start()

    def config(self, demo: DemoWorld) -> str:
        """The demo's config with engine, stores and folders of the project in the place of its own."""
        text = demo.config.read_text()
        there = urlsplit(demo["postgres"])
        for old, new in (
            (f'"{demo["docker"]}"', f'"{self.project.engine.url}"'),
            (f"127.0.0.1:{urlsplit(demo['redis']).port}/", f"{self.network}.10:6379/"),
            (f"127.0.0.1:{there.port}{there.path}", f"{self.network}.11:5432/claire_de_binare"),
            ('username = "trader"', 'username = "claire_user"'),
            (f"file://{demo.config.parent}/checkout", f"file://{self.folder}"),
            (f"file://{demo.config.parent}/secrets", f"file://{self.secrets}"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        return text


@contextmanager
def claire(engine: DockerEngine, demo: DemoWorld) -> Iterator[Claire]:
    """The whole project, up; nothing has been traded and nothing is halted."""
    home = make_home("claire")
    folder = home / "checkout"
    shutil.copytree(demo.config.parent / "checkout", folder)
    shutil.copytree(demo.config.parent / "secrets", home / "secrets")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "SECRETS_PATH": str(home / "secrets")}
    network = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
    it = Claire(Project(NAME, folder, engine, options(), env), home, network, home / "secrets")
    _write(it)
    try:
        it.project.compose("up", "--detach", "--build", "--wait")
        # It is healthy, too, while it makes its tables, which it does out of reach.
        wait_until(it.takes_sessions, 30, "the database to take connections", every=0.2)
        yield it
    finally:
        it.project.clear()
        drop_home(home)


def _write(it: Claire) -> None:
    init = it.folder / "db"
    init.mkdir()
    shutil.copy(Path(demo_package.__path__[0]) / "schema.sql", init / "01-schema.sql")
    (init / "02-migration-002.sql").write_text(_MIGRATION)
    for name in DEV:
        place = it.folder / "services" / name
        place.mkdir(parents=True)
        (place / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY code /code\n")
        (place / "code").write_text(f"{name} 1\n")
    services = {name: _service(it, name) for name in (*BASE, *DEV, *LOGGING)}
    services["cdb_redis"] |= _at(it, 10, redis_service(
        6379, "redis_data", "--requirepass", f'"{_PASSWORD}"', bind="0.0.0.0"
    ))  # fmt: skip
    stored = postgres_service("claire_user", 5432, "postgres_data", listen="0.0.0.0", init=_INIT)
    stored["volumes"].append(f"{init}:/docker-entrypoint-initdb.d:ro")
    services["cdb_postgres"] |= _at(it, 11, stored)
    for name in _HEAR:
        services[name] |= _hearing(it)
    # Those without an address of their own get one of the upper half.
    given = {"subnet": f"{it.network}.0/24", "ip_range": f"{it.network}.128/25"}
    ranges = {"ipam": {"config": [given]}}
    kept = [name.partition(":")[0] for name in ("redis_data", "postgres_data", *_VOLUMES.values())]
    secret = {"redis_password": {"file": "${SECRETS_PATH}/REDIS_PASSWORD"}}
    files = {"base": BASE, "dev": DEV, "logging": LOGGING}
    contents = {name: {"services": {each: services[each] for each in of}} for name, of in files.items()}
    contents["base"] |= {
        "networks": {"cdb_network": ranges}, "volumes": {each: {} for each in kept}, "secrets": secret
    }  # fmt: skip
    contents["network-prod"] = {"networks": {"cdb_network": {"internal": True}}}
    write_files(it.folder, contents)


def _service(it: Claire, name: str) -> dict[str, Any]:
    made = service(networks=True, name=name)
    made |= {"networks": {"cdb_network": {}}, "restart": "unless-stopped"}
    if name in DEV:
        made.pop("image")
        made["build"] = str(it.folder / "services" / name)
    if name in _VOLUMES:
        made["volumes"] = [_VOLUMES[name]]
    if name in ("cdb_risk", "cdb_execution"):
        made["healthcheck"] = every_second("true")
    if name == "cdb_execution":
        made["environment"] = {"MOCK_TRADING": "true"}
    return made


def _at(it: Claire, host: int, made: dict[str, Any]) -> dict[str, Any]:
    """With an address of its own, and the secrets."""
    address = {"cdb_network": {"ipv4_address": f"{it.network}.{host}"}}
    return made | {"networks": address, "secrets": ["redis_password"]}


def _hearing(it: Claire) -> dict[str, Any]:
    """A real subscriber to the bus."""
    said = f"AUTH {_PASSWORD}\\r\\nSUBSCRIBE orders order_results\\r\\n"
    line = f'{{ printf "{said}"; while :; do sleep 1; done; }} | busybox nc {it.network}.10 6379'
    return {
        "command": ["sh", "-c", line.replace("$", "$$")],
        "secrets": ["redis_password"],
        "depends_on": {"cdb_redis": {"condition": "service_healthy"}},
    }
