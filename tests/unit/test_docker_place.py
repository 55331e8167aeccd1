"""Where an engine is, as the docker and ssh commands of this host would find it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from backends.docker_place import PlaceError, connect
from backends.model.fact import SourceError
from backends.model.stack import Source, SourceKind
from backends.readers.docker_client import DockerClient
from backends.ssh_tunnel import Tunnel, TunnelError
from tests.contract.names import NAME, NEW, OLD, told_names
from tests.servers.process import wait_until


def source(url: str) -> Source:
    return Source("docker", SourceKind.DOCKER, "Docker", url, every=1.0, deadline=1.0)


def keep(folder: Path, name: str, told: Any) -> None:
    """What ``docker context create`` writes; config.json comes with a login, and not before."""
    place = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    place.parent.mkdir(parents=True)
    place.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")


def leading_to(host: str) -> dict[str, Any]:
    return {"Name": "desk", "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}


def test_a_context_is_found_without_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    keep(tmp_path, "desk", leading_to("tcp://10.0.0.1:2375"))
    assert connect(source("context://desk"), 1.0).base_url == "http://10.0.0.1:2375"


def test_a_context_of_another_folder_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "ours"))
    monkeypatch.setenv("HOME", str(tmp_path))
    keep(tmp_path / "ours", "desk", leading_to("tcp://10.0.0.1:2375"))
    keep(tmp_path / ".docker", "desk", leading_to("tcp://10.9.9.9:2375"))
    (tmp_path / ".docker" / "config.json").write_text("{}", encoding="utf-8")
    assert connect(source("context://desk"), 1.0).base_url == "http://10.0.0.1:2375"


@pytest.mark.parametrize("told", ["{", "[]", {"Name": "desk"}, leading_to("")])
def test_a_context_that_leads_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    keep(tmp_path, "desk", told)
    with pytest.raises(PlaceError, match="the Docker context desk names no engine"):
        connect(source("context://desk"), 1.0)
    with pytest.raises(PlaceError, match="there is no Docker context other; see docker context ls"):
        connect(source("context://other"), 1.0)


def test_a_host_keeps_the_capitals_by_which_ssh_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\necho over >&2\nexit 1\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for url, host in (("ssh://Trading-1", "Trading-1"), ("ssh://ops@[FE80::1]:22/run/d.sock", "FE80::1")):
        with pytest.raises(PlaceError, match="over"):
            connect(source(url), 5.0)
        assert (tmp_path / "words").read_text().splitlines()[-3:] == ["--", host, "cat"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ops@jump: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", "publickey"),
        (
            "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n"
            "kex_exchange_identification: Connection closed by remote host\n"
            "Connection closed by UNKNOWN port 65535",
            "No route to host",
        ),
        ("Connection closed by UNKNOWN port 65535", "closed by UNKNOWN"),
    ],
)
def test_of_a_way_over_another_machine_it_is_said_what_ended_it_and_not_only_that_it_ended(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "{said}" >&2\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TunnelError, match=told):
        Tunnel("ssh://far", 5.0)


@pytest.fixture
def stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh whose way stands at once, and leads nowhere."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\necho once >> "$0.ran"\n'
        'for word; do case "$word" in *:/var/run/*) : > "${word%%:*}";; esac; done\nexec cat\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_way_that_was_closed_can_still_be_asked_what_ended_it(stands: None) -> None:
    way = Tunnel("ssh://far", 5.0)
    assert way.trouble() is None
    way.close()
    assert way.trouble() == "ssh ended without a word"


async def test_a_host_whose_name_was_told_late_is_still_left_when_the_name_is_moved(
    stands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = told_names(monkeypatch)
    told, ask = threading.Event(), socket.getaddrinfo

    def slow(*asked: Any, **more: Any) -> Any:
        told.wait(20)
        return ask(*asked, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(DockerClient, "agree", lambda _: None)
    client = DockerClient(source(f"ssh://{NAME}"), 5.0)
    assert client.place[1] is None
    told.set()
    wait_until(lambda: client.place[1] == OLD, 10, "the address")

    names.place = (NEW, 0)
    await client.follow()
    with pytest.raises(SourceError):
        client.get("/info")
    assert (tmp_path / "ssh.ran").read_text().count("once") == 2
    client.close()


def test_of_one_host_the_name_server_is_asked_once_at_a_time_for_a_dead_one_keeps_each_who_asks(
    stands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    told = threading.Event()

    def slow(host: str, *_: Any, **__: Any) -> Any:
        if host.endswith(".once"):  # others may still be asked for by what ran before
            asked.append(host)
        told.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    ways = [Tunnel(f"ssh://{host}", 5.0) for host in ("far.once", "near.once", "far.once", "far.once")]
    told.set()
    wait_until(lambda: all(way.address == "10.0.0.1" for way in ways), 10, "the addresses")
    for way in ways:
        way.close()
    assert sorted(asked) == ["far.once", "near.once"]

    later = Tunnel("ssh://far.once", 5.0)
    wait_until(lambda: later.address, 10, "the address")
    later.close()
    assert sorted(asked) == ["far.once", "far.once", "near.once"]
