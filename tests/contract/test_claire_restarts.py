"""The procedures of Claire de Binare that take its whole project down, up, or both, each to its verdict by
command: the real ``docker compose`` on a real engine with real stores.

One story: each test goes on where the one before it ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from tests.contract.claire_room import ID
from tests.contract.claire_scene import BACKUP, Scene, claire_scene
from tests.servers.claire_project import BASE, DEV, LOGGING, NAME, Claire
from tests.servers.docker import IMAGE, DockerEngine
from tests.terminal.hands import options
from tests.terminal.planned import Operator, alone
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]

ALL = {*BASE, *DEV, *LOGGING}
LONGEST = 600.0
"""Seconds that nineteen containers may take to be made anew."""


@dataclass
class Shift:
    """The project, and an operator at the command line."""

    scene: Scene
    operator: Operator

    @property
    def it(self) -> Claire:
        return self.scene.it

    def verify(self, procedure: str, **params: str) -> None:
        report, done = self.operator.perform(procedure, *options(params))
        assert report["blockers"] == [], (procedure, report["blockers"])
        assert done.returncode == 0, f"{procedure}: {done.stdout}{done.stderr}"
        assert done.stdout.splitlines()[-1].startswith("VERIFIED: "), f"{procedure}: {done.stdout}"

    @contextmanager
    def remade(self, of: set[str]) -> Iterator[None]:
        """What is done meanwhile makes the containers of these services anew, and all run afterwards."""
        before, volumes = self.it.project.containers(), self.it.project.volumes()
        yield
        after = self.it.project.containers()
        assert {name for name in ALL if after[name] != before.get(name)} == of
        assert self.it.project.running() == ALL
        assert self.it.project.volumes() == volumes

    def is_internal(self) -> bool:
        return bool(self._network().attrs["Internal"])

    def reached(self) -> set[str]:
        """The containers that are in the project's network."""
        return {each.name for each in self._network().containers}

    def _network(self) -> Any:
        (network,) = self.it.project.networks()
        return self.it.project.engine.client.networks.get(network)


@pytest.fixture(scope="module")
def shift(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with claire_scene(docker_engine, tmp_path_factory.mktemp("state")) as scene:
        demo = scene.room.world
        config = demo.config.with_name("command.toml")
        config.write_text(alone(scene.it.config(demo)))
        config.chmod(0o600)
        shift = Shift(scene, Operator(ID, config, demo.env, LONGEST))
        shift.verify("backup", backup=BACKUP)
        yield shift


def test_stopped_containers_of_the_stack_s_name_go_one_by_one_and_all_at_once(shift: Shift) -> None:
    client = shift.it.project.engine.client
    strangers = ["cdb_of_yesterday", "cdb_of_before", "cdb_of_long_ago"]
    another, label = "cdb_graphiti", {"com.docker.compose.project": "cdb-memory"}
    with shift.remade(set()):
        for name in (*strangers, another):
            labels = label if name == another else {}
            client.containers.run(
                IMAGE, "true", name=name, detach=True, network_mode="none", labels=labels
            ).wait()
        shift.verify("remove-stranger", name=strangers[0])
        left = {each.name for each in client.containers.list(all=True)}
        assert left & {*strangers} == {*strangers[1:]}
        shift.verify("remove-strangers")
    assert {each.name for each in client.containers.list(all=True)} & {*strangers, another} == {another}
    client.containers.get(another).remove()


def test_an_isolated_stack_whose_stores_are_down_is_started_and_execution_hears_the_bus_again(
    shift: Shift,
) -> None:
    halts = shift.scene.halts()
    shift.verify("isolate")
    assert shift.it.project.running() == set()
    assert shift.reached() == set()
    shift.it.project.remove(["cdb_ws"])
    shift.verify("stack-start", project=NAME)
    assert shift.it.project.running() == ALL
    assert shift.reached() == ALL, "what was cut off is in the network again"
    assert shift.scene.halts() == halts + 1, "a start halts nothing and resumes nothing"


def test_a_stack_that_would_not_start_comes_up_halted_with_all_its_data(shift: Shift) -> None:
    halts = shift.scene.halts()
    with pytest.raises(AssertionError, match="Execution runs"):
        shift.verify("stack-recover", project=NAME)
    shift.it.project.compose("stop", "--timeout", "2", "cdb_execution")
    with shift.remade(ALL):
        shift.verify("stack-recover", project=NAME)
    assert shift.scene.halts() == halts + 1
    assert shift.scene.sql("SELECT count(*) FROM orders") == [(1,)]


def test_a_stack_with_an_internal_network_has_no_way_out_until_its_network_is_made_anew(shift: Shift) -> None:
    halts = shift.scene.halts()
    with shift.remade(ALL):
        shift.verify("start-isolated", project=NAME)
    assert shift.is_internal()
    with shift.remade(ALL):
        shift.verify("network-restart", project=NAME)
    assert not shift.is_internal()
    assert shift.scene.halts() == halts


def test_a_wiped_database_has_the_schema_and_no_row_and_the_halt_stands(shift: Shift) -> None:
    halts = shift.scene.halts()
    with shift.remade(ALL):
        shift.verify("schema-wipe", project=NAME, volume=f"{NAME}_postgres_data")
    assert shift.scene.sql("SELECT count(*) FROM orders") == [(0,)]
    assert shift.scene.halts() == halts
    with shift.it.bus() as bus:
        assert bus.xlen("stream.fills") == 1


def test_new_secrets_are_those_of_the_new_containers_and_the_old_are_refused(shift: Shift) -> None:
    old, halts = shift.it.password, shift.scene.halts()
    for name in ("REDIS_PASSWORD", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_DSN", "GRAFANA_PASSWORD"):
        (shift.it.secrets / name).write_text(secrets.token_urlsafe(24))
    with shift.remade(ALL):
        shift.verify("rotate-secrets", project=NAME)
    assert shift.scene.halts() == halts
    with pytest.raises(redis.AuthenticationError), redis.Redis(shift.it.network + ".10", password=old) as bus:
        bus.ping()
