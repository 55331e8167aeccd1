"""The simulated desk of trading bots and an armed room: one procedure of each class to its verdict."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from backends.config import load
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.examination import Answer
from backends.model.intent import Intent
from backends.model.procedure import Run, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import TradingState
from backends.model.weigh import word_of
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.terminal.program import command

STACK = "trading-bot"
NOTHING: Mapping[str, str] = {}


@dataclass
class Room:
    """A demo, a room armed on it, and the desk's Redis as its own programs see it."""

    world: DemoWorld
    engine: Engine
    store: Any
    changed: threading.Event

    @property
    def board(self) -> Board:
        return self.engine.board(STACK)

    def run(
        self, procedure: str, phrase: str | None = None, shown: Mapping[str, str] = NOTHING, **params: str
    ) -> Run:
        """From the order to the first verdict; ordered again while the last one's end is being written."""
        run = self._run(procedure, phrase, params, shown)
        while "wait for its end" in run.sentence:
            self.changed.wait(0.1)
            run = self._run(procedure, phrase, params, shown)
        return run

    def _run(
        self, procedure: str, phrase: str | None, params: Mapping[str, str], shown: Mapping[str, str]
    ) -> Run:
        ident, reason = str(uuid.uuid4()), SafeText("an exercise")
        operator, seen = self.engine.operator, self.board.seq
        intent = Intent(
            ident, STACK, procedure, operator, reason, seen, "screen",
            params=params, phrase=phrase, shown=shown,
        )  # fmt: skip
        self.engine.submit(intent)
        self.until(lambda: self.verdict(ident) is not None)
        run = self.engine.run(ident)
        assert run is not None
        return run

    def verdict(self, ident: str) -> Verdict | None:
        run = self.engine.run(ident)
        return None if run is None else run.verdict

    def until(self, is_so: Callable[[], object], seconds: float = 15.0) -> None:
        ends = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < ends, self.board.trading
            self.changed.wait(0.05)
            self.changed.clear()


def folder_of(room: Room, source: str) -> Path:
    return Path(room.engine.stacks[0].sources[source].url.removeprefix("file://"))


def alarms(room: Room) -> set[str]:
    return {alarm.id for alarm in room.board.alarms}


def finds(room: Room, diagnosis: str) -> bool:
    """The doctor, asked now."""
    asked = room.engine.checks(STACK).examine([room.engine.stacks[0].diagnoses[diagnosis]])
    (result,) = asked.result(30.0).values()
    return result.answer is Answer.YES


def looked(room: Room, fact: str, since: Instant) -> bool:
    """Whether it was read after that; asks for it."""
    room.engine.refresh(STACK)
    return room.board.readings[fact].received.mono > since.mono


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    world = start_demo(STACK)
    config = load(world.config, env=os.environ)
    stacks = [replace(stack, is_single_operator=True) for stack in config.stacks]
    engine = Engine(stacks, Mode.ARMED, tmp_path_factory.mktemp("state"), identify())
    changed = threading.Event()
    engine.subscribe(changed.set)
    engine.start()
    store = redis.Redis.from_url(world["redis"], decode_responses=True)
    yield Room(world, engine, store, changed)
    store.close()
    engine.stop(1.0)
    world.stop()


@pytest.fixture(autouse=True)
def trading_again(room: Room) -> None:
    """A test begins with a desk that trades."""
    room.store.set("mode", "auto")


def test_everything_of_the_desk_answers_and_nothing_is_wrong(room: Room) -> None:
    room.until(lambda: all(each.is_up is not False for each in room.board.sources.values()))
    room.until(lambda: room.board.trading.state is TradingState.TRADING)
    assert room.board.environment is Environment.DEMO
    # An answer that came too late once, on a busy machine, is an alarm until the next.
    room.until(lambda: not room.board.alarms)
    ring = room.engine.logs(STACK)
    room.until(lambda: ring.end > ring.first)


def test_influence_is_made_zero_in_both_namespaces(room: Room) -> None:
    """Of the class routine."""
    switch(room.world, "influence", is_on=True)
    assert room.run("zero-influence").verdict is Verdict.VERIFIED
    keys = ("policy:allowed_influence_pct", "policy:allowed_influence_pct:SOL-USD", "influence:SOL-USD")
    assert room.store.mget(keys) == ["0", "0", "0"]
    assert room.store.ttl(keys[0]) == -1
    assert room.store.get("mode") == "auto", "it removes the policy's share and stops nothing"


