"""A name server that a test can make say something else, for everything in this process."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from backends import whereabouts

NAME = "desk.test"
OLD, NEW = "127.0.0.1", "127.0.0.2"


class Names:
    """What the name server says of NAME."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.place: tuple[str, int] | None = place


def told_names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Says where NAME leads; each lookup is a new one, and waited for however busy the machine is."""
    told, ask = Names((OLD, 0)), socket.getaddrinfo

    def look(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in (NAME, NAME.encode()):
            return ask(host, port, *rest, **more)
        if told.place is None:
            raise socket.gaierror("no answer")
        address, own = told.place
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, own or port))]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(whereabouts, "EVERY", 0.0)
    monkeypatch.setattr(whereabouts, "PATIENCE", 10.0)
    return told
