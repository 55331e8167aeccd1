"""What the platform's services write to their logs, in their formats."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from backends.demo.dockerd.log_store import STDERR, STDOUT, LogStore
from backends.demo.port import Asgi


class Voice:
    """The log of one service, written as its Python logger writes it."""

    def __init__(self, log: LogStore, logger: str) -> None:
        self._log = log
        self._logger = logger

    def debug(self, message: str) -> None:
        self._say("DEBUG", message)

    def info(self, message: str) -> None:
        self._say("INFO", message)

    def warning(self, message: str) -> None:
        self._say("WARNING", message)

    def error(self, message: str) -> None:
        self._say("ERROR", message)

    def critical(self, message: str) -> None:
        self._say("CRITICAL", message)

    def named(self, logger: str) -> Voice:
        """The same log under another logger's name."""
        return Voice(self._log, logger)

    def raw(self, line: bytes) -> None:
        """A line in whatever format its program uses."""
        self._log.write([line])

    def trace(self, *lines: str) -> None:
        """A traceback: lines without a head of their own."""
        self._log.write([line.encode() for line in lines], STDERR)

    def hearing(self, app: Asgi) -> Asgi:
        """``app`` with the access log uvicorn writes beside it."""

        async def heard(scope: Any, receive: Any, send: Any) -> None:
            async def noting(message: Any) -> None:
                if message["type"] == "http.response.start":
                    self._access(scope, message["status"])
                await send(message)

            await app(scope, receive, noting if scope["type"] == "http" else send)

        return heard

    def _access(self, scope: Any, status: int) -> None:
        host, port = scope.get("client") or ("127.0.0.1", 0)
        query = scope["query_string"].decode("latin-1")
        target = f"{scope['path']}?{query}" if query else scope["path"]
        phrase = HTTPStatus(status).phrase
        line = f'INFO:     {host}:{port} - "{scope["method"]} {target} HTTP/1.1" {status} {phrase}'
        self._log.write([line.encode("utf-8", "backslashreplace")], STDOUT)

    def _say(self, level: str, message: str) -> None:
        self._log.write([line_of(time.time(), self._logger, level, message).encode()], STDERR)


def line_of(at: float, logger: str, level: str, message: str) -> str:
    """``YYYY-MM-DD HH:MM:SS,mmm - logger - LEVEL - message``, in the container's time, which is UTC."""
    whole = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    return f"{whole},{int(at * 1000) % 1000:03d} - {logger} - {level} - {message}"