def test_a_gate_report_is_the_newest_by_its_own_word_not_by_its_file_s_time(room: Room) -> None:
    room.until(lambda: "PASS" in word_of(room.board.readings["gate.result"].value))
    copied = folder_of(room, "app") / "artifacts" / "restored" / "rl" / "gate_report.md"
    copied.parent.mkdir(parents=True)
    copied.write_text("# RL Gate Report\n\n**Timestamp:** 2026-01-05T04:00:00Z\n\n\u274c FAIL\n")
    seen = room.board.readings["gate.result"].received
    room.until(lambda: looked(room, "gate.result", seen))
    assert "PASS" in word_of(room.board.readings["gate.result"].value)

    done = room.run("validate")
    assert done.verdict is Verdict.VERIFIED, done.sentence
    ended = room.engine.clock.now()
    room.until(lambda: looked(room, "gate.result", ended) and looked(room, "gate.stamp", ended))
    assert word_of(room.board.readings["gate.result"].value) == "\u274c"
    assert abs(room.board.readings["gate.stamp"].value - ended.wall) < 60


def test_a_weight_is_set_and_read_back_as_a_number(room: Room) -> None:
    """Of the class restore."""
    run = room.run("set-weight", "SET WEIGHT", venue="router:weight:coinbase", weight="0.4")
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert room.store.get("router:weight:coinbase") == "0.4"


def test_an_approved_stage_becomes_the_cap_once(room: Room) -> None:
    """Slack's second click sets the cap to 0."""
    assert room.run("capital-request", "REQUEST CAPITAL", fraction="0.5").verdict is Verdict.VERIFIED
    room.until(lambda: word_of(room.board.readings["capital.request"].value) == "0.5")
    approved = room.run("capital-approve", "APPROVE CAPITAL", shown={"request": "0.5"})
    assert approved.verdict is Verdict.VERIFIED, approved.sentence
    assert room.store.mget("risk:capital_cap_next_week", "risk:capital_stage_request") == ["0.5", None]
    again = room.run("capital-approve", "APPROVE CAPITAL", shown={"request": "0.5"})
    assert again.verdict is Verdict.REFUSED
    assert room.store.get("risk:capital_cap_next_week") == "0.5"


def test_a_resume_without_its_preconditions_writes_nothing(room: Room) -> None:
    room.store.set("mode", "halt")
    run = room.run("resume-auto", "RESUME TRADING-BOT", shown={"mode": "halt"})
    assert run.verdict is Verdict.REFUSED
    assert "snapshot" in run.sentence
    assert room.store.get("mode") == "halt"


def test_a_halt_is_not_green_while_order_processes_live_and_is_when_they_are_ended(room: Room) -> None:
    """Of the classes stop and degrade."""
    switch(room.world, "live-orders", is_on=True)
    halt = room.run("halt")
    assert halt.verdict is Verdict.CONTRADICTED
    assert "NOT HALTED" in halt.sentence
    assert room.store.get("mode") == "halt", "what could be halted is"
    room.until(lambda: room.board.trading.because.startswith("strategies halted; live order processes not"))
    assert room.board.trading.state is TradingState.TRADING
    assert room.board.environment is Environment.LIVE

    ended = room.run("stop-all-order-processes", "END ALL ORDER PROCESSES")
    assert ended.verdict is Verdict.VERIFIED, ended.sentence
    room.until(lambda: room.board.trading.state is TradingState.HALTED)


def test_a_halt_by_command_is_proved_and_leaves_its_reason_and_history(room: Room) -> None:
    store = room.store
    room.until(lambda: store.keys("mm:quote:*"))
    world = room.world
    halt = command(world.config, world.env, "run", "halt", "--reason", "an exercise", "--no-wait")
    assert halt.returncode == 0, halt.stdout
    assert "VERIFIED: STRATEGIES AND TRADING_BOT HALTED" in halt.stdout
    assert store.mget("mode", "last_halt_reason") == ["halt", "operator"]
    newest = json.loads(store.lindex("mode:history", 0))
    assert (newest["mode"], newest["source"]) == ("halt", "control_room")
    assert abs(newest["timestamp"] - time.time()) < 30
    room.until(lambda: not store.keys("mm:quote:*"))
    room.until(lambda: not store.keys("strategy:basis:*:pos"))


def test_quotes_that_an_ended_maker_left_are_none_and_those_of_one_that_goes_on_are(room: Room) -> None:
    """After SIGTERM the market maker leaves its quotes in Redis: their own time tells them apart."""
    quote = {"quote_id": "q", "symbol": "LEFT", "side": "bid", "price": 1, "timestamp": time.time() - 3600}
    room.store.set("mm:quote:LEFT:bid", json.dumps(quote))
    halted = room.run("halt")
    room.until(lambda: room.verdict(halted.operation) is Verdict.VERIFIED)
    room.store.set("mode", "auto")
    switch(room.world, "halt-ignored", is_on=True)
    ignored = room.run("halt")
    switch(room.world, "halt-ignored", is_on=False)
    room.store.delete("mm:quote:LEFT:bid")
    assert ignored.verdict is not Verdict.VERIFIED
    assert "quotes: " in ignored.sentence


