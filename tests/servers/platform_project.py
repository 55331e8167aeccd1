"""The equities platform as compose runs it, by the contract's names: a real PostgreSQL and a real Redis in
their containers, and idle containers for its own services, whose code is not here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from backends.demo.process import free_port
from tests.servers.compose import Project, service
from tests.servers.demo import DemoWorld
from tests.servers.docker import IMAGE, DockerEngine
from tests.servers.process import drop_home, make_home, wait_until
from tests.servers.stores import postgres_service, programs, redis_service

NAME = "trading_platform"
"""The folder of the checkout, which gives the project its name."""

INFRASTRUCTURE = ("postgres", "redis", "prometheus", "grafana", "loki_server", "promtail")
DEV = (
    "execution_gateway", "signal_service", "market_data_service", "model_registry", "orchestrator",
    "web_console_dev", "backtest_worker_dev",
)  # fmt: skip
WORKERS = ("backtest_worker_high", "backtest_worker_normal", "backtest_worker_low", "alert_worker")

_CHECKED = (
    "execution_gateway",
    "signal_service",
    "market_data_service",
    "orchestrator",
    "backtest_worker_normal",
)
_WANTED = ("WEB_CONSOLE_USER", "WEB_CONSOLE_PASSWORD", "SESSION_ENCRYPTION_KEY")
"""Of the names without which compose does nothing at all; the others are empty in the demo's ``.env``."""

_HANDED = ("FEATURE_ALPHA_EXPLORER", "NOTEBOOK_LAUNCH_COMMAND", "NOTEBOOK_BASE_URL")
_BACKFILL = "ALPACA_FILLS_BACKFILL_ENABLED"
"""What compose hands on from ``.env``: a container is made with it or does not have it."""

_MAKEFILE = """
up-dev:
\tdocker compose --profile dev --profile workers up --detach --build
"""

_MAKE_KEYS = '''
"""In the place of the platform's script of this name: a pair is made where there is none."""
import os, pathlib, subprocess
folder = pathlib.Path("apps/web_console_ng/certs")
key, public = folder / "jwt_private.key", folder / "jwt_public.pem"
os.umask(0o077)
if not key.exists():
    size = "rsa_keygen_bits:2048"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", size, "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
'''

_PAPER_RUN = '''
"""In the place of the platform's script of this name: it asks the orchestrator for a run and keeps it."""
import json, pathlib, sys, urllib.request
url = next(line for line in open(".env") if line.startswith("ORCHESTRATOR_URL=")).split("=", 1)[1].strip()
body, header = json.dumps({"symbols": ["AAPL"]}).encode(), {"Content-Type": "application/json"}
request = urllib.request.Request(f"{url}/api/v1/orchestration/run", body, header)
with urllib.request.urlopen(request, timeout=60) as answer:
    run = json.load(answer)
pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text(json.dumps(run))
print("run", run["status"])
'''

_FILES = {
    "Makefile": _MAKEFILE,
    "scripts/ops/ensure_web_console_jwt_keys.py": _MAKE_KEYS,
    "scripts/ops/paper_run.py": _PAPER_RUN,
    "pyproject.toml": (
        '[tool.poetry]\nname = "trading-platform"\nversion = "1.0.0"\ndescription = ""\nauthors = []\n'
        '[tool.poetry.dependencies]\npython = "^3.9"\n'
    ),
    "poetry.toml": "[virtualenvs]\ncreate = false\n",
}


@dataclass
class Platform:
    """The running project beside the demo whose HTTP services stand for the applications'."""

    project: Project
    home: Path
    postgres: int
    redis: int
    programs: Path

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """The rows the database in the container answers."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as link:
            answer = link.execute(text.encode())
            return answer.fetchall() if answer.description else []

    @property
    def dsn(self) -> str:
        return f"postgresql://trader@127.0.0.1:{self.postgres}/trader"

    def keys(self) -> redis.Redis:
        return redis.Redis(port=self.redis, decode_responses=True)

    def begin(self, demo: DemoWorld) -> None:
        """The infrastructure, up, with the demo's tables and safety keys in its new stores; it is halted."""
        self.up()
        _fill(self, demo)

    def up(self) -> None:
        """The infrastructure, up, whatever its stores hold; both answer."""
        self.project.compose("up", "--detach")
        self._ready()

    def _ready(self) -> None:
        import psycopg

        def answer() -> bool:
            try:
                psycopg.connect(f"{self.dsn.removesuffix('trader')}postgres", connect_timeout=2).close()
                return bool(self.keys().ping())
            except (psycopg.OperationalError, redis.ConnectionError):
                return False

        wait_until(answer, 30, "the stores' answer")

    def config(self, demo: DemoWorld) -> str:
        """The demo's config with engine, stores and checkout of the project in the place of its own."""
        text = demo.config.read_text()
        for there, here in (
            (f'"{demo["docker"]}"', f'"{self.project.engine.url}"'),
            (f"redis://127.0.0.1:{urlsplit(demo['redis']).port}/", f"redis://127.0.0.1:{self.redis}/"),
            (f"127.0.0.1:{urlsplit(demo['postgres']).port}/trader", f"127.0.0.1:{self.postgres}/trader"),
            (f"file://{demo.config.parent}/checkout", f"file://{self.project.folder}"),
        ):
            assert there in text, there
            text = text.replace(there, here)
        return text


