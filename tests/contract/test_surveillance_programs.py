"""The procedures of the surveillance that run programs, each to its verdict: the real ``docker compose``,
``pg_dump`` and ``psql`` on a real engine with real stores, and what is there afterwards.

One operator's shift: each test goes on where the one before it ended. Each procedure is run on the screen
and again, from the same beginning, by command: it leaves the same.
"""

from __future__ import annotations

import json
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backends.stacks.loader import built_in
from tests.conftest import started
from tests.servers.compose import need_compose
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until
from tests.servers.surveillance_project import ALL, BUILT, NAME, STORES, Surveillance, surveillance
from tests.terminal.hands import Hands, hands_on
from tests.terminal.left import FACES
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]

STACK = "surveillance"
WHOLE = "PostgreSQL database dump complete"
FORMER = "surveillance_before_restore"
VOLUMES = {f"{NAME}_redis_data", f"{NAME}_postgres_data"}
ALERT = (
    "INSERT INTO alerts (alert_id, alert_type, priority, severity, trigger_metric, trigger_value,"
    " trigger_threshold, trigger_condition, triggered_at) VALUES"
    " ('{}', 'spread_warning', 'P2', 'warning', 'spread_bps', 4, 3, 'gt', now())"
)


@dataclass
class Turn:
    """The project, worked on by one face of the room."""

    it: Surveillance
    hands: Hands
    face: str

    def verify(self, name: str, **params: str) -> None:
        self.hands.verify(self.face, name, **params)

    def remade(self, name: str) -> set[str]:
        """The services whose containers ``name`` made anew; it began and ended none."""
        before = self.it.project.containers()
        self.verify(name)
        after = self.it.project.containers()
        assert after.keys() == before.keys()
        return {each for each in after if after[each] != before[each]}

    @contextmanager
    def makes(self, pattern: str) -> Iterator[set[Path]]:
        """The files below the backups of that name that were not there before."""
        made: set[Path] = set()
        before = {*self.it.backups.glob(pattern)}
        yield made
        made |= {*self.it.backups.glob(pattern)} - before


@pytest.fixture(scope="module")
def hands(project: Surveillance) -> Iterator[Hands]:
    with hands_on(project, STACK, "host", project.config()) as hands:
        yield hands


@pytest.fixture(scope="module")
def project(docker_engine: DockerEngine) -> Iterator[Surveillance]:
    started("docker compose", need_compose)
    with surveillance(docker_engine) as it:
        yield it


@pytest.fixture(params=FACES)
def turn(project: Surveillance, hands: Hands, request: pytest.FixtureRequest) -> Turn:
    return Turn(project, hands, request.param)


def test_the_stores_are_started_and_nothing_else(turn: Turn) -> None:
    turn.it.project.compose("down")
    turn.verify("start-infra")
    assert turn.it.project.running() == {*STORES}


def test_everything_is_started_and_captures(turn: Turn) -> None:
    turn.it.project.remove(BUILT)
    turn.verify("start-all")
    assert turn.it.project.running() == ALL
    _captures(turn.it)


def test_the_loader_of_the_project_accepts_its_configuration(turn: Turn) -> None:
    with turn.makes("dry-runs/config-*.json") as made:
        turn.verify("load-config")
    (said,) = made
    assert json.loads(said.read_text())["config"]["exchanges"].keys() == {"binance", "okx"}


def test_images_are_built_anew_and_nothing_that_runs_changes(turn: Turn) -> None:
    before = turn.it.project.containers()
    turn.it.change("dashboard", f"dashboard, built by {turn.face}\n")
    turn.verify("build")
    assert turn.it.project.containers() == before
    built = turn.it.project.engine.client.images.get(f"{NAME}-dashboard")
    assert built.id != turn.it.container("dashboard").image.id
    assert "dashboard" in (turn.it.backups / "build.log").read_text()


