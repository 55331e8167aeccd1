"""An engine on another machine: over ssh with the system's own client, and by a context."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.config import load
from backends.docker_place import PlaceError, connect
from backends.logs.ring import LogRing
from backends.model.action import Command, DockerVerb
from backends.model.fact import SourceError
from backends.model.procedure import ReceiptKind, Step
from backends.model.stack import LogGrammar
from backends.readers.docker import DockerServiceReader
from backends.writers.command import CommandEffector
from backends.writers.docker import DockerEffector
from tests.conftest import started
from tests.contract.docker_place import poll_until, source, spec
from tests.contract.far_compose import project, start_redis
from tests.contract.names import NAME, NEW, told_names
from tests.servers.compose import need_compose
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until
from tests.servers.sshd import SshServer, start_sshd
from tests.turns import DOCKER

pytestmark = DOCKER


@pytest.fixture(scope="module")
def sshd() -> Iterator[SshServer]:
    server = started("sshd", start_sshd)
    yield server
    server.stop()


@pytest.fixture
def far(sshd: SshServer, docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine's address over ssh; the user's ssh configuration knows the key, and the host."""
    config = tmp_path / "ssh_config"
    config.write_text(
        f"IdentityFile {sshd.home / 'client'}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {tmp_path / 'known'}\nStrictHostKeyChecking accept-new\n"
        f"Host {NAME}\nHostName 127.0.0.1\n"
    )
    real = shutil.which("ssh")
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {real} -F {shlex.quote(str(config))} "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    wait_until(lambda: not tunnels(), 10, "the end of the tunnels of the test before")
    return f"ssh://127.0.0.1:{sshd.port}{docker_engine.socket}"


async def test_list_statistics_and_logs_come_over_ssh(far: str) -> None:
    ring = LogRing(LogGrammar(()))
    reader = DockerServiceReader(source(far, 6.0), [spec("cr-chatty")], logs=ring)
    try:
        await poll_until(reader, lambda found: found["cr-chatty"].usage.cpu is not None and ring.end > 5)
    finally:
        await reader.close()


