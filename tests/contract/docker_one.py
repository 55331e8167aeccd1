"""One container of its own for a test: on a real engine, and on the demo's."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import STDERR, LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Executed, Idle, Load, Mount
from backends.demo.dockerd.store import Volume
from backends.demo.port import HttpPort
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until

NAME = "cr-one"
SCRIPT = (
    "echo kept > /tmp/kept; echo INFO began; echo 'ERROR lost 3 of 8' >&2; echo INFO went on; exec sleep 1000"
)
ENV = ("MODE=paper", "API_PASSWORD=hunter2")
BOTH = ("engine", "facade")


@dataclass
class One:
    """An engine with the container ``NAME`` of project ``cr``, which printed three lines, and is checked.

    It mounts the volume ``cr-kept``; nothing mounts ``cr-orphan``.
    """

    url: str
    image: str
    network: str
    client: Any
    """A ``docker.DockerClient`` to look and act with."""


@contextmanager
def one_container(which: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[One]:
    """The container, and the engine of that kind."""
    make = _on_engine if which == "engine" else _on_facade
    with make(request, folder) as one:
        yield one


@contextmanager
def _on_engine(request: pytest.FixtureRequest, _folder: Path) -> Iterator[One]:
    engine: DockerEngine = request.getfixturevalue("docker_engine")
    check = {"test": ["CMD", "echo", "fine"], "interval": 10**9, "timeout": 5 * 10**9}
    kept = {"cr-kept": {"bind": "/kept", "mode": "ro"}}
    made = engine.run(NAME, SCRIPT, environment=list(ENV), healthcheck=check, volumes=kept)
    engine.client.volumes.create("cr-orphan")
    try:
        wait_until(lambda: engine.health(NAME) == "healthy", 10, "its first check")
        yield One(engine.url, "controlroom-test:1", "none", engine.client)
    finally:
        made.remove(force=True)
        for name in ("cr-kept", "cr-orphan"):
            engine.client.volumes.get(name).remove()


@contextmanager
def _on_facade(_request: pytest.FixtureRequest, folder: Path) -> Iterator[One]:
    log = LogStore()
    container = ContainerSpec(
        "one", NAME, "controlroom-test:1", "sleep 1000", Load(1.0, 4096), Idle(),
        Check(("CMD", "echo", "fine")), project="cr", environment=ENV, log=log, execute=_busybox,
        mounts=(Mount("/kept", "cr-kept", is_writable=False),), archive=_archive,
    )  # fmt: skip
    simulated = Engine([container], 60.0, 7)
    simulated.store.volumes["cr-orphan"] = Volume("cr-orphan", 1, {})
    port = HttpPort(engine_app(simulated), folder / "docker.sock")

    async def begin() -> None:
        await simulated.boot(["one"])
        await simulated.containers[NAME].look_after(float("inf"))
        log.write([b"INFO began"])
        log.write([b"ERROR lost 3 of 8"], STDERR)
        log.write([b"INFO went on"])
        await port.open()

    async def end() -> None:
        await port.close()
        await simulated.close()

    with _loop() as run:
        run(begin())
        client = docker.DockerClient(base_url=port.url, version="1.41", timeout=20)
        try:
            yield One(port.url, "controlroom-test:1", "cr_default", client)
        finally:
            client.close()
            run(end())


@contextmanager
def _loop() -> Iterator[Any]:
    """An event loop in a thread of its own; what it gives runs a coroutine there to its end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="facade", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(20)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def _archive(path: str) -> bytes | None:
    """``/tmp`` and the one file in it."""
    if path not in ("/tmp", "/tmp/kept"):
        return None
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        if path == "/tmp":
            folder = tarfile.TarInfo("tmp")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
        member = tarfile.TarInfo("kept" if path == "/tmp/kept" else "tmp/kept")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"kept\n"))
    return out.getvalue()


async def _busybox(argv: Sequence[str]) -> Executed:
    """The few programs of the test image that are run."""
    match list(argv):
        case ["echo", *words]:
            return Executed(0, f"{' '.join(words)}\n".encode())
        case ["head", "-c", size, "/dev/zero"]:
            return Executed(0, bytes(int(size)))
        case ["cat", path]:
            return Executed(1, err=f"cat: can't open '{path}': No such file or directory\n".encode())
    return Executed(0)