def test_the_metrics_engine_logs_everything_for_a_while(turn: Turn) -> None:
    assert turn.remade("debug-on") == {"metrics-engine"}
    assert "LOG_LEVEL=DEBUG" in turn.it.container("metrics-engine").attrs["Config"]["Env"]
    assert turn.remade("debug-off") == {"metrics-engine"}
    assert "LOG_LEVEL=INFO" in turn.it.container("metrics-engine").attrs["Config"]["Env"]


def test_before_there_is_a_backup_nothing_that_needs_one_can_begin(
    project: Surveillance, hands: Hands
) -> None:
    for name in ("full-restart-flush", "redis-flush"):
        hands.is_refused(name, "There is no backup of the last hour")
    hands.is_refused("wipe", "There is no backup of the last hour", project=NAME)


def test_a_dump_holds_what_was_stored_and_is_its_owners_alone(turn: Turn) -> None:
    turn.it.sql(ALERT.format(f"dumped by {turn.face}"))
    with turn.makes("backup_*.sql") as made:
        turn.verify("backup")
    (dump,) = made
    text = dump.read_text()
    assert WHOLE in text
    assert f"dumped by {turn.face}\t" in text.partition("COPY public.alerts ")[2].partition("\n\\.")[0]
    assert dump.stat().st_mode & 0o077 == 0


def test_a_dump_of_the_schema_holds_no_row(turn: Turn) -> None:
    with turn.makes("schema_*.sql") as made:
        turn.verify("backup-schema")
    (dump,) = made
    assert "CREATE TABLE public.alerts" in dump.read_text()
    assert "COPY public." not in dump.read_text()


def test_a_copy_that_lost_a_row_takes_no_place(project: Surveillance, hands: Hands) -> None:
    project.sql(ALERT.format("lost on the way"))
    hands.verify("command", "backup")
    dump = _newest(project)
    less = project.home / dump.name
    less.write_text("".join(line for line in dump.open() if "lost on the way" not in line))
    _copy(project, less)
    _, ended = hands.operator.perform("restore", "--param", f"file={dump.name}")
    assert ended.returncode != 0
    assert "As many were loaded as are in the dump" in ended.stdout
    assert project.sql("SELECT datname FROM pg_database WHERE datname = '" + FORMER + "'") == []
    assert len(project.sql("SELECT 1 FROM alerts WHERE alert_id = 'lost on the way'")) == 1
    project.project.compose("up", "--detach", "--wait")


def test_a_dump_takes_the_place_of_the_database_which_stays_beside_it(turn: Turn) -> None:
    turn.it.sql(f"DROP DATABASE IF EXISTS {FORMER} WITH (FORCE)", "postgres")
    turn.it.sql(ALERT.format(f"restored by {turn.face}"))
    before = turn.it.sql("SELECT alert_id FROM alerts ORDER BY alert_id")
    turn.verify("backup")
    dump = _newest(turn.it)
    turn.it.sql("TRUNCATE alerts; CREATE TABLE since (n int)")
    _copy(turn.it, dump)
    turn.verify("restore", file=dump.name)
    assert turn.it.sql("SELECT alert_id FROM alerts ORDER BY alert_id") == before
    assert turn.it.sql("SELECT to_regclass('since')") == [(None,)]
    assert turn.it.sql("SHOW timescaledb.jobs_of") == [(STACK,)], "its jobs run in it again"
    turn.it.sql(f"ALTER DATABASE {FORMER} WITH ALLOW_CONNECTIONS true", "postgres")
    assert turn.it.sql("SELECT to_regclass('since')::text", FORMER) == [("since",)]
    assert turn.it.project.running() == ALL
    _captures(turn.it)


def test_no_database_that_was_kept_from_before_a_restore_is_lost_to_another(
    project: Surveillance, hands: Hands
) -> None:
    (dump, *_) = project.backups.glob("backup_*.sql")
    hands.is_refused("restore", f"A database {FORMER} is there already", file=dump.name)


