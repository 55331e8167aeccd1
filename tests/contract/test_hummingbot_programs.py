"""The procedures of the Hummingbot desk that have compose start, make anew and end containers, each to its
verdict on a real engine: what its bots then say of themselves follows from the environment file.

One operator's shift: each test goes on where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import started
from tests.contract.desk_shift import Shift, in_one_room
from tests.servers.compose import need_compose
from tests.servers.desk_project import BOTS, MONITORING, PLANE, RECOVERED, TARGET
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = DOCKER


@pytest.fixture(scope="module")
def shift(docker_engine: DockerEngine) -> Iterator[Shift]:
    started("docker compose", need_compose)
    with in_one_room(docker_engine, "R1") as shift:
        yield shift


def test_the_database_its_writer_and_its_console_are_started_one_by_one(shift: Shift) -> None:
    shift.verify("opsdb-start")
    shift.verify("pgadmin-start")
    assert shift.project.running() == {"postgres", "pgadmin"}
    shift.verify("writer-once")
    assert shift.project.running() == {"postgres", "pgadmin"}, "it loads once and leaves nothing that runs"
    shift.verify("writer-start")
    assert shift.project.running() == {"postgres", "pgadmin", "ops-db-writer"}


def test_monitoring_is_started_with_the_exporter_that_the_runbook_forgets(shift: Shift) -> None:
    assert shift.begun("monitoring-start") == {*MONITORING}


def test_the_event_store_is_recovered_with_the_four_services_it_needs(shift: Shift) -> None:
    assert shift.begun("recover-event-store") == {*RECOVERED}


def test_the_desk_is_started_whose_stores_are_down_with_its_control_plane_and_without_bot_2(
    shift: Shift,
) -> None:
    with shift.without_stores():
        with pytest.raises(AssertionError, match=r"The clock of Redis \(bus\)"):
            shift.verify("recreate-bot1")  # which does not start them
        shift.verify("start-desk")
    assert {"bot1", "bot-watchdog", *MONITORING, *PLANE} <= shift.project.running()
    assert not {"bot2", "bot3", "bot4"} & shift.project.running()


def test_validation_bots_are_started_and_one_is_made_anew(shift: Shift) -> None:
    assert shift.begun("start-bot3") == {"bot3"}
    assert shift.begun("start-validation") == {"bot4"}
    assert shift.remade("recreate-bot4") == {"bot4"}


def test_one_service_is_made_anew_and_nothing_that_depends_on_it(shift: Shift) -> None:
    assert shift.remade("recreate-snapshot") == {"exchange-snapshot-service"}
    assert shift.remade("recreate-service", service="kill-switch") == {"kill-switch"}
    assert shift.remade("recreate-bot1") == {"bot1"}


def test_a_paper_profile_is_what_bot_1_says_it_runs(shift: Shift) -> None:
    script = "v2_epp_v2_4_bitget_paper_smoke.yml"
    assert shift.remade("bot1-profile", script=script) == {"bot1"}
    assert "mode=PAPER" in shift.says("bot1")


def test_live_without_trading_is_proved_by_minutes_of_this_very_start(shift: Shift) -> None:
    assert shift.remade("live-notrade") == {"bot1"}
    assert "LIVE MODE" in shift.says("bot1")


def test_an_upgrade_goes_to_the_test_bots_then_to_bot_1_and_back_again(shift: Shift) -> None:
    shift.verify("upgrade-check", image=TARGET)
    shift.upgrade_and_roll_back(with_bot_1=True)


def test_bot_1_goes_live_with_real_money_by_its_own_word(shift: Shift) -> None:
    assert shift.remade("live-microcap") == {"bot1"}
    assert "LIVE MODE" in shift.says("bot1")


def test_without_the_bus_the_control_plane_ends_and_bots_go_on(shift: Shift) -> None:
    shift.verify("degraded")
    assert not shift.project.running() & {*PLANE} - {"mosquitto", "telegram-bot"}
    assert {*BOTS, "bot-watchdog"} <= shift.project.running()


def test_a_shutdown_leaves_what_the_runbook_does_not_speak_of(shift: Shift) -> None:
    shift.project.compose("-f", "compose/docker-compose.yml", "--env-file", "env/.env", "stop", "bot1")
    shift.verify("shutdown")
    assert shift.project.containers().keys() == {"bot3", "bot4", "postgres", "pgadmin", "ops-db-writer"}


def test_each_that_has_compose_do_something_was_run(shift: Shift) -> None:
    assert shift.not_run() == set()
