"""The Hummingbot desk before and after the generation its file describes: all that has compose do something,
by command, each to its verdict on a real engine.

One shift a generation: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import started
from tests.contract.desk_shift import Shift, by_command
from tests.servers.compose import need_compose
from tests.servers.desk_project import (
    BOTS,
    CLICKHOUSE,
    KEPT,
    MONITORING,
    MONITORING_OF_H,
    PLANE_OF_H,
    PLANE_OF_R0,
    RECOVERED,
    TARGET,
)
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]


@pytest.fixture(scope="class")
def shift(docker_engine: DockerEngine, request: pytest.FixtureRequest) -> Iterator[Shift]:
    started("docker compose", need_compose)
    with by_command(docker_engine, request.cls.generation) as shift:
        yield shift


class TestBefore:
    generation = "R0"

    def test_what_has_the_database_and_what_has_the_events_are_started_one_by_one(self, shift: Shift) -> None:
        assert shift.begun("opsdb-start") == {"postgres"}
        assert shift.begun("pgadmin-start") == {"pgadmin"}
        assert shift.begun("writer-once") == set()
        assert shift.begun("writer-start") == {"ops-db-writer"}
        assert shift.begun("clickhouse-start") == {*CLICKHOUSE}

    def test_monitoring_and_the_event_store_are_started(self, shift: Shift) -> None:
        assert shift.begun("monitoring-start") == {*MONITORING}
        assert shift.begun("recover-event-store") == {*RECOVERED}

    def test_the_desk_is_started_whose_stores_are_down_and_bot_1_waits_at_its_prompt(
        self, shift: Shift
    ) -> None:
        with shift.without_stores():
            assert shift.begun("start-desk") == {"bot1", *PLANE_OF_R0} - {*RECOVERED}
        assert "Preflight" not in shift.says("bot1")

    def test_bots_and_services_are_started_and_made_anew_one_by_one(self, shift: Shift) -> None:
        assert shift.begun("start-bot3") == {"bot3"}
        assert shift.begun("start-validation") == {"bot4"}
        assert shift.remade("recreate-bot4") == {"bot4"}
        assert shift.remade("recreate-bot1") == {"bot1"}
        assert shift.remade("recreate-snapshot") == {"exchange-snapshot-service"}
        assert shift.remade("recreate-service", service="signal-service") == {"signal-service"}

    def test_an_upgrade_of_the_test_bots_is_rolled_back_with_bot_1(self, shift: Shift) -> None:
        shift.verify("upgrade-check", image=TARGET)
        shift.upgrade_and_roll_back(with_bot_1=False)

    def test_without_the_bus_the_control_plane_ends_and_bots_go_on(self, shift: Shift) -> None:
        shift.verify("degraded")
        assert not shift.project.running() & {*PLANE_OF_R0}
        assert {*BOTS} <= shift.project.running()

    def test_a_shutdown_leaves_the_test_bots_and_what_belongs_to_the_database(self, shift: Shift) -> None:
        shift.desk.container("bot1").stop()
        shift.verify("shutdown")
        left = {"bot3", "bot4", "postgres", "pgadmin", "ops-db-writer", *CLICKHOUSE}
        assert shift.project.containers().keys() == left

    def test_each_that_has_compose_do_something_was_run(self, shift: Shift) -> None:
        assert shift.not_run() == set()


class TestAfter:
    generation = "H"

    def test_the_database_and_its_writer_are_started_one_by_one(self, shift: Shift) -> None:
        assert shift.begun("opsdb-start") == {"postgres"}
        assert shift.begun("writer-once") == set()
        assert shift.begun("writer-start") == {"ops-db-writer"}

    def test_the_desk_is_started_whose_stores_are_down_and_bot_1_trades_on_paper(self, shift: Shift) -> None:
        already = shift.project.running()
        with shift.without_stores():
            begun = shift.begun("start-desk")
        assert begun == {"bot1", "bot-watchdog", *PLANE_OF_H, *MONITORING_OF_H} - already
        assert "mode=PAPER" in shift.says("bot1")

    def test_bots_and_services_are_started_and_made_anew_one_by_one(self, shift: Shift) -> None:
        assert shift.begun("start-bot3") == {"bot3"}
        assert shift.begun("start-validation") == {"bot4"}
        assert shift.remade("recreate-bot4") == {"bot4"}
        assert shift.remade("recreate-bot1") == {"bot1"}
        assert shift.remade("recreate-service", service="ops-scheduler") == {"ops-scheduler"}

    def test_bot_1_runs_what_its_environment_file_is_made_to_name(self, shift: Shift) -> None:
        assert shift.remade("bot1-profile", script="v2_epp_v2_4_bitget_paper_smoke.yml") == {"bot1"}
        assert "mode=PAPER" in shift.says("bot1")
        assert shift.remade("live-microcap") == {"bot1"}
        assert "LIVE MODE" in shift.says("bot1")
        assert shift.remade("live-notrade") == {"bot1"}
        assert "LIVE MODE" in shift.says("bot1")

    def test_an_upgrade_goes_to_the_test_bots_then_to_bot_1_and_back_again(self, shift: Shift) -> None:
        with pytest.raises(AssertionError, match="reads former paths in this generation"):
            shift.verify("upgrade-test", image=TARGET)
        _as_mended(shift.project.folder)
        shift.upgrade_and_roll_back(with_bot_1=True)

    def test_a_shutdown_leaves_the_test_bots_and_what_redis_holds(self, shift: Shift) -> None:
        shift.desk.container("bot1").stop()
        shift.verify("shutdown")
        assert shift.project.containers().keys() == {"bot3", "bot4"}
        assert shift.project.volumes() == {f"{shift.project.name}_{KEPT}"}

    def test_each_that_has_compose_do_something_was_run(self, shift: Shift) -> None:
        assert shift.not_run() == set()


def _as_mended(folder: Path) -> None:
    """The reports of the upgrade check and of the gates as their scripts write them once their paths and the
    policy are set right."""
    for name, status in {"upgrade": "pass", "promotion_gates": "PASS"}.items():
        path = folder / "reports" / name / "latest.json"
        said = json.loads(path.read_text())
        path.write_text(json.dumps({**said, "status": status, "critical_failures": []}))
