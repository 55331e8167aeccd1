"""The procedures of Claire de Binare that restart, pause, stop and erase single parts of it, each to its
verdict on the demo, whose stores, HTTP and processes are real.

One story: each test goes on where the one before it ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from backends.demo.process import free_port
from backends.model.fact import Table
from backends.model.procedure import Verdict
from backends.procedures.confirm import phrase_of
from tests.contract.claire_room import ClaireRoom, on_demo
from tests.servers.process import Child, listens

BACKUP = "cdb_backup_20260117_101500"
WRITERS = ("cdb_signal", "cdb_risk", "cdb_execution", "cdb_db_writer", "cdb_paper_runner")
"""In the order in which they are stopped."""
SEEN = ("bus.orders", "bus.results")
"""Facts that count who hears: all three once everything is up."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaireRoom]:
    with on_demo(tmp_path_factory.mktemp("state")) as made:
        yield made


def verify(room: ClaireRoom, procedure: str, **params: str) -> None:
    phrase = phrase_of(room.stack.procedures[procedure], room.stack, params)
    room.until(lambda: room.refusal(procedure, phrase, **params) == "", procedure, 30)
    run = room.run(procedure, phrase, **params)
    assert run.verdict is Verdict.VERIFIED, (procedure, run.sentence, run.steps)


def state(room: ClaireRoom, service: str) -> str:
    return str(room.docker.inspect_container(service)["State"]["Status"])


def finished(room: ClaireRoom, service: str) -> float:
    """When its container ended last, in epoch seconds."""
    at = room.docker.inspect_container(service)["State"]["FinishedAt"]
    return datetime.fromisoformat(at).timestamp()


def owners(room: ClaireRoom) -> dict[str, str]:
    """Who listens, by port, as the list of them says."""
    listed = room.board.readings["host.ports"].value
    assert isinstance(listed, Table)
    port, process = map(listed.columns.index, ("port", "process"))
    return {str(row[port]): str(row[process]) for row in listed.rows}


@contextmanager
def restarted(room: ClaireRoom, service: str) -> Iterator[None]:
    """What is done meanwhile restarts its container."""
    before = room.docker.inspect_container(service)["State"]["StartedAt"]
    yield
    assert room.docker.inspect_container(service)["State"]["StartedAt"] > before
    assert state(room, service) == "running"


def begin_again(room: ClaireRoom, *services: str) -> None:
    """They run, and everything that shall hear the bus does."""
    for service in services:
        room.docker.start(service)
    room.until(lambda: all(room.value(fact) == "3" for fact in SEEN), "all hear the bus", 30)


@pytest.mark.parametrize("procedure", ["redis-save", "grafana-password"])
def test_what_restarts_nothing_is_done_and_read_back(room: ClaireRoom, procedure: str) -> None:
    verify(room, procedure)


@pytest.mark.parametrize(
    ("procedure", "service", "chosen"),
    [
        ("restart-grafana", "cdb_grafana", {}),
        ("restart-execution", "cdb_execution", {}),
        ("restart-allocation", "cdb_allocation", {}),
        ("restart-subscriber", "cdb_db_writer", {"service": "cdb_db_writer"}),
        ("restart-subscriber", "cdb_risk", {"service": "cdb_risk"}),
    ],
)
def test_one_service_is_restarted_and_does_its_work_again(
    room: ClaireRoom, procedure: str, service: str, chosen: dict[str, str]
) -> None:
    with restarted(room, service):
        verify(room, procedure, **chosen)


def test_a_change_of_the_regime_is_adopted_when_allocation_is_restarted(room: ClaireRoom) -> None:
    """10-D: allocation never follows it by itself."""

    def is_behind() -> bool:
        return "allocation-behind" in {alarm.id for alarm in room.board.alarms}

    assert not is_behind()
    now = int(time.time())
    ((_, decided),) = room.redis.xrevrange("stream.allocation_decisions", count=1)
    ((_, regime),) = room.redis.xrevrange("stream.regime_signals", count=1)
    room.redis.xadd("stream.allocation_decisions", decided | {"ts": str(now - 61)})
    room.redis.xadd("stream.regime_signals", regime | {"ts": str(now), "regime": "TREND"})
    room.until(is_behind, "the alarm")
    verify(room, "restart-allocation")
    room.until(lambda: not is_behind(), "its end")


def test_what_was_paused_is_given_the_allocation_that_is_named(room: ClaireRoom) -> None:
    verify(room, "pause")
    verify(room, "unpause", pct="0.010000")
    ((_, newest),) = room.redis.xrevrange("stream.allocation_decisions", count=1)
    assert (newest["allocation_pct"], newest["reason"]) == ("0.010000", "operator_unpause")


def test_a_process_that_holds_a_port_is_ended_by_its_number_and_command(room: ClaireRoom) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    held = Child(argv, room.world.home / "held.log", stdout=subprocess.DEVNULL)
    try:
        held.wait_ready(lambda: listens(port))
        room.until(lambda: owners(room).get(str(port)), "the port in the list", 30)
        command = " ".join(argv)
        verify(room, "end-process", owner=owners(room)[str(port)], pid=str(held.pid), command=command)
        assert held.popen.wait(5.0) is not None
        assert not listens(port)
    finally:
        held.stop()


def test_writes_are_stopped_by_a_halt_and_then_from_the_signal_to_the_journal(room: ClaireRoom) -> None:
    """RB-83: in any other order events are lost. Before any stop here: that would end some once more."""
    verify(room, "stop-writes")
    assert {state(room, service) for service in WRITERS} == {"exited"}
    ((entry, _),) = room.redis.xrange("stream.bot_shutdown")
    halted = int(entry.partition("-")[0]) / 1000
    order = [halted, *(finished(room, service) for service in WRITERS)]
    assert order == sorted(order)
    room.redis.delete("stream.bot_shutdown")
    begin_again(room, *WRITERS)


def test_a_hard_halt_stops_execution_and_what_would_order(room: ClaireRoom) -> None:
    run = room.run("halt-hard")
    assert run.verdict is Verdict.VERIFIED, run.sentence
    stopped = ("cdb_execution", "cdb_signal", "cdb_risk")
    assert {state(room, service) for service in stopped} == {"exited"}
    assert not room.redis.exists("stream.bot_shutdown")
    begin_again(room, *stopped)


def test_an_erased_redis_holds_the_halt_and_nothing_else(room: ClaireRoom) -> None:
    halt = {"ts": str(int(time.time())), "reason": "exercise", "priority": "SAFETY", "strategy_id": "paper"}
    room.redis.xadd("stream.bot_shutdown", halt)
    verify(room, "backup", backup=BACKUP)
    verify(room, "redis-flush")
    assert state(room, "cdb_execution") == "exited"
    assert room.redis.xlen("stream.bot_shutdown") == 1
    assert not room.redis.exists("stream.fills")
