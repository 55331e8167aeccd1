"""A proxy that passes bytes on and writes down what was asked: Redis commands, HTTP requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REDIS_READS = frozenset(
    [
        "acl", "auth", "client", "command", "config", "dbsize", "discard", "echo", "exec", "exists", "get",
        "getrange", "hello", "hget", "hgetall", "hkeys", "hlen", "hmget", "hscan", "hstrlen", "info",
        "lastsave", "lindex", "llen", "lrange", "memory", "mget", "multi", "object", "pexpiretime", "ping",
        "pttl", "quit", "scan", "scard", "select", "sismember", "slowlog", "smembers", "sscan", "strlen",
        "time", "ttl", "type", "xinfo", "xlen", "xpending", "xrange", "xread", "xrevrange", "zcard",
        "zcount", "zrange", "zrangebyscore", "zrevrange", "zscan", "zscore",
    ]
)  # fmt: skip
"""Commands that cannot change data by themselves. Anything else counts as a write."""

SHOWN = 80
"""Bytes of each word that are kept: scripts are long and failures are read by people."""

_READS_OF = {
    "acl": {"whoami", "getuser", "list", "dryrun", "cat"},
    "client": {"setname", "setinfo", "getname", "id", "info", "maint_notifications"},
    "config": {"get"},
    "memory": {"usage", "stats"},
    "object": {"encoding", "idletime", "freq", "refcount"},
    "slowlog": {"get", "len"},
    "xinfo": {"stream", "groups", "consumers"},
    "command": {"docs", "info", "count", "list"},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request seen on the wire."""

    at: float
    """``time.monotonic()`` when its first line was complete."""
    words: tuple[str, ...]
    """A Redis command, lower case; or method and target of an HTTP request."""

    @property
    def is_write(self) -> bool:
        name = self.words[0]
        if name.isupper():
            return name not in ("GET", "HEAD", "OPTIONS")
        if name in _READS_OF:
            return len(self.words) < 2 or self.words[1] not in _READS_OF[name]
        return name not in REDIS_READS


@dataclass
class Recorder:
    """Listens on ``address`` until ``stop``; ``asked`` grows in the order of arrival."""

    listener: socket.socket
    target: str | tuple[str, int]
    parser: Callable[[], Callable[[bytes], list[tuple[str, ...]]]]
    path: str | None = None
    """The unix socket it listens on, if it does."""
    asked: list[Asked] = field(default_factory=list)
    _is_open: bool = True

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def writes(self) -> list[Asked]:
        return [one for one in list(self.asked) if one.is_write]

    def stop(self) -> None:
        self._is_open = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.path is not None:
            Path(self.path).unlink(missing_ok=True)

    def accept_loop(self) -> None:
        while self._is_open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            family = socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET
            server = socket.socket(family, socket.SOCK_STREAM)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            note = self._note(self.parser())
            threading.Thread(target=_pump, args=(client, server, note), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, None), daemon=True).start()

    def _note(self, parse: Callable[[bytes], list[tuple[str, ...]]]) -> Callable[[bytes], None]:
        def note(data: bytes) -> None:
            now = time.monotonic()
            self.asked += [Asked(now, words) for words in parse(data)]

        return note


def record_redis(port: int) -> Recorder:
    """A recorder on a free loopback port in front of the Redis on ``port``."""
    listener = socket.create_server(("127.0.0.1", 0))
    return _started(Recorder(listener, ("127.0.0.1", port), resp_parser))


def record_http(target: str | tuple[str, int], path: str | None = None) -> Recorder:
    """A recorder in front of an HTTP server: on the unix socket ``path``, or on a free loopback port."""
    if path is None:
        return _started(Recorder(socket.create_server(("127.0.0.1", 0)), target, http_parser))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    return _started(Recorder(listener, target, http_parser, path=path))


def resp_parser() -> Callable[[bytes], list[tuple[str, ...]]]:
    """Feed it what a Redis client sends; it gives whole commands, in lower case."""
    rest = bytearray()

    def feed(data: bytes) -> list[tuple[str, ...]]:
        rest.extend(data)
        commands = []
        while (parsed := _one_command(rest)) is not None:
            words, size = parsed
            del rest[:size]
            commands.append(words)
        return commands

    return feed


def http_parser() -> Callable[[bytes], list[tuple[str, ...]]]:
    """Feed it what an HTTP/1.1 client sends; it gives method and target of each request."""
    rest = bytearray()
    skip = 0

    def feed(data: bytes) -> list[tuple[str, ...]]:
        nonlocal skip
        rest.extend(data)
        requests: list[tuple[str, ...]] = []
        while True:
            if skip:
                gone = min(skip, len(rest))
                del rest[:gone]
                skip -= gone
            end = rest.find(b"\r\n\r\n")
            if skip or end < 0:
                return requests
            head = bytes(rest[:end]).decode("latin-1").split("\r\n")
            del rest[: end + 4]
            method, target, _ = head[0].split(" ", 2)
            requests.append((method, target))
            for line in head[1:]:
                name, _, value = line.partition(":")
                if name.strip().lower() == "content-length":
                    skip = int(value)

    return feed


def _one_command(data: bytearray) -> tuple[tuple[str, ...], int] | None:
    """The first whole command and its length in bytes; None while it is incomplete."""
    end = data.find(b"\r\n")
    if end < 0:
        return None
    if data[:1] != b"*":
        return tuple(data[:end].decode("latin-1").lower().split()) or ("",), end + 2
    words, at = [], end + 2
    for _ in range(int(data[1:end])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at + 1 : end])
        at = end + 2 + size + 2
        if at > len(data):
            return None
        words.append(bytes(data[at - 2 - size : at - 2][:SHOWN]).decode("latin-1").lower())
    return tuple(words), at


def _started(recorder: Recorder) -> Recorder:
    threading.Thread(target=recorder.accept_loop, daemon=True).start()
    return recorder


def _pump(source: socket.socket, sink: socket.socket, note: Callable[[bytes], None] | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if note is not None:
                note(data)
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
