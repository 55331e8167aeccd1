"""The two containers with real servers inside: Redis behind its front, and PostgreSQL."""

from __future__ import annotations

import signal

import psycopg
from redis.exceptions import RedisError

from backends.demo.postgres_server import PostgresServer
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer


class RedisWork:
    """Stopping the container stops the server; the room's port is closed with it."""

    def __init__(self, server: RedisServer, front: RedisFront) -> None:
        self._server = server
        self._front = front
        self._pinger = server.client()

    async def start(self) -> None:
        await self._server.start()
        await self._front.open()

    async def stop(self, how: signal.Signals) -> None:
        await self._front.close()
        await self._server.stop(how)

    def freeze(self, is_on: bool) -> None:
        if is_on:
            self._server.pause()
        else:
            self._server.resume()

    async def check(self) -> tuple[bool, str]:
        try:
            await self._pinger.ping()
        except RedisError as error:
            return False, f"Could not connect to Redis: {error}"
        return True, "PONG\n"


class PostgresWork:
    """Stopping the container stops the server; its data stays."""

    def __init__(self, server: PostgresServer, dsn: str = "") -> None:
        """``dsn`` is what its health check connects to; else the platform's own database."""
        self._server = server
        self._dsn = dsn or server.dsn("trader", "trader")

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, how: signal.Signals) -> None:
        # SIGTERM would wait for the clients; the platform's image stops with SIGINT for the same reason.
        await self._server.stop(signal.SIGKILL if how == signal.SIGKILL else signal.SIGINT)

    def freeze(self, is_on: bool) -> None:
        if is_on:
            self._server.pause()
        else:
            self._server.resume()

    async def check(self) -> tuple[bool, str]:
        try:
            link = await psycopg.AsyncConnection.connect(self._dsn, connect_timeout=2)
        except psycopg.OperationalError:
            return False, f"127.0.0.1:{self._server.port} - no response\n"
        await link.close()
        return True, "127.0.0.1:5432 - accepting connections\n"