def test_a_halt_that_is_erased_is_taken_back_and_told(room: Room) -> None:
    """The quality gate deletes the mode whoever set it."""
    switch(room.world, "halt-erased", is_on=True)
    halt = room.run("halt")
    room.until(lambda: room.verdict(halt.operation) is Verdict.CONTRADICTED)
    switch(room.world, "halt-erased", is_on=False)
    assert room.store.get("mode") is None
    room.until(lambda: "mode-erased" in alarms(room))


def test_a_snapshot_is_one_whose_archive_was_opened_and_holds_no_failed_section(room: Room) -> None:
    taken = room.run("snapshot")
    assert taken.verdict is Verdict.VERIFIED, (taken.sentence, taken.blockers)
    script = folder_of(room, "app") / "scripts" / "capture_state.py"
    whole = script.read_text()
    script.write_text(whole.replace('"positions": {}', '"positions": {"error": "wrong type"}'))
    failed = room.run("snapshot")
    script.write_text(whole)
    assert failed.verdict is not Verdict.VERIFIED
    assert (failed.steps[-1].step, failed.steps[-1].state) == ("open", StepState.FAILED)


def test_positions_of_before_the_last_start_of_basis_carry_are_told_as_abandoned(room: Room) -> None:
    """A restarted one neither manages nor closes them, and no halt removes their keys."""
    key = "strategy:basis:LEFT:pos"
    room.until(lambda: room.store.keys("strategy:basis:*:pos"))
    left = {"position_id": "LEFT-1", "symbol": "LEFT", "entry_time": time.time() - 86_400.0, "status": "open"}
    room.store.set(key, json.dumps(left))
    room.until(lambda: "basis-abandoned" in alarms(room))
    assert room.board.readings["basis.abandoned"].value.total == 1, "the one it opened itself is none"
    assert finds(room, "basis-abandoned")
    room.store.delete(key)
    room.until(lambda: "basis-abandoned" not in alarms(room))


TOLD = {
    "policy-stale": {"policy-stale"},
    "drawdown": {"drawdown"},
    "slow-venue": {"latency", "fill-rate"},
    "recon-breach": {"recon-breach", "recon-diff", "mode-halted"},
}
"""Fault of the demo, and the alarms that tell of it."""


def test_what_goes_wrong_is_told_by_alarms_of_its_own_until_it_is_over(room: Room) -> None:
    wanted = set().union(*TOLD.values())
    assert not wanted & alarms(room)
    for fault in TOLD:
        switch(room.world, fault, is_on=True)
    room.until(lambda: wanted <= alarms(room), 30)
    for fault in TOLD:
        switch(room.world, fault, is_on=False)
    room.store.set("mode", "auto")
    room.until(lambda: not wanted & alarms(room), 30)


def test_a_word_that_only_looks_like_a_halt_is_none(room: Room) -> None:
    switch(room.world, "mode-typo", is_on=True)
    room.until(lambda: "mode-unknown" in alarms(room))
    assert room.board.trading.state is not TradingState.HALTED
    switch(room.world, "mode-typo", is_on=False)
    room.until(lambda: "mode-unknown" not in alarms(room))


def test_dollars_in_place_of_a_fraction_are_found_when_the_enforcer_has_made_all_of_them(room: Room) -> None:
    """They stay for one step of the enforcer; then the key reads 1.0, which is a fraction like any other."""
    assert not finds(room, "capital-snapped")
    switch(room.world, "dollars", is_on=True)
    room.until(lambda: alarms(room) & {"capital-unit", "capital-range"})
    room.until(lambda: finds(room, "capital-snapped"))
    switch(room.world, "dollars", is_on=False)
    room.until(lambda: not alarms(room) & {"capital-unit", "capital-range"})


def test_a_health_checker_is_known_by_the_heartbeat_it_forges_and_writes_over_a_halt(room: Room) -> None:
    written = room.store.get("policy:last_update")
    switch(room.world, "failover", is_on=True)
    room.until(lambda: "erasers" in alarms(room))
    room.until(lambda: finds(room, "heartbeat-forged"))
    room.store.set("mode", "halt")
    room.until(lambda: "mode-failover" in alarms(room))
    switch(room.world, "failover", is_on=False)
    room.store.mset({"policy:last_update": written, "mode": "auto"})
    room.until(lambda: not alarms(room) & {"erasers", "mode-failover"})


@pytest.mark.parametrize("fault", ["redis-hang", "redis-refuse"])
def test_without_redis_nobody_knows_whether_it_trades(room: Room, fault: str) -> None:
    """Unless trading_bot runs, which does."""
    assert room.run("stop-trading-bot", "STOP TRADING_BOT").verdict is Verdict.VERIFIED
    room.until(lambda: room.board.trading.state is TradingState.TRADING)
    switch(room.world, fault, is_on=True)
    room.until(lambda: room.board.sources["redis"].is_up is False)
    room.until(lambda: room.board.trading.state is TradingState.UNKNOWN)
    switch(room.world, fault, is_on=False)
    room.until(lambda: room.board.trading.state is TradingState.TRADING)
