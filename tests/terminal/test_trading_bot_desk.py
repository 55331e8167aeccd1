"""The simulated desk of trading bots, run by command: one procedure of each class to its verdict."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.servers.demo import DemoWorld, start_demo, switch
from tests.terminal.program import command

REASON = ("--reason", "an exercise")


@pytest.fixture(scope="module")
def world() -> Iterator[DemoWorld]:
    world = start_demo("trading-bot")
    yield world
    world.stop()


@pytest.fixture
def store(world: DemoWorld) -> Iterator[Any]:
    """Redis, trading when a test begins."""
    client = redis.Redis.from_url(world["redis"], decode_responses=True)
    client.set("mode", "auto")
    yield client
    client.close()


def run(world: DemoWorld, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(world.config, world.env, "run", *arguments, *REASON)


def planned(world: DemoWorld, phrase: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """By its dry run's plan, confirmed by what has to be typed."""
    dry = run(world, *arguments, "--dry-run")
    plan = re.search(r"Plan ([0-9a-f]{64})", dry.stdout)
    assert plan is not None, dry.stdout + dry.stderr
    confirm = ("--confirm", phrase) if phrase else ()
    return run(world, *arguments, "--plan", plan[1], *confirm)


def trading(world: DemoWorld) -> dict[str, Any]:
    told = command(world.config, world.env, "status")
    (stack,) = json.loads(told.stdout)["stacks"]
    return {"environment": stack["environment"], **stack["trading"]}


def test_influence_is_made_zero_in_both_namespaces(world: DemoWorld, store: Any) -> None:
    switch(world, "influence", is_on=True)
    done = planned(world, "", "zero-influence")
    assert done.returncode == 0, done.stdout
    assert "VERIFIED" in done.stdout
    keys = ("policy:allowed_influence_pct", "policy:allowed_influence_pct:SOL-USD", "influence:SOL-USD")
    assert store.mget(keys) == ["0", "0", "0"]
    assert store.ttl(keys[0]) == -1
    assert store.get("mode") == "auto", "it removes the policy's share and stops nothing"


def test_a_weight_is_set_and_read_back_as_a_number(world: DemoWorld, store: Any) -> None:
    chosen = ("--param", "venue=router:weight:coinbase", "--param", "weight=0.4")
    done = planned(world, "SET WEIGHT", "set-weight", *chosen)
    assert done.returncode == 0, done.stdout
    assert store.get("router:weight:coinbase") == "0.4"


def test_a_halt_is_not_green_while_order_processes_live_and_is_when_they_are_ended(
    world: DemoWorld, store: Any
) -> None:
    switch(world, "live-orders", is_on=True)
    halt = run(world, "halt", "--no-wait")
    assert halt.returncode != 0
    assert "NOT HALTED" in halt.stdout
    assert store.get("mode") == "halt", "what could be halted is"
    told = trading(world)
    assert told["state"] == "TRADING"
    assert told["because"].startswith("strategies halted; live order processes not confirmed stopped")
    assert told["environment"] == "LIVE"

    ended = planned(world, "END ALL ORDER PROCESSES", "stop-all-order-processes")
    assert ended.returncode == 0, ended.stdout
    assert "VERIFIED: ALL ENDED" in ended.stdout
    assert trading(world)["state"] == "HALTED"


def test_a_halt_is_proved_obeyed_and_leaves_its_reason_and_history(world: DemoWorld, store: Any) -> None:
    wait_for(lambda: store.keys("mm:quote:*"))
    halt = run(world, "halt", "--no-wait")
    assert halt.returncode == 0, halt.stdout
    assert "VERIFIED: STRATEGIES HALTED" in halt.stdout
    assert store.mget("mode", "last_halt_reason") == ["halt", "operator"]
    newest = json.loads(store.lindex("mode:history", 0))
    assert (newest["mode"], newest["source"]) == ("halt", "control_room")
    assert abs(newest["timestamp"] - time.time()) < 30
    assert not store.keys("mm:quote:*")
    wait_for(lambda: not store.keys("strategy:basis:*:pos"))


def test_a_halt_that_is_erased_is_told_late(world: DemoWorld, store: Any) -> None:
    """The quality gate deletes the mode whoever set it: a verdict given before is taken back."""
    switch(world, "halt-erased", is_on=True)
    halt = run(world, "halt")
    switch(world, "halt-erased", is_on=False)
    assert halt.returncode != 0
    assert "CONTRADICTED" in halt.stdout
    assert store.get("mode") is None


def wait_for(is_so: Any, seconds: float = 12.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)
