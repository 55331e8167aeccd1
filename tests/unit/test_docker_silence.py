"""A stream of Docker's over the network ends when its host has vanished without a word."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from backends.model.stack import Source, SourceKind
from backends.readers import docker_client
from backends.readers.docker_client import DockerClient
from tests.conftest import need

_VANISH = 19
"""TCP_REPAIR: a connection that is closed in it says nothing to the other end. Only Linux, and only root."""
_ABOUT = b'{"ApiVersion": "1.41"}'


class Engine:
    """Says its version, and then nothing."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._door.accept()
            except OSError:
                return
            self.open.append(link)
            if b"/version" in link.recv(4096):
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_ABOUT)}\r\n\r\n"
                link.sendall(head.encode() + _ABOUT)

    def vanish(self) -> None:
        for link in self.open:
            try:
                link.setsockopt(socket.IPPROTO_TCP, _VANISH, 1)
            except OSError as error:
                need("root of Linux, who can make a connection vanish", error)
            link.close()

    def close(self) -> None:
        self._door.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    it = Engine()
    yield it
    it.close()


def client(engine: Engine) -> DockerClient:
    return DockerClient(
        Source("docker", SourceKind.DOCKER, "Docker", engine.url, every=1.0, deadline=2.0), 2.0
    )


def test_a_log_of_a_host_that_vanished_breaks_and_does_not_look_quiet(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_client, "ALIVE", {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1})
    wire = client(engine).open("/containers/abc/logs", {"follow": "1"})
    until = time.monotonic() + 5
    while len(engine.open) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    engine.vanish()
    while True:
        try:
            assert wire.recv(1) == b"", "what has vanished says nothing"
        except BlockingIOError:
            assert time.monotonic() < until, "it is still waited for"
            time.sleep(0.05)
        except OSError:
            break
        else:
            break
    wire.close()


def test_half_a_minute_of_silence_is_enough(engine: Engine) -> None:
    wire = client(engine).open("/events", {})
    assert isinstance(wire, socket.socket)
    assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    said = docker_client.ALIVE
    assert said["TCP_KEEPIDLE"] + said["TCP_KEEPINTVL"] * said["TCP_KEEPCNT"] <= 30
    wire.close()
