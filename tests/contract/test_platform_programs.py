"""The procedures of trading-platform that run programs on the host, each to its verdict: the real
``docker compose``, ``pg_dumpall``, ``poetry`` and ``openssl`` on a real engine, and what is there afterwards.

One operator's shift: each test goes on where the one before it ended. Each procedure is run on the screen
and again, from the same beginning, by command: it leaves the same. The applications' HTTP is the demo's.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.demo.process import free_port
from tests.conftest import started
from tests.servers.compose import need_compose
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.docker import DockerEngine
from tests.servers.platform_project import DEV, INFRASTRUCTURE, WORKERS, Platform, platform
from tests.servers.process import Child, listens, wait_until
from tests.terminal.hands import Hands, hands_on
from tests.terminal.left import BY_PROGRAMS, FACES
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]

STACK = "trading-platform"
WHOLE = "-- PostgreSQL database cluster dump complete"


@dataclass
class Shift:
    """The platform, and an operator who works on it."""

    platform: Platform
    demo: DemoWorld
    hands: Hands

    @property
    def folder(self) -> Path:
        return self.platform.project.folder


@dataclass
class Turn:
    """The shift, worked on by one face."""

    shift: Shift
    face: str

    @property
    def platform(self) -> Platform:
        return self.shift.platform

    @property
    def folder(self) -> Path:
        return self.shift.folder

    def verify(self, name: str, *, typed: str = "", hands: Hands | None = None, **params: str) -> None:
        """``Hands.verify``; ``typed`` is what a person types for the one value there is, to find it in its
        list."""
        (hands or self.shift.hands).verify(self.face, name, (typed,) if typed else (), **params)

    @contextmanager
    def makes(self, pattern: str) -> Iterator[set[Path]]:
        """The files of the checkout of that name that were not there before."""
        made: set[Path] = set()
        before = {*self.folder.glob(pattern)}
        yield made
        made |= {*self.folder.glob(pattern)} - before

    def remade(self, name: str) -> set[str]:
        """The services whose containers ``name`` made anew."""
        before = self.platform.project.containers()
        self.verify(name)
        after = self.platform.project.containers()
        assert after.keys() == before.keys()
        return {each for each in after if after[each] != before[each]}


@pytest.fixture(scope="module")
def shift(docker_engine: DockerEngine) -> Iterator[Shift]:
    started("docker compose", need_compose)
    demo = start_demo()
    try:
        with platform(docker_engine, demo) as it, hands_on(demo, STACK, "host", it.config(demo)) as hands:
            yield Shift(it, demo, hands)
    finally:
        demo.stop()


@pytest.fixture(params=FACES)
def turn(shift: Shift, request: pytest.FixtureRequest) -> Turn:
    return Turn(shift, request.param)


def test_before_there_is_a_backup_nothing_that_needs_one_can_begin(shift: Shift) -> None:
    dump, copy = (
        "The last database dump is older than an hour",
        "The last copy of Redis is older than an hour",
    )
    shift.hands.is_refused("compose-down-volumes", dump, copy)


def test_a_dump_of_the_database_is_whole_and_its_owners_alone(turn: Turn) -> None:
    with turn.makes("backups/trader-*.sql") as made:
        turn.verify("backup-database")
    (dump,) = made
    assert WHOLE in dump.read_text()
    assert dump.stat().st_mode & 0o077 == 0
    (orders,) = turn.platform.sql("SELECT count(*) FROM orders")[0]
    rows = dump.read_text().partition("COPY public.orders ")[2].partition("\n\\.")[0].splitlines()[1:]
    assert len(rows) == orders > 0


def test_a_copy_of_redis_holds_snapshot_and_append_only_file(turn: Turn) -> None:
    with turn.makes("backups/redis-*.tar") as made:
        turn.verify("copy-redis")
    (copy,) = made
    with tarfile.open(copy) as archive:
        names = archive.getnames()
        kept = archive.extractfile("data/appendonly.aof")
        assert kept is not None
        assert b"kill_switch:state" in kept.read()
    assert "data/dump.rdb" in names


def test_compose_starts_the_applications_and_nothing_else(turn: Turn) -> None:
    turn.platform.project.remove(DEV)
    turn.verify("compose-dev")
    assert turn.platform.project.running() == {*INFRASTRUCTURE, *DEV}


def test_compose_starts_the_workers_beside_the_applications(turn: Turn) -> None:
    turn.platform.project.remove(WORKERS)
    turn.verify("compose-dev-workers")
    assert turn.platform.project.running() == {*INFRASTRUCTURE, *DEV, *WORKERS}


def test_building_all_makes_anew_what_was_changed(turn: Turn) -> None:
    (turn.folder / "apps/orchestrator/code").write_text(f"orchestrator by {turn.face}\n")
    assert turn.remade("compose-build") == {"orchestrator"}


@pytest.mark.parametrize("name", ["console-explorer", "console-notebooks", "console-rebuild"])
def test_the_console_alone_is_made_anew(turn: Turn, name: str) -> None:
    assert turn.remade(name) == {"web_console_dev"}


def test_the_alert_worker_alone_is_made_anew(turn: Turn) -> None:
    assert turn.remade("alert-worker") == {"alert_worker"}


def test_the_gateway_is_made_anew_from_what_is_in_the_checkout(turn: Turn) -> None:
    code = f"gateway by {turn.face}\n"
    (turn.folder / "apps/execution_gateway/code").write_text(code)
    assert turn.remade("fills-enable") == {"execution_gateway"}
    engine = turn.platform.project.engine
    assert engine.file("trading_platform_execution_gateway", "/code") == code


def test_a_new_key_pair_is_one_pair_that_only_its_owner_reads(turn: Turn) -> None:
    certs = turn.folder / "apps/web_console_ng/certs"
    for name in ("jwt_private.key", "jwt_public.pem"):
        (certs / name).unlink()
    before = turn.platform.project.containers()
    turn.verify("jwt-keys")
    assert (certs / "jwt_private.key").stat().st_mode & 0o777 == 0o600
    asked = ["openssl", "pkey", "-in", certs / "jwt_private.key", "-pubout"]
    made = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert made == (certs / "jwt_public.pem").read_text()
    assert turn.platform.project.containers() == before


def test_a_leftover_service_is_ended_and_its_port_is_free(turn: Turn, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps/left_over.py").write_text(
        "async def app(scope, receive, send):\n    assert scope['type'] == 'never'\n"
    )
    argv = [
        sys.executable,
        "-m",
        "uvicorn",
        "apps.left_over:app",
        "--app-dir",
        str(tmp_path),
        "--port",
        str(port),
    ]
    service = Child(argv, tmp_path / "log")
    try:
        service.wait_ready(lambda: listens(port))
        assert _holders(port) == [service.pid]
        turn.shift.hands.seat.see("host.services", "left_over")
        turn.verify("free-port", command=" ".join(argv), typed="left_over")
        assert service.popen.wait(5.0) is not None
        assert _holders(port) == []
    finally:
        service.stop()


def test_no_dump_is_restored_under_a_gateway_that_runs(shift: Shift) -> None:
    shift.hands.is_refused("restore-database", "The gateway still runs", file=str(_a_dump(shift)))


def test_a_database_comes_back_from_its_dump_with_all_its_rows(turn: Turn) -> None:
    _stop_applications(turn.platform)
    counts = [f"SELECT count(*) FROM {table}" for table in ("orders", "positions", "trades")]
    before = [turn.platform.sql(each) for each in counts]
    turn.platform.sql("TRUNCATE orders, positions, trades CASCADE; CREATE TABLE since (n int)")
    turn.verify("restore-database", file=str(_a_dump(turn.shift)))
    assert [turn.platform.sql(each) for each in counts] == before
    assert turn.platform.sql("SELECT to_regclass('since')") == [(None,)]


def test_compose_down_removes_the_containers_and_keeps_the_data(turn: Turn) -> None:
    project = turn.platform.project
    turn.platform.sql("UPDATE orders SET is_terminal = TRUE; UPDATE positions SET qty = 0")
    turn.verify("compose-down")
    assert project.containers().keys() == {*DEV, *WORKERS}
    assert project.volumes() == {"trading_platform_pgdata", "trading_platform_redisdata"}
    turn.platform.up()
    assert turn.platform.sql("SELECT count(*) > 0 FROM orders") == [(True,)]
    assert "ENGAGED" in str(turn.platform.keys().get("kill_switch:state"))


def test_compose_down_with_volumes_leaves_neither_containers_nor_data(turn: Turn) -> None:
    if not turn.platform.project.volumes():
        turn.platform.begin(turn.shift.demo)
        turn.platform.sql("UPDATE orders SET is_terminal = TRUE; UPDATE positions SET qty = 0")
    turn.verify("compose-down-volumes")
    assert turn.platform.project.containers().keys() == {*DEV, *WORKERS}
    assert turn.platform.project.volumes() == set()


@pytest.fixture(scope="module")
def trading(shift: Shift) -> Iterator[Hands]:
    """In the demo itself, which is not halted, from the checkout that has the script."""
    text = shift.demo.config.read_text().replace(f"{shift.demo.config.parent}/checkout", str(shift.folder))
    with hands_on(shift.demo, STACK, "paper", text) as hands:
        yield hands


def test_the_paper_run_of_the_script_is_found_among_the_runs(turn: Turn, trading: Hands) -> None:
    with turn.makes("paper-run-*.json") as made:
        turn.verify("paper-run-file", hands=trading)
    (result,) = made
    assert '"completed"' in result.read_text()
    assert "run completed" in (turn.folder / "logs/paper-run.log").read_text()


def test_each_that_runs_programs_was_run_by_both_faces_and_left_the_same(
    shift: Shift, trading: Hands
) -> None:
    every = {(name, face) for name in BY_PROGRAMS for face in FACES}
    assert shift.hands.ran() | trading.ran() == every


def _a_dump(shift: Shift) -> Path:
    """One of those that were made here, as its list names it."""
    return min((shift.folder / "backups").glob("trader-*.sql")).relative_to(shift.folder)


def _stop_applications(of: Platform) -> None:
    engine = of.project.engine.client
    for name in (*DEV, *WORKERS):
        for container in engine.containers.list(filters={"label": f"com.docker.compose.service={name}"}):
            container.stop(timeout=0)
    wait_until(lambda: of.project.running() == {*INFRASTRUCTURE}, 10, "the applications' end")


def _holders(port: int) -> list[int]:
    """Who has the port, by ``fuser``."""
    done = subprocess.run(["fuser", f"{port}/tcp"], capture_output=True, text=True, check=False)
    return [int(each) for each in done.stdout.split()]