@contextmanager
def platform(engine: DockerEngine, demo: DemoWorld) -> Iterator[Platform]:
    """The infrastructure, up, with the demo's tables and safety keys in its stores; trading is halted."""
    home = make_home("platform")
    folder = home / NAME
    it = Platform(Project(NAME, folder, engine), home, free_port(), free_port(), programs())
    _write(it, demo)
    try:
        it.begin(demo)
        yield it
    finally:
        it.project.clear()
        drop_home(home)


def _write(it: Platform, demo: DemoWorld) -> None:
    folder = it.project.folder
    shutil.copytree(demo.config.parent / "checkout", folder, symlinks=True)
    shutil.rmtree(folder / "backups")  # those of the demo's own database
    (folder / "backups").mkdir()
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with (folder / ".env").open("a") as env:
        env.write(f"FEATURE_ALPHA_EXPLORER=true\nORCHESTRATOR_URL={demo['http']['orchestrator']}\n")
    for app in (*DEV, *WORKERS):
        (folder / "apps" / app).mkdir(parents=True, exist_ok=True)
        (folder / "apps" / app / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY code /code\n")
        (folder / "apps" / app / "code").write_text(f"{app} 1\n")
    (folder / "docker-compose.yml").write_text(json.dumps(_compose(it), indent=1))


def _compose(it: Platform) -> dict[str, Any]:
    services: dict[str, Any] = {name: service(name=f"{NAME}_{name}") for name in INFRASTRUCTURE}
    for profile, names in (("dev", DEV), ("workers", WORKERS)):
        for name in names:
            services[name] = service(
                profile=profile, build=f"apps/{name}", check="true" if name in _CHECKED else None,
                name=f"{NAME}_{name}" if profile == "dev" else None,
            )  # fmt: skip
    handed = {name: f"${{{name}:-}}" for name in _HANDED}
    services["web_console_dev"]["environment"] = {name: f"${{{name}:?}}" for name in _WANTED} | handed
    services["execution_gateway"]["environment"] = {_BACKFILL: f"${{{_BACKFILL}:-}}"}
    services["postgres"] |= postgres_service("trader", it.postgres, "pgdata") | {"network_mode": "host"}
    services["redis"] |= redis_service(it.redis, "redisdata") | {"network_mode": "host"}
    stores = {name: {"condition": "service_healthy"} for name in ("postgres", "redis")}
    services["execution_gateway"]["depends_on"] = services["signal_service"]["depends_on"] = stores
    return {"services": services, "volumes": {"pgdata": {}, "redisdata": {}}}


def _fill(it: Platform, demo: DemoWorld) -> None:
    there = urlsplit(demo["postgres"])
    env = {"PATH": os.environ["PATH"], "HOME": str(it.home), "PGHOST": "127.0.0.1", "PGUSER": "trader"}

    def tool(name: str, port: int | None, *words: str, given: bytes | None = None) -> bytes:
        argv = [it.programs / "bin" / name, "-p", str(port), *words]
        done = subprocess.run(argv, env=env, input=given, capture_output=True, check=True, timeout=60)
        return done.stdout

    dump = tool("pg_dump", there.port, "--create", "trader")
    tool("psql", it.postgres, "--quiet", "postgres", given=dump)
    with redis.Redis.from_url(demo["redis"], decode_responses=True) as theirs, it.keys() as ours:
        for key in ("kill_switch:state", "circuit_breaker:state"):
            state = json.loads(str(theirs.get(key)))
            if key.startswith("kill"):
                state |= {"state": "ENGAGED"}
            ours.set(key, json.dumps(state))
