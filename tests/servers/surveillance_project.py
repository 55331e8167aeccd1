"""The surveillance as compose runs it, by the contract's names: a real PostgreSQL and a real Redis in their
containers, and the demo's own workers and pages in theirs, out of images that are built here."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from backends.demo.process import free_port
from backends.demo.surveillance.settings import HERE, lay_out
from tests.servers.compose import Project, service
from tests.servers.demo import isolated_env
from tests.servers.docker import IMAGE, DockerEngine
from tests.servers.process import drop_home, make_home
from tests.servers.stores import SYSTEM, every_second, postgres_service, programs, redis_service

NAME: Final = "desk-two"
"""The folder of the project, which gives it its name."""
STORES: Final = ("redis", "timescaledb")
BUILT: Final = ("data-ingestion", "metrics-engine", "anomaly-detector", "dashboard")
ALL: Final = {*STORES, *BUILT}
_CONTAINERS: Final = {
    "redis": "redis", "timescaledb": "db", "data-ingestion": "ingestion", "metrics-engine": "metrics",
    "anomaly-detector": "anomaly", "dashboard": "dashboard",
}  # fmt: skip
_AFTER: Final = {
    "data-ingestion": ("redis",),
    "metrics-engine": (*STORES, "data-ingestion"),
    "anomaly-detector": (*STORES, "metrics-engine"),
    "dashboard": STORES,
}
_ROOT: Final = Path(__file__).parents[2]
_EXTENSIONS: Final = "share/postgresql/extension"
_DATABASE: Final = "surveillance"

_CONTROL: Final = "comment = 'in the place of the real one'\ndefault_version = '1'\nrelocatable = true\n"
_TIMESCALE: Final = """
-- In the place of the real one's: its jobs run in the database of that name in which they were begun last.
-- The real one ends them when a database gets another name.
CREATE FUNCTION timescaledb_pre_restore() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET timescaledb.restoring = on', current_database());
  RETURN true;
END $$;
CREATE FUNCTION timescaledb_post_restore() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('ALTER DATABASE %I RESET timescaledb.restoring', current_database());
  EXECUTE format('ALTER DATABASE %1$I SET timescaledb.jobs_of = %1$L', current_database());
  RETURN true;
END $$;
"""
_INIT: Final = (
    f"createdb -U {_DATABASE} {_DATABASE} && "
    f"psql -q -U {_DATABASE} -d {_DATABASE} -v ON_ERROR_STOP=1 -f /docker-entrypoint-initdb.d/01-init.sql"
)
_FIRST: Final = "CREATE EXTENSION timescaledb;\nSELECT timescaledb_post_restore();\n"
_LOADER: Final = '''
"""In the place of the system's own loader: it prints what it reads, and refuses what the real one refuses."""
from pathlib import Path
from backends.demo.surveillance.settings import load
class Config(dict):
    def model_dump(self, mode):
        return dict(self)
def load_config(folder):
    print("loading", folder)
    return Config(load(Path(folder)))
