"""The demo's servers find the ports they chose still free when they come to listen there."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backends.demo import process
from backends.demo.process import StartError, free_port

ROOT = Path(__file__).parents[2]


def test_a_port_is_given_once_and_never_to_an_outgoing_connection() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32_768
    assert all(1024 < port < lowest for port in ports)


def test_a_port_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    port = _only_one(monkeypatch)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(StartError):
            free_port()
    assert free_port() == port


def test_a_port_another_demo_was_given_is_not_given_before_it_listens_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = _only_one(monkeypatch)
    ask = (
        f"from backends.demo import process; process._PORTS = range({port}, {port + 1}); process.free_port()"
    )
    assert free_port() == port
    other = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "StartError" in other.stderr


def _only_one(monkeypatch: pytest.MonkeyPatch) -> int:
    """The one port that may be given now; nobody has it."""
    port = free_port()
    process._given.pop(port).close()
    monkeypatch.setattr(process, "_PORTS", range(port, port + 1))
    return port
