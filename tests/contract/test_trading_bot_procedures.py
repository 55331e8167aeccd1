"""Every procedure of the trading bots that ``test_trading_bot_units`` does not run on a real systemd, each to
its verdict on the demo: Redis, processes and files are real.

One operator's shift: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from backends.model.action import SystemdVerb
from backends.model.examination import Answer, Examined
from backends.model.procedure import RiskClass, StepState, Verdict
from backends.model.stack import SourceKind
from backends.model.trading import TradingState
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.process import wait_until
from tests.terminal.planned import alone

ID = "trading-bot"


@dataclass
class Shift:
    world: DemoWorld
    room: ArmedRoom
    store: Any
    done: set[str] = field(default_factory=set)

    def verify(self, procedure: str, **params: str) -> None:
        run = self.room.perform(procedure, **params)
        assert run.verdict is Verdict.VERIFIED, f"{procedure}: {run.sentence} {run.blockers}"
        self.done.add(procedure)

    def folder(self, source: str) -> Path:
        assert self.room.stack.sources[source].kind is SourceKind.FILES
        return Path(self.room.stack.sources[source].url.removeprefix("file://"))

    def running(self) -> list[str]:
        """The command lines of the demo's own programs, by ``pgrep``."""
        asked = ["pgrep", "--full", "--list-full", f"{self.folder('app')}/scripts/"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return [line.partition(" ")[2] for line in done.stdout.splitlines()]

    def found(self, *diagnoses: str) -> dict[str, Examined]:
        """What of these the doctor finds, asked now."""
        asked = [self.room.stack.diagnoses[name] for name in diagnoses]
        return {
            item.partition(":")[2]: result
            for item, result in self.room.engine.checks(ID).examine(asked).result(30.0).items()
            if result.answer is Answer.YES
        }

    def is_state(self, state: TradingState) -> None:
        board = self.room.engine.board
        wait_until(lambda: board(ID).trading.state is state, 15, f"the state {state}")


@pytest.fixture(scope="module")
def shift() -> Iterator[Shift]:
    world = start_demo(ID)
    config = world.config.with_name("shift.toml")
    config.write_text(alone(world.config.read_text()))
    config.chmod(0o600)
    room = ArmedRoom(config, world.env, world.home / "journal", looking_patiently)
    with redis.Redis.from_url(world["redis"], decode_responses=True) as store:
        yield Shift(world, room, store)
    room.close()
    world.stop()


def test_a_chaos_monkey_is_switched_off(shift: Shift) -> None:
    shift.store.delete("chaos:enabled")  # which means that it is on
    shift.verify("chaos-off")
    assert shift.store.get("chaos:enabled") == "false"


def test_the_doctor_says_why_a_bot_is_started_again_and_again(shift: Shift) -> None:
    loops = ("bot-loops", "bot-loops-silent", "bot-down", "bot-not-installed")
    assert shift.found(*loops) == {}
    switch(shift.world, "bot-crash-loop", is_on=True)
    found = wait_until(lambda: shift.found(*loops), 15, "the loop")
    switch(shift.world, "bot-crash-loop", is_on=False)
    assert found.keys() == {"bot-loops"}
    assert "ModuleNotFoundError: No module named 'ccxt'" in str(found["bot-loops"])


KNOWN = {
    "chaos-on": [("DEL", "chaos:enabled")],
    "drift-floor": [("SET", "drift:flag", "0")],
    "capital-in-dollars": [("SET", "risk:capital_effective", "20000.0")],
    "heartbeat-forged-elsewhere": [("SET", "policy:last_update", "1768212000.53")],
    "stats-of-another-type": [("DEL", "risk:stats"), ("SET", "risk:stats", "0.01")],
    "influence-for-ever": [("SET", "policy:allowed_influence_pct", "5")],
    "colour-blue-as-green": [("SET", "mode:active_color", "blue"), ("SET", "metrics:active_color", "1")],
}
"""What is written into Redis, and the failure that the doctor then knows it for."""


def test_each_failure_is_known_by_what_it_leaves_in_redis_and_none_is_seen_without(shift: Shift) -> None:
    assert shift.found(*KNOWN) == {}
    raw = redis.Redis.from_url(shift.world["redis"])
    kept = {key: raw.dump(key) for commands in KNOWN.values() for _, key, *_ in commands}
    for commands in KNOWN.values():
        for command in commands:
            shift.store.execute_command(*command)
    wait_until(lambda: shift.found(*KNOWN).keys() == KNOWN.keys(), 20, "all of them")
    for key, value in kept.items():
        raw.delete(key)
        if value is not None:
            raw.restore(key, 0, value)
    raw.close()
    wait_until(lambda: not shift.found(*KNOWN), 20, "none of them")


def test_the_logs_are_packed_and_stay(shift: Shift) -> None:
    before = {path.name for path in (shift.folder("app") / "logs").iterdir()}
    shift.verify("archive-logs")
    (archive,) = shift.folder("app").glob("logs-*.tgz")
    with tarfile.open(archive) as packed:
        assert {Path(name).name for name in packed.getnames()} == {"logs", *before}
    assert {path.name for path in (shift.folder("app") / "logs").iterdir()} == before


def test_a_stage_that_is_rejected_is_no_request_and_no_cap(shift: Shift) -> None:
    cap = shift.store.get("risk:capital_cap_next_week")
    shift.verify("capital-request", fraction="0.2")
    assert shift.store.get("risk:capital_stage_request") == "0.2"
    shift.verify("capital-reject")
    assert shift.store.keys("risk:capital_stage_*") == []
    assert shift.store.get("risk:capital_cap_next_week") == cap


def test_a_program_that_erases_halts_is_ended(shift: Shift) -> None:
    switch(shift.world, "halt-erased", is_on=True)
    (command,) = [each for each in shift.running() if "feature_quality_gate.py" in each]
    shift.verify("stop-eraser", command=command)
    assert command not in shift.running()
    switch(shift.world, "halt-erased", is_on=False)


def test_one_order_process_is_ended_and_the_other_lives(shift: Shift) -> None:
    before = shift.running()
    switch(shift.world, "live-orders", is_on=True)
    started = {each for each in shift.running() if each not in before}
    (autopilot,) = [each for each in started if "autopilot_green.py" in each]
    shift.verify("stop-order-process", command=autopilot)
    assert started & {*shift.running()} == started - {autopilot}
    switch(shift.world, "live-orders", is_on=False)


@pytest.mark.parametrize("procedure", ["halt", "halt-starve"])
def test_a_history_that_cannot_be_written_keeps_no_halt_from_being_set(shift: Shift, procedure: str) -> None:
    """Somebody has put a text where the list of changes was: what is only for the record must not veto."""
    kept = shift.store.lrange("mode:history", 0, -1)
    shift.store.delete("mode:history")
    shift.store.mset({"mode:history": "spoiled", "mode": "auto"})
    run = shift.room.perform(procedure)
    strategies = [each for each in run.steps if each.step.startswith("mode")]
    assert StepState.VERIFIED in [each.state for each in strategies], run.sentence
    assert shift.store.mget("mode", "last_halt_reason") == ["halt", "operator"]
    shift.store.delete("mode:history")
    if kept:
        shift.store.rpush("mode:history", *kept)


def test_a_halt_that_starves_too_takes_the_capital_below_what_strategies_trade_with(shift: Shift) -> None:
    shift.verify("halt-starve")
    assert shift.store.mget("mode", "last_halt_reason") == ["halt", "operator"]
    assert float(shift.store.get("risk:capital_effective")) < 0.1
    shift.is_state(TradingState.HALTED)


def test_that_a_halt_holds_is_proved_by_looking_on_while_the_engine_is_stopped_too(shift: Shift) -> None:
    shift.verify("prove-halt")
    systemctl = f"{urlsplit(shift.room.stack.sources['systemd'].url).path}/systemctl"
    subprocess.run([systemctl, "--system", "start", "--", "trading_bot.service"], check=True)
    shift.is_state(TradingState.TRADING)
    engine = "strategies halted; trading_bot not confirmed stopped (reads active)"
    assert shift.room.engine.board(ID).trading.because == engine
    run = shift.room.perform("prove-halt")
    assert [each.step for each in run.steps if each.state is not StepState.VERIFIED] == ["engine"]
    assert "Resume first" in " ".join(shift.room.dry_run("restart-trading-bot").blockers)
    assert shift.room.perform("stop-trading-bot").verdict is Verdict.VERIFIED
    shift.is_state(TradingState.HALTED)


@pytest.mark.parametrize(
    ("procedure", "params", "word"),
    [("resume-paper", {"word": "paper"}, "paper"), ("resume-auto", {}, "auto")],
)
def test_a_resume_is_refused_until_all_is_well_and_then_trades(
    shift: Shift, procedure: str, params: dict[str, str], word: str
) -> None:
    if shift.store.get("mode") == "auto":
        shift.verify("halt-starve")
    shift.verify("snapshot")
    shift.store.set("risk:capital_effective", "0.4")
    shift.store.delete("slo:current_tier")
    assert "weekly gate" in " ".join(shift.room.dry_run(procedure, **params).blockers)
    tier = {"tier": "tier_a", "evaluation_time": time.time()}
    shift.store.set("slo:current_tier", json.dumps({**tier, "evaluation_time": time.time() - 10 * 86400}))
    assert "weekly gate" in " ".join(shift.room.dry_run(procedure, **params).blockers)
    shift.store.set("slo:current_tier", json.dumps(tier))
    wait_until(lambda: not shift.room.dry_run(procedure, **params).blockers, 15, "all to be well")
    shift.verify(procedure, **params)
    assert shift.store.get("mode") == word
    assert shift.store.get("last_halt_reason") is None
    shift.is_state(TradingState.TRADING)


def test_each_that_starts_or_stops_no_unit_was_run_here_or_on_the_simulated_desk(shift: Shift) -> None:
    by_systemd = {
        name
        for name, each in shift.room.stack.procedures.items()
        if each.risk is not RiskClass.STOP and any(isinstance(it.action, SystemdVerb) for it in each.steps)
    }
    elsewhere = {
        "halt", "zero-influence", "validate", "set-weight", "capital-approve", "stop-all-order-processes",
    }  # fmt: skip
    assert shift.room.stack.procedures.keys() - by_systemd - elsewhere == shift.done
    assert not elsewhere & shift.done