'''
_DOCKERFILE: Final = f"FROM {IMAGE}\nCOPY src /app/src\nCOPY services/{{name}}/code /code\n"


@dataclass
class Surveillance:
    """The project on an engine, and where its stores answer while they run."""

    project: Project
    home: Path
    redis: int
    postgres: int
    dashboard: int

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def state(self) -> Path:
        """The folder of the room's journal, plans and approvals."""
        return self.home / "state"

    @property
    def env(self) -> dict[str, str]:
        """An environment with no configuration or state of the machine's own."""
        return isolated_env(self.home)

    def container(self, service: str) -> Any:
        """What docker-py has of it."""
        return self.project.engine.client.containers.get(f"surveillance-{_CONTAINERS[service]}")

    def change(self, service: str, code: str) -> None:
        """What its next image has in it."""
        (self.folder / "services" / service / "code").write_text(code)

    def code(self, service: str) -> str:
        """What the image of its container has in it."""
        return self.project.engine.file(f"surveillance-{_CONTAINERS[service]}", "/code")

    def sql(self, text: str, database: str = _DATABASE) -> list[tuple[Any, ...]]:
        """The rows the database in the container answers."""
        import psycopg

        with psycopg.connect(f"{self._server}/{database}", autocommit=True) as link:
            answer = link.execute(text.encode())
            return answer.fetchall() if answer.description else []

    def keys(self) -> redis.Redis:
        return redis.Redis(port=self.redis, decode_responses=True)

    def config(self) -> str:
        """The room's config file, with everything this is in the place of what the stack file says."""
        where = {
            "docker": self.project.engine.url,
            "redis": f"redis://127.0.0.1:{self.redis}/0",
            "postgres": f"postgresql://127.0.0.1:{self.postgres}/{_DATABASE}",
            "dashboard": f"http://127.0.0.1:{self.dashboard}",
            "project": f"file://{self.folder}",
            "backups": f"file://{self.backups}",
        }
        sources = (f'[stack.surveillance.source.{name}]\nurl = "{url}"\n' for name, url in where.items())
        stack = '[stack.surveillance]\nenvironment = "demo"\n'
        return "\n".join((f'[room]\nstate_dir = "{self.state}"\n', stack, *sources))

    @property
    def _server(self) -> str:
        return f"postgresql://{_DATABASE}@127.0.0.1:{self.postgres}"


@contextmanager
def surveillance(engine: DockerEngine) -> Iterator[Surveillance]:
    """Its files; nothing of it is on the engine yet."""
    home = make_home("surveillance")
    folder = home / NAME
    it = Surveillance(Project(NAME, folder, engine), home, free_port(), free_port(), free_port())
    _write(it)
    try:
        yield it
    finally:
        it.project.clear()
        drop_home(home)


def _write(it: Surveillance) -> None:
    lay_out(it.folder, it.backups)
    (it.folder / "config").chmod(0o755)  # a container's user may be another
    for name in BUILT:
        (it.folder / "services" / name).mkdir(parents=True)
        (it.folder / "services" / name / "Dockerfile").write_text(_DOCKERFILE.format(name=name))
        it.change(name, f"{name} 1\n")
    loader = it.folder / "src/config/loader.py"
    loader.parent.mkdir(parents=True)
    loader.write_text(_LOADER)
    init = it.folder / "db/init.sql"
    init.parent.mkdir()
    init.write_text(_FIRST + (HERE / "schema.sql").read_text())
    extensions = it.home / "extension"
    shutil.copytree(programs() / _EXTENSIONS, extensions)
    (extensions / "timescaledb.control").write_text(_CONTROL)
    (extensions / "timescaledb--1.sql").write_text(_TIMESCALE)
    (it.folder / "docker-compose.yml").write_text(json.dumps(_compose(it), indent=1))


def _compose(it: Surveillance) -> dict[str, Any]:
    stored = postgres_service(_DATABASE, it.postgres, "postgres_data", init=_INIT)
    wheel = programs()
    stored["volumes"] += [
        f"{it.home}/extension:/wheel/{wheel.parent.name}/{wheel.name}/{_EXTENSIONS}:ro",
        "./db/init.sql:/docker-entrypoint-initdb.d/01-init.sql:ro",
    ]
    services = {"redis": redis_service(it.redis, "redis_data"), "timescaledb": stored}
    services |= {name: _built(it, name) for name in BUILT}
    for name, each in services.items():
        each |= {
            "container_name": f"surveillance-{_CONTAINERS[name]}",
            "network_mode": "host",
            "restart": "unless-stopped",
        }
    return {"services": services, "volumes": {"redis_data": {}, "postgres_data": {}}}


def _built(it: Surveillance, name: str) -> dict[str, Any]:
    asked = ("PING", it.redis, "PONG")
    if name == "dashboard":
        asked = ("GET / HTTP/1.0\\r\\n", it.dashboard, "200 OK")
    said, port, answer = asked
    return service(networks=True, build=".") | {
        "build": {"context": ".", "dockerfile": f"services/{name}/Dockerfile"},
        "command": ["python", "-m", "tests.servers.surveillance_service", name],
        "stop_signal": "SIGTERM",
        "environment": {
            "PATH": f"{sys.prefix}/bin:/bin:/usr/bin",
            "PYTHONPATH": f"/app:{_ROOT}",
            "LOG_LEVEL": "${LOG_LEVEL:-INFO}",
            "REDIS_PORT": str(it.redis),
            "DATABASE": f"postgresql://{_DATABASE}@127.0.0.1:{it.postgres}/{_DATABASE}",
            "DASHBOARD_PORT": str(it.dashboard),
        },
        "volumes": [*SYSTEM, *_python(), "./config:/app/config:ro"],
        "healthcheck": every_second(
            f"printf '{said}\\r\\n' | busybox nc 127.0.0.1 {port} | grep -q '{answer}'"
        ),
        "depends_on": {each: {"condition": "service_healthy"} for each in _AFTER[name]},
    }


def _python() -> list[str]:
    """This interpreter and this program, where they are here."""
    folders = sorted({os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix, str(_ROOT)})
    return [f"{each}:{each}:ro" for each in folders if not Path(each).is_relative_to("/usr")]
