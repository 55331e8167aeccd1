"""The procedures of trading-platform that run programs on the host, each to its verdict: the real
``docker compose``, ``pg_dumpall``, ``poetry`` and ``openssl`` on a real engine, and what is there afterwards.

One operator's shift: each test goes on where the one before it ended. The applications' HTTP is the demo's.
Two are given by command, the others to the engine itself: a start of the program takes longer than most."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.demo.process import free_port
from backends.model.procedure import Verdict
from tests.conftest import started
from tests.contract.armed_room import ArmedRoom
from tests.servers.compose import need_compose
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.docker import DockerEngine
from tests.servers.platform_project import DEV, INFRASTRUCTURE, WORKERS, Platform, platform
from tests.servers.process import Child, listens, wait_until
from tests.terminal.planned import Operator, alone
from tests.turns import DOCKER

pytestmark = DOCKER

WHOLE = "-- PostgreSQL database cluster dump complete"


@dataclass
class Shift:
    """The platform, and an operator who works on it."""

    platform: Platform
    demo: DemoWorld
    operator: Operator
    room: ArmedRoom

    @property
    def folder(self) -> Path:
        return self.platform.project.folder

    def verify(self, name: str, **params: str) -> None:
        """Plan it and run it: nothing may stand against it, and its effect must have been read back."""
        run = self.room.perform(name, **params)
        assert not run.blockers, run.blockers
        assert run.verdict is Verdict.VERIFIED, f"{name}: {run.sentence} {run.steps}"

    def verify_by_command(self, name: str) -> None:
        report, done = self.operator.perform(name)
        assert report["blockers"] == [], name
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        assert done.stdout.splitlines()[-1].startswith("VERIFIED: "), f"{name}: {done.stdout}"

    def remade(self, name: str) -> set[str]:
        """The services whose containers ``name`` made anew."""
        before = self.platform.project.containers()
        self.verify(name)
        after = self.platform.project.containers()
        assert after.keys() == before.keys()
        return {each for each in after if after[each] != before[each]}

    def is_refused(self, name: str, *because: str, **params: str) -> None:
        said = " ".join(map(str, self.room.dry_run(name, **params).blockers))
        assert all(each in said for each in because), said


@pytest.fixture(scope="module")
def shift(docker_engine: DockerEngine) -> Iterator[Shift]:
    started("docker compose", need_compose)
    demo = start_demo()
    try:
        with platform(docker_engine, demo) as it:
            config = _config(demo, "host", it.config(demo))
            room = ArmedRoom(config, demo.env, it.home / "journal")
            try:
                yield Shift(it, demo, Operator("trading-platform", config, demo.env), room)
            finally:
                room.close()
    finally:
        demo.stop()


def _config(demo: DemoWorld, name: str, text: str) -> Path:
    path = demo.config.with_name(f"{name}.toml")
    path.write_text(alone(text))
    path.chmod(0o600)
    return path


def test_before_there_is_a_backup_nothing_that_needs_one_can_begin(shift: Shift) -> None:
    dump, copy = (
        "The last database dump is older than an hour",
        "The last copy of Redis is older than an hour",
    )
    shift.is_refused("compose-down-volumes", dump, copy)


def test_a_dump_of_the_database_is_whole_and_its_owners_alone(shift: Shift) -> None:
    shift.verify_by_command("backup-database")
    (dump,) = (shift.folder / "backups").glob("trader-*.sql")
    assert WHOLE in dump.read_text()
    assert dump.stat().st_mode & 0o077 == 0
    (orders,) = shift.platform.sql("SELECT count(*) FROM orders")[0]
    rows = dump.read_text().partition("COPY public.orders ")[2].partition("\n\\.")[0].splitlines()[1:]
    assert len(rows) == orders > 0


def test_a_copy_of_redis_holds_snapshot_and_append_only_file(shift: Shift) -> None:
    shift.verify("copy-redis")
    (copy,) = (shift.folder / "backups").glob("redis-*.tar")
    with tarfile.open(copy) as archive:
        names = archive.getnames()
        kept = archive.extractfile("data/appendonly.aof")
        assert kept is not None
        assert b"kill_switch:state" in kept.read()
    assert "data/dump.rdb" in names


def test_compose_starts_the_profiles_that_were_asked_for_and_no_other(shift: Shift) -> None:
    shift.verify("compose-dev")
    assert shift.platform.project.running() == {*INFRASTRUCTURE, *DEV}
    shift.verify("compose-dev-workers")
    assert shift.platform.project.running() == {*INFRASTRUCTURE, *DEV, *WORKERS}


def test_building_all_makes_anew_what_was_changed(shift: Shift) -> None:
    (shift.folder / "apps/orchestrator/code").write_text("orchestrator 2\n")
    assert shift.remade("compose-build") == {"orchestrator"}


@pytest.mark.parametrize("name", ["console-explorer", "console-notebooks", "console-rebuild"])
def test_the_console_alone_is_made_anew(shift: Shift, name: str) -> None:
    assert shift.remade(name) == {"web_console_dev"}


def test_the_alert_worker_alone_is_made_anew(shift: Shift) -> None:
    assert shift.remade("alert-worker") == {"alert_worker"}


def test_the_gateway_is_made_anew_from_what_is_in_the_checkout(shift: Shift) -> None:
    (shift.folder / "apps/execution_gateway/code").write_text("gateway 2\n")
    assert shift.remade("fills-enable") == {"execution_gateway"}
    gateway = shift.platform.project.engine.client.containers.get("trading_platform_execution_gateway")
    assert gateway.exec_run(["cat", "/code"]).output == b"gateway 2\n"


def test_a_new_key_pair_is_one_pair_that_only_its_owner_reads(shift: Shift) -> None:
    certs = shift.folder / "apps/web_console_ng/certs"
    for name in ("jwt_private.key", "jwt_public.pem"):
        (certs / name).unlink()
    before = shift.platform.project.containers()
    shift.verify("jwt-keys")
    assert (certs / "jwt_private.key").stat().st_mode & 0o777 == 0o600
    asked = ["openssl", "pkey", "-in", certs / "jwt_private.key", "-pubout"]
    made = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert made == (certs / "jwt_public.pem").read_text()
    assert shift.platform.project.containers() == before


def test_a_leftover_service_is_ended_and_its_port_is_free(shift: Shift, tmp_path: Path) -> None:
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
        shift.verify("free-port", command=" ".join(argv))
        assert service.popen.wait(5.0) is not None
        assert _holders(port) == []
    finally:
        service.stop()


def test_a_database_comes_back_from_its_dump_with_all_its_rows(shift: Shift) -> None:
    (dump,) = (each.relative_to(shift.folder) for each in (shift.folder / "backups").glob("trader-*.sql"))
    shift.is_refused("restore-database", "The gateway still runs", file=str(dump))
    _stop_applications(shift)
    counts = [f"SELECT count(*) FROM {table}" for table in ("orders", "positions", "trades")]
    before = [shift.platform.sql(each) for each in counts]
    shift.platform.sql("TRUNCATE orders, positions, trades CASCADE; CREATE TABLE since (n int)")
    shift.verify("restore-database", file=str(dump))
    assert [shift.platform.sql(each) for each in counts] == before
    assert shift.platform.sql("SELECT to_regclass('since')") == [(None,)]


def test_compose_down_removes_the_containers_and_keeps_the_data(shift: Shift) -> None:
    project = shift.platform.project
    shift.platform.sql("UPDATE orders SET is_terminal = TRUE; UPDATE positions SET qty = 0")
    shift.verify_by_command("compose-down")
    assert project.containers().keys() == {*DEV, *WORKERS}
    assert project.volumes() == {"trading_platform_pgdata", "trading_platform_redisdata"}
    project.compose("up", "--detach")
    shift.platform.ready()
    assert shift.platform.sql("SELECT count(*) > 0 FROM orders") == [(True,)]
    assert "ENGAGED" in str(shift.platform.keys().get("kill_switch:state"))


def test_compose_down_with_volumes_leaves_neither_containers_nor_data(shift: Shift) -> None:
    shift.verify("compose-down-volumes")
    assert shift.platform.project.containers().keys() == {*DEV, *WORKERS}
    assert shift.platform.project.volumes() == set()


def test_the_paper_run_of_the_script_is_found_among_the_runs(shift: Shift) -> None:
    """It trades: in the demo itself, which is not halted, from the checkout that has the script."""
    text = shift.demo.config.read_text().replace(f"{shift.demo.config.parent}/checkout", str(shift.folder))
    room = ArmedRoom(_config(shift.demo, "paper", text), shift.demo.env, shift.platform.home / "paper")
    try:
        assert room.perform("paper-run-file").verdict is Verdict.VERIFIED
    finally:
        room.close()
    (result,) = shift.folder.glob("paper-run-*.json")
    assert '"completed"' in result.read_text()
    assert "run completed" in (shift.folder / "logs/paper-run.log").read_text()


def _stop_applications(shift: Shift) -> None:
    engine = shift.platform.project.engine.client
    for name in (*DEV, *WORKERS):
        for container in engine.containers.list(filters={"label": f"com.docker.compose.service={name}"}):
            container.stop(timeout=0)
    wait_until(lambda: shift.platform.project.running() == {*INFRASTRUCTURE}, 10, "the applications' end")


def _holders(port: int) -> list[int]:
    """Who has the port, by ``fuser``."""
    done = subprocess.run(["fuser", f"{port}/tcp"], capture_output=True, text=True, check=False)
    return [int(each) for each in done.stdout.split()]
