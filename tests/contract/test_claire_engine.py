"""What Claire de Binare has for when all else failed, each to its verdict: back to the images of the latest
tag, and a new start of the Docker Engine itself, by a real systemd.

The unit stands in for ``docker.service``: the engine it starts and ends is a real one, but it runs beside
systemd's namespaces, which hold none.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import started
from tests.contract.claire_scene import BACKUP, BY_HAND, HALT, Scene, claire_scene
from tests.servers.claire_project import BASE, DEV, LOGGING
from tests.servers.docker import DockerEngine, start_docker
from tests.servers.process import drop_home, make_home, wait_until
from tests.servers.systemd import Systemd, start_systemd
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]

TAG = "20260117-101500"
UNIT = "docker.service"
_UNIT: Final = "[Service]\nType=notify\nExecStart={python} -IS {script}\n"
_SERVICE: Final = '''
"""Has the engine begin, says when it answers, and has it end when it is told to end itself."""
import os, pathlib, signal, socket
keeper = socket.socket(socket.AF_UNIX)
keeper.connect(str(pathlib.Path(__file__).with_name("keeper")))
signal.signal(signal.SIGTERM, lambda *_: keeper.shutdown(socket.SHUT_WR))
assert keeper.recv(1) == b"+"
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
keeper.recv(1)
'''


class Keeper:
    """Begins and ends the engine for whoever connects: it runs from the connection to its end."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self._engine = engine
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / "keeper"))
        self._door.listen()
        self.starts = 0
        self.is_over = False
        """Whether the engine is left as it is from now on, whatever becomes of the connection."""
        # For good: the engine that a thread began would end with it.
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        while True:
            visitor, _ = self._door.accept()
            with visitor:
                if not self._engine.child.is_running:
                    self._engine.begin_daemon()
                self.starts += 1
                visitor.send(b"+")
                visitor.recv(1)
                if not self.is_over:
                    self._engine.end_daemon()


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """One of the module's own: it is ended while containers of its run."""
    engine = started("docker engine", start_docker)
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def scene(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claire_scene(engine, tmp_path_factory.mktemp("state")) as scene:
        scene.verify("backup", backup=BACKUP)
        yield scene


@contextmanager
def _service(engine: DockerEngine) -> Iterator[tuple[Keeper, Systemd]]:
    """The engine as a unit of a systemd, whose programs are the first that are found here."""
    home = make_home("unit")
    script = home / "service.py"
    script.write_text(_SERVICE)
    keeper = Keeper(engine, home)
    python = Path(sys.executable).resolve()
    unit = _UNIT.format(python=python, script=script)
    systemd = None
    try:
        folders = [Path(sys.base_prefix)]
        systemd = started(
            "systemd", lambda: start_systemd({UNIT: unit}, begin=[UNIT], shown=folders, shared=[home])
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(systemd.programs), prepend=":")
            yield keeper, systemd
    finally:
        keeper.is_over = True
        if systemd is not None:
            systemd.stop()
        drop_home(home)


def test_the_images_that_were_tagged_last_run_again(scene: Scene) -> None:
    scene.verify("tag", tag=TAG)
    scene.roll_back("rollback-latest")


def test_the_engine_is_started_anew_by_systemd_and_all_comes_up_halted(
    scene: Scene, engine: DockerEngine
) -> None:
    before = scene.it.project.containers()
    with _service(engine) as (keeper, systemd):
        process, starts = engine.child.pid, keeper.starts
        scene.verify("docker-daemon", "RESUME")
        assert engine.child.pid != process
        assert keeper.starts == starts + 1
        assert systemd.run("systemctl", "is-active", UNIT).stdout == "active\n"
        wait_until(lambda: scene.it.project.running() == {*BASE, *DEV, *LOGGING}, 60, "all containers")
        assert scene.it.project.containers() == before, "the same ones"
        with scene.it.bus() as bus:
            assert next(fields["reason"] for _, fields in bus.xrange(HALT)) == BY_HAND["reason"]
        assert scene.sql("SELECT count(*) FROM orders") == [(1,)]
