"""Known failures of Claire de Binare, made by its demo: the doctor finds each, and no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.examination import Answer
from backends.model.trading import TradingState
from tests.contract.claire_room import ClaireRoom, on_demo

KNOWN = {
    "execution-deaf": ("orders-subscriber", "restart-execution"),
    "writer-down": ("results-subscriber", "restart-subscriber"),
    "cooldown": ("cooldown", "restart-allocation"),
    "saturated": ("saturated", "restart-service"),
    # The last one of them: all services end and begin anew with their Redis.
    "secret-directory": ("secret-directory", "stack-start"),
}
"""Fault of the demo: what the doctor finds, and the procedure it names."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaireRoom]:
    with on_demo(tmp_path_factory.mktemp("state")) as made:
        yield made


def test_a_halt_that_names_no_strategy_is_over_with_the_next_start_of_execution(room: ClaireRoom) -> None:
    """Risk writes that it heard of it and blocks nothing: its words must not keep it halted for ever."""
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades", 60)
    room.redis.xadd("stream.bot_shutdown", {"ts": "1768600000", "reason": "by hand", "priority": "SAFETY"})
    room.until(lambda: room.value("execution.latched") == "true", "execution halts")
    room.until(lambda: b"Bot-Shutdown empfangen" in room.docker.logs("cdb_risk", tail=50), "risk hears of it")
    assert room.board.trading.state is TradingState.HALTED
    room.redis.delete("stream.bot_shutdown")
    room.until(lambda: room.value("halt.kept") == "false", "that Redis has lost it is seen")
    assert room.board.trading.state is TradingState.HALTED
    assert "its restart would trade" in room.refusal("restart-execution")
    room.docker.restart("cdb_execution", timeout=1)
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades again", 40)


def test_decisions_that_redis_lost_halt_no_risk_that_remembers_them(room: ClaireRoom) -> None:
    """It reads the stream when it starts, and from then on what is new: it approves by what it knows."""
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades", 60)
    room.redis.delete("stream.allocation_decisions")
    try:
        room.until(lambda: room.value("allocation.pct") is None, "the loss of the decisions")
        approved = room.redis.xlen("stream.orders")
        room.until(lambda: room.redis.xlen("stream.orders") > approved, "risk approves on", 60)
        assert room.board.trading.state is TradingState.UNKNOWN
    finally:
        room.docker.restart("cdb_allocation", timeout=1)
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades again", 60)


ALARMS = {
    "feed-stale": "feed-stale",
    "inert-switch": "inert-file",
    "writer-down": "orders-unheard",
    "postgres-down": "writer-fails",
}
CHECKS = {"logs-not-shipped": "loki", "postgres-down": "stack-up"}
"""Fault of the demo, and what does not pass then though it passed before."""


@pytest.mark.parametrize("fault", ALARMS)
def test_what_nobody_would_see_in_healthy_containers_raises_an_alarm_of_its_own(
    room: ClaireRoom, fault: str
) -> None:
    def alarms() -> set[str]:
        return {alarm.id for alarm in room.board.alarms}

    room.until(lambda: ALARMS[fault] not in alarms(), "nothing is wrong", 30)
    room.fault(fault, is_on=True)
    try:
        room.until(lambda: ALARMS[fault] in alarms(), f"the alarm of {fault}", 40)
    finally:
        room.fault(fault, is_on=False)


@pytest.mark.parametrize("fault", CHECKS)
def test_a_check_that_passed_fails_with_what_it_is_about(room: ClaireRoom, fault: str) -> None:
    room.until(lambda: room.answer(CHECKS[fault]) is Answer.YES, "it passes", 40)
    room.fault(fault, is_on=True)
    try:
        room.until(lambda: room.answer(CHECKS[fault]) is Answer.NO, f"the end of {CHECKS[fault]}", 30)
    finally:
        room.fault(fault, is_on=False)


@pytest.mark.parametrize("fault", ["redis-hang", "redis-refuse"])
def test_without_redis_nobody_knows_whether_it_trades(room: ClaireRoom, fault: str) -> None:
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades", 40)
    room.fault(fault, is_on=True)
    try:
        room.until(lambda: room.board.sources["redis"].is_up is False, "the loss of it")
        room.until(lambda: room.board.trading.state is TradingState.UNKNOWN, "nothing known")
    finally:
        room.fault(fault, is_on=False)
    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades again", 40)


@pytest.mark.parametrize("fault", KNOWN)
def test_the_doctor_finds_it_and_names_what_mends_it(room: ClaireRoom, fault: str) -> None:
    found, procedure = KNOWN[fault]
    room.until(lambda: room.answer(found) is Answer.NO, "nothing is wrong", 30)
    assert room.stack.diagnoses[found].procedure == procedure
    room.fault(fault, is_on=True)
    try:
        room.until(lambda: room.answer(found) is Answer.YES, f"the doctor finds {found}", 30)
        if fault == "writer-down":  # it hears orders too: that execution does, this count alone does not say
            assert room.answer("orders-subscriber") is Answer.NO
    finally:
        room.fault(fault, is_on=False)


def test_a_halt_whose_entry_is_thrown_away_ends_with_the_container_stopped(room: ClaireRoom) -> None:
    """The entry may have been read back before it went: the proof is undone, and the next rung is gone."""

    def is_stopped() -> bool:
        return str(room.docker.inspect_container("cdb_execution")["State"]["Status"]) == "exited"

    room.until(lambda: room.board.trading.state is TradingState.TRADING, "it trades", 60)
    room.fault("halt-erased", is_on=True)
    try:
        room.run("halt")
        room.until(lambda: room.value("halt.stream") == "false", "the entry is gone")
        room.until(is_stopped, "the container is what halts")
        room.until(lambda: room.board.trading.state is TradingState.HALTED, "that it halts is seen")
    finally:
        room.fault("halt-erased", is_on=False)
