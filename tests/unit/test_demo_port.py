"""The demo's servers find the ports they chose still free when they come to listen there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from backends.demo import process
from backends.demo.process import StartError, free_port


def test_a_port_is_given_once_and_never_to_an_outgoing_connection() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32_768
    assert all(1024 < port < lowest for port in ports)


def test_a_port_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(process, "_PORTS", range(port, port + 1))
    monkeypatch.setattr(process, "_given", set())
    assert free_port() == port
    process._given.clear()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(StartError):
            free_port()