def tunnels() -> list[int]:
    """The ssh processes that this one keeps."""
    told = subprocess.run(
        ["ps", "-o", "pid=,args=", "-ww", "--ppid", str(os.getpid())],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = (line.split() for line in told.stdout.splitlines())
    return [int(pid) for pid, *args in rows if "ServerAliveInterval=5" in args]


async def test_logs_come_again_when_the_way_over_ssh_ended(far: str) -> None:
    ring = LogRing(LogGrammar(()))
    reader = DockerServiceReader(source(far, 6.0), [spec("cr-chatty")], logs=ring)
    try:
        await poll_until(reader, lambda _: ring.end > 5)
        for ssh in tunnels():
            os.kill(ssh, signal.SIGKILL)
        with contextlib.suppress(SourceError):
            await reader.services()
        before = ring.end
        await poll_until(
            reader, lambda found: found["cr-chatty"].usage.cpu is not None and ring.end > before + 9
        )
    finally:
        await reader.close()


async def test_a_way_over_ssh_to_a_name_that_was_moved_is_made_anew(
    far: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order has a way of its own, which leads to the new machine."""
    names = told_names(monkeypatch)
    reader = DockerServiceReader(source(far.replace("127.0.0.1", NAME), 6.0), [spec("cr-chatty")])
    try:
        await poll_until(reader, lambda found: found["cr-chatty"].usage.cpu is not None)
        before = set(tunnels())
        await reader.services()
        assert set(tunnels()) == before
        names.place = (NEW, 0)
        await poll_until(reader, lambda _: len(tunnels()) == len(before) and not before & set(tunnels()))
    finally:
        await reader.close()


async def test_a_container_is_started_and_stopped_over_ssh(far: str, docker_engine: DockerEngine) -> None:
    container = docker_engine.run("cr-far", "sleep 600")
    try:
        effector = DockerEffector(source(far, 6.0), [spec("cr-far")])
        step = Step("stop", "Stop it", DockerVerb("docker", "stop", "cr-far", 1.0), (), 3.0, 3.0)
        receipt = await effector.act(step.action, {}, step)
        container.reload()
        assert (receipt.kind, container.status) == (ReceiptKind.DONE, "exited")
    finally:
        container.remove(force=True)


async def test_compose_acts_on_the_engine_over_ssh(
    far: str, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    started("docker compose", need_compose)
    user = far.replace("ssh://", f"ssh://{getpass.getuser()}@")
    with project(tmp_path, docker_engine) as it:
        receipt = await start_redis(it, f'url = "{user}"')
        assert (receipt.kind, it.running()) == (ReceiptKind.DONE, {"redis"}), receipt.after


def test_the_tunnel_ends_with_its_client(far: str) -> None:
    api = connect(source(far), 6.0)
    assert api.ping()
    socket = Path(str(api._custom_adapter.socket_path))
    api.close()
    del api
    assert not socket.exists()


async def test_a_socket_that_is_not_on_the_other_machine_is_told_and_keeps_no_ssh(
    far: str, docker_engine: DockerEngine
) -> None:
    nowhere = far.replace(str(docker_engine.socket), "/run/nowhere.sock")
    reader = DockerServiceReader(source(nowhere, 6.0), [spec("cr-chatty")])
    with pytest.raises(SourceError, match="on the other machine is not there, or this user may not open it"):
        await reader.services()
    assert not tunnels()
    await reader.close()


async def test_a_machine_that_nobody_answers_for_is_named_by_ssh_itself(far: str) -> None:
    reader = DockerServiceReader(source("ssh://127.0.0.1:1"), [spec("cr-chatty")])
    with pytest.raises(SourceError, match=r"ssh: .*(refused|port 1)"):
        await reader.services()
    await reader.close()


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_engine: DockerEngine) -> None:
    """A context named ``desk`` that leads to the engine, made by the docker command itself."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    (tmp_path / "config.json").write_text("{}")
    docker = shutil.which("docker")
    if docker is None:
        pytest.fail("the docker command is not installed")
    subprocess.run(
        [docker, "context", "create", "desk", "--docker", f"host={docker_engine.url}"],
        check=True, capture_output=True, timeout=20,
    )  # fmt: skip


async def test_a_context_leads_to_its_engine(contexts: None) -> None:
    reader = DockerServiceReader(source("context://desk"), [spec("cr-healthy")])
    try:
        found = await reader.services()
        assert found["cr-healthy"] is not None
    finally:
        await reader.close()


async def test_compose_acts_on_the_engine_of_a_context(
    contexts: None, tmp_path: Path, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started("docker compose", need_compose)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # would outrank the context if it were handed on
    with project(tmp_path, docker_engine) as it:
        receipt = await start_redis(it, 'url = "context://desk"')
        assert (receipt.kind, it.running()) == (ReceiptKind.DONE, {"redis"}), receipt.after


async def test_what_acts_on_this_machine_is_not_run_for_an_engine_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where this test fails, it must find no systemctl
    config = tmp_path / "config.toml"
    config.write_text('[stack.claire-de-binare.source.docker]\nurl = "ssh://ops@far"\n')
    (stack,) = load(config, env={"HOME": str(tmp_path)}).stacks
    (step,) = stack.procedures["docker-daemon"].steps
    assert isinstance(step.action, Command)
    receipt = await CommandEffector([step.action], str).act(step.action, {}, step)
    assert receipt.kind is ReceiptKind.FAILED
    assert receipt.text == "acts on this machine, but Docker is at ssh://far; nothing was run"


def test_a_context_that_is_not_there_is_named(contexts: None) -> None:
    with pytest.raises(PlaceError, match="there is no Docker context nowhere"):
        connect(source("context://nowhere"), 1.0)
