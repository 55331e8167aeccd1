"""Clearing a log of Claire de Binare on a real engine: the log is gone, and nothing else of the stack is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.model.procedure import Verdict
from tests.conftest import started
from tests.contract.claire_room import ID, ClaireRoom
from tests.servers.claire_project import BASE, DEV, options, write_files
from tests.servers.compose import Project, need_compose, service
from tests.servers.demo import start_demo
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until
from tests.turns import DOCKER

pytestmark = DOCKER

UP = ("cdb_redis", "cdb_ws", "cdb_signal")
PRINTS = (
    "echo begun; i=0; test -e /said/$$0 && i=500; "
    "while test $$i -lt 500; do i=$$((i+1)); echo line $$i; done; : > /said/$$0; sleep 600"
)
"""Much when it runs for the first time, and a line whenever it begins."""


@pytest.fixture(scope="module")
def project(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three containers of the stack, two of which have printed something."""
    started("docker compose", need_compose)
    folder = tmp_path_factory.mktemp("checkout")
    it = Project("cdb-logs", folder, docker_engine, options())
    write(it)
    try:
        it.compose("up", "--detach", *UP)
        yield it
    finally:
        it.clear()


@pytest.fixture(scope="module")
def room(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaireRoom]:
    """A room of that project; all that is no container and no file of it is the demo's."""
    world = start_demo(ID)
    checkout = f"file://{world.config.parent}/checkout"
    text = world.config.read_text().replace(f'"{world["docker"]}"', f'"{project.engine.url}"')
    assert checkout in text and project.engine.url in text
    config = world.config.with_name("logs.toml")
    config.write_text(text.replace(f'"{checkout}"', f'"file://{project.folder}"'))
    config.chmod(0o600)
    made = ClaireRoom(world, tmp_path_factory.mktemp("state"), config)
    made.redis.xadd("stream.bot_shutdown", {"ts": "1", "reason": "by hand", "priority": "SAFETY"})
    yield made
    made.close()
    world.stop()


def write(it: Project) -> None:
    said = it.folder / "said"
    said.mkdir()

    def described(name: str) -> dict[str, Any]:
        talks = {"command": ["sh", "-c", PRINTS, name], "volumes": [f"{said}:/said"]}
        return service(name=name) | (talks if name in DEV else {})

    contents = {"base": BASE, "dev": DEV, "logging": ()}
    services = {name: {each: described(each) for each in names} for name, names in contents.items()}
    write_files(it.folder, {name: {"services": those} for name, those in services.items()})


def log_of(it: Project, name: str) -> Path:
    """The file of its log on the engine's host."""
    return Path(it.engine.client.api.inspect_container(name)["LogPath"])


def printed(it: Project, name: str) -> int:
    """Bytes of its log, once it has printed all that it will."""
    wait_until(lambda: b"line 500" in it.engine.client.api.logs(name), 10, f"{name} has printed")
    return log_of(it, name).stat().st_size


def untouched(it: Project) -> tuple[Any, ...]:
    """What must be as it was: every image, every volume, and the other containers with their logs."""
    others = {name: ident for name, ident in it.containers().items() if name != "cdb_ws"}
    images = sorted(image.id for image in it.engine.client.images.list(all=True))
    volumes = sorted(volume.name for volume in it.engine.client.volumes.list())
    return others, images, volumes, printed(it, "cdb_signal")


def test_one_log_is_gone_and_nothing_else_is(room: ClaireRoom, project: Project) -> None:
    size, log, others = printed(project, "cdb_ws"), log_of(project, "cdb_ws"), untouched(project)
    run = room.run("clear-log", "cdb_ws", service="cdb_ws", project=project.name)
    assert run.verdict is Verdict.VERIFIED, (run.sentence, run.blockers, run.steps)
    assert not log.exists()
    assert log_of(project, "cdb_ws").stat().st_size < size
    assert untouched(project) == others
