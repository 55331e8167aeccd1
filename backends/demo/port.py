"""One HTTP server on its own address that can be closed and opened again, like the process it stands for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from backends.demo.course import end
from backends.demo.process import free_port

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class HttpPort:
    """A loopback TCP port, or a unix socket, that answers with an ASGI application while it is open."""

    def __init__(self, app: Asgi, path: Path | None = None) -> None:
        self._app = app
        self._path = path
        self.port = 0 if path else free_port()
        self._server: uvicorn.Server | None = None
        self._is_moving = asyncio.Event()
        self._is_moving.set()

    @property
    def url(self) -> str:
        return f"unix://{self._path}" if self._path else f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Listen; nothing happens when it does already."""
        if self._server is not None:
            return
        config = uvicorn.Config(
            self._enter, interface="asgi3", http="h11", ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, timeout_keep_alive=120,
        )  # fmt: skip
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Not serve(): its loop wakes ten times a second for each server, and takes the signals.
        await server.startup(sockets=[self._socket()])
        self._server = server

    async def close(self) -> None:
        """Stop listening and break every connection, as the end of a process does."""
        server, self._server = self._server, None
        if server is None:
            return
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            if transport := getattr(connection, "transport", None):
                transport.abort()
        await end(*server.server_state.tasks)

    def freeze(self, is_on: bool) -> None:
        """Accept but answer nothing, as a paused process does; or go on."""
        if is_on:
            self._is_moving.clear()
        else:
            self._is_moving.set()

    async def _enter(self, scope: Any, receive: Any, send: Any) -> None:
        await self._is_moving.wait()
        await self._app(scope, receive, send)

    def _socket(self) -> socket.socket:
        if self._path is None:
            listener = socket.create_server(("127.0.0.1", self.port))
        else:
            self._path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(self._path))
            self._path.chmod(0o600)
        listener.setblocking(False)
        return listener