def test_everything_is_made_anew_and_keeps_what_it_stored(turn: Turn) -> None:
    with turn.it.keys() as keys:
        keys.set("alert:kept", "{}")
        before, rows = turn.it.project.containers(), turn.it.sql("SELECT count(*) FROM alerts")
        turn.verify("full-restart")
        after = turn.it.project.containers()
        assert after.keys() == ALL
        assert not {*after.values()} & {*before.values()}
        assert keys.exists("alert:kept")
    assert turn.it.sql("SELECT count(*) FROM alerts") == rows
    _captures(turn.it)


def test_everything_is_made_anew_with_an_empty_redis_and_the_database_stays(turn: Turn) -> None:
    with turn.it.keys() as keys:
        keys.set("alert:lost", json.dumps({"alert_id": "lost", "triggered_at": "2026-01-01T00:00:00Z"}))
        keys.sadd("alerts:active", "lost")
        rows = turn.it.sql("SELECT count(*) FROM alerts")
        turn.verify("full-restart-flush")
        assert not keys.exists("alert:lost", "alert:kept", "alerts:active")
    assert turn.it.sql("SELECT count(*) FROM alerts") == rows
    _captures(turn.it)


def test_everything_is_built_and_started_from_what_was_built(turn: Turn) -> None:
    code = f"ingestion, built by {turn.face}\n"
    turn.it.change("data-ingestion", code)
    turn.verify("rebuild-all")
    assert turn.it.project.running() == ALL
    assert turn.it.code("data-ingestion") == code
    _captures(turn.it)


def test_a_stop_removes_all_containers_and_keeps_the_data(turn: Turn) -> None:
    turn.it.project.compose("up", "--detach", "--wait")
    rows = turn.it.sql("SELECT alert_id FROM alerts")
    turn.verify("stop-all")
    assert turn.it.project.containers() == {}
    assert turn.it.project.volumes() == VOLUMES
    turn.it.project.compose("up", "--detach", "--wait", *STORES)
    assert turn.it.sql("SELECT alert_id FROM alerts") == rows != []


def test_a_wipe_leaves_neither_containers_nor_data_and_what_starts_then_is_new(turn: Turn) -> None:
    turn.it.project.compose("up", "--detach", "--wait")
    turn.verify("wipe", project=NAME)
    assert turn.it.project.containers() == {}
    assert turn.it.project.volumes() == set()
    turn.it.project.compose("up", "--detach", "--wait", *STORES)
    assert turn.it.sql("SELECT count(*) FROM metrics") == [(0,)]


def test_each_that_has_compose_or_the_database_do_something_was_run_by_both_faces(hands: Hands) -> None:
    stated = tomllib.loads(built_in()[STACK].read_text())["procedure"]
    wanted = {each["id"] for each in stated if any(_is_theirs(step["do"]) for step in each["step"])}
    assert {(name, face) for name in wanted for face in FACES} <= hands.ran()


def _is_theirs(do: dict[str, Any]) -> bool:
    """Whether a step runs compose, or a program in the container of the database."""
    return do["kind"] == "command" or (do["kind"], do.get("service")) == ("docker-exec", "timescaledb")


def _captures(it: Surveillance) -> None:
    """Metrics of now come into the database."""
    newer = f"SELECT count(*) FROM metrics WHERE created_at > to_timestamp({time.time()})"
    wait_until(lambda: it.sql(newer)[0][0], 30, "new metrics", every=0.5)


def _newest(it: Surveillance) -> Path:
    """Its newest dump."""
    return max(it.backups.glob("backup_*.sql"), key=lambda each: each.stat().st_mtime_ns)


def _copy(it: Surveillance, dump: Path) -> None:
    """What the procedure asks a person to do."""
    there = "surveillance-db:/tmp/controlroom-restore.sql"
    argv = ["docker", "--host", it.project.engine.url, "cp", dump, there]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
