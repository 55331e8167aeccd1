"""A proxy before Docker's socket that lets only reading through, as those made of HAProxy answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.recorder import http_parser

FORBIDDEN = (
    b"HTTP/1.0 403 Forbidden\r\nCache-Control: no-cache\r\nConnection: close\r\n"
    b"Content-Type: text/html\r\n\r\n"
    b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
)
"""Word for word what HAProxy sends for ``http-request deny``."""


@contextmanager
def read_only(target: str, path: Path) -> Iterator[str]:
    """The URL of the proxy, on the unix socket ``path``; ``target`` is Docker's own, likewise."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(64)
        thread = threading.Thread(
            target=_accept, args=(listener, target.removeprefix("unix://")), daemon=True
        )
        thread.start()
        yield f"unix://{path}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5.0)


def _accept(listener: socket.socket, target: str) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(target)
        threading.Thread(target=_questions, args=(client, server), daemon=True).start()
        threading.Thread(target=_answers, args=(server, client), daemon=True).start()


def _questions(client: socket.socket, server: socket.socket) -> None:
    parse = http_parser()
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            if any(method not in ("GET", "HEAD") for method, _ in parse(data)):
                client.sendall(FORBIDDEN)
                break
            server.sendall(data)
    _end(client, server)


def _answers(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)
    _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
