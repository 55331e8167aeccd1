"""The simulated platform, looked at from outside: it moves, obeys, and is put away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from backends.config import load
from backends.model.stack import SourceKind
from tests.contract.demo_eyes import Eyes
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.process import listens, wait_until

STACK = "trading-platform"


@pytest.fixture(scope="module")
def eyes() -> Iterator[Eyes]:
    world = start_demo()
    made = Eyes(world)
    yield made
    made.close()
    world.stop()


def test_the_line_it_prints_names_everything_a_script_needs(eyes: Eyes) -> None:
    line = eyes.world.line
    assert set(line) == {"stack", "config", "redis", "postgres", "docker", "http", "control"}
    assert line["stack"] == STACK
    assert set(line["http"]) == {
        "gateway", "orchestrator", "signal", "market-data", "registry", "console",
        "prometheus", "loki", "loki-lines", "grafana",
    }  # fmt: skip


def test_its_config_is_its_users_alone_and_points_every_source_at_the_demo(eyes: Eyes) -> None:
    config = eyes.world.config
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    # What an operator's shell may hold must not lead the demo's room to the real platform.
    env = {"DOCKER_HOST": "tcp://10.9.9.9:2375", "REDIS_PASSWORD": "real", "POSTGRES_PASSWORD": "real"}
    loaded = load(config, env={**env, "HOME": str(config.parent)})
    (stack,) = loaded.stacks
    assert stack.environment.value == "DEMO"
    addresses = {*eyes.world["http"].values(), eyes.world["docker"]}
    for source in stack.sources.values():
        if source.kind in (SourceKind.ROOM, SourceKind.HOST):
            continue
        is_ours = source.url in addresses or str(config.parent) in source.url
        is_ours = is_ours or f"127.0.0.1:{_port(source.url)}" in json.dumps(eyes.world.line)
        assert is_ours, f"{source.id} points at {source.url}"
        assert (
            source.password is None
            or str(config.parent) in loaded.origins[f"stack.{STACK}.source.{source.id}.password"]
        )
    assert loaded.demo_control[STACK] == eyes.world["control"]


def _port(url: str) -> str:
    return str(urlsplit(url).port)


def test_a_calm_demo_can_be_read_whole_and_raises_no_alarm(eyes: Eyes) -> None:
    def status() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tui.cli", "--config", str(eyes.world.config), "status", "--json"],
            env=eyes.world.env, capture_output=True, timeout=40, check=False,
        )  # fmt: skip
        (stack,) = json.loads(done.stdout)["stacks"]
        return stack

    def unread(seen: dict[str, Any]) -> list[str]:
        # What needs minutes of readings says nothing in a single look.
        return [
            fact["id"]
            for fact in seen["facts"]
            if fact["outcome"] not in ("ok", "missing") and fact["id"] != "reservations.drift"
        ]

    seen = status()
    for _ in range(3):
        # On a machine that is busy with something else a source may be too slow, twice in a row.
        seen = status() if unread(seen) else seen
    assert unread(seen) == []
    assert [source["id"] for source in seen["sources"] if not source["up"]] == []
    assert [alarm["title"] for alarm in seen["alarms"]] == []
    assert seen["trading"]["state"] == "TRADING"


def test_prices_orders_and_logs_move(eyes: Eyes) -> None:
    fills = "SELECT count(*) FROM orders WHERE status = 'filled'"
    before = eyes.redis.get("price:AAPL"), eyes.sql(fills), len(eyes.log("execution_gateway"))
    wait_until(lambda: eyes.redis.get("price:AAPL") != before[0], 20, "a new price")
    wait_until(lambda: eyes.sql(fills) > before[1], 20, "a fill")
    assert len(eyes.log("execution_gateway")) > before[2]
    assert 0 < eyes.redis.ttl("price:AAPL") <= 300


def test_an_engaged_kill_switch_refuses_orders_with_the_platforms_words(eyes: Eyes) -> None:
    assert eyes.order(qty=2).status_code == 200
    engaged = eyes.tell("orchestrator", "/api/v1/kill-switch/engage", {"reason": "drill", "operator": "kim"})
    try:
        assert engaged.status_code == 200
        kill = eyes.kill()
        assert kill is not None
        assert (kill["state"], kill["engaged_by"], kill["engagement_reason"]) == ("ENGAGED", "kim", "drill")
        last = json.loads(eyes.redis.lindex("kill_switch:history", -1))
        assert (last["event"], last["operator"], last["timestamp"]) == ("ENGAGED", "kim", kill["engaged_at"])
        assert eyes.redis.ttl("kill_switch:state") == -1
        again = eyes.tell("gateway", "/api/v1/kill-switch/engage", {"reason": "x", "operator": "x"})
        assert (again.status_code, again.json()) == (400, {"detail": "Kill-switch already engaged"})
        refused = eyes.order(qty=3)
        assert refused.status_code == 503
        assert refused.json()["detail"]["error"] == "kill_switch_engaged"
        assert " - ERROR - Order blocked by kill-switch: AAPL buy 3" in eyes.log("execution_gateway")
        assert " - CRITICAL - 🔴 KILL-SWITCH ENGAGED: drill" in eyes.log("orchestrator")
        taken = "SELECT count(*) FROM orders WHERE created_at > now() - interval '1 second'"
        wait_until(lambda: eyes.sql(taken) == 0, 10, "an end of new orders")
    finally:
        resumed = eyes.tell("orchestrator", "/api/v1/kill-switch/disengage", {"operator": "kim"})
    assert resumed.json()["state"] == "ACTIVE"
    assert eyes.order(qty=4).status_code == 200


def test_a_tripped_breaker_refuses_orders_and_leaves_closing_alone(eyes: Eyes) -> None:
    fresh = eyes.redis.get("circuit_breaker:state")
    eyes.redis.set("circuit_breaker:state", json.dumps({**json.loads(fresh), "state": "TRIPPED"}))
    try:
        assert eyes.order(qty=5).json()["detail"]["error"] == "circuit_breaker_tripped"
        manual = {"reason": "closing by hand", "requested_by": "kim", "requested_at": "2026-11-21T00:00:00Z"}
        assert eyes.tell("gateway", "/api/v1/positions/NVDA/close", manual).json()["status"] == "closing"
    finally:
        eyes.redis.set("circuit_breaker:state", fresh)


def test_orders_can_be_cancelled_by_symbol_and_the_broker_says_when_they_are(eyes: Eyes) -> None:
    ident = eyes.order(symbol="TSLA", qty=6).json()["client_order_id"]
    empty = eyes.tell("gateway", "/api/v1/orders/cancel-all")
    assert empty.status_code == 422
    manual = {"reason": "no longer wanted", "requested_by": "kim", "requested_at": "2026-11-21T00:00:00Z"}
    done = eyes.tell("gateway", "/api/v1/orders/cancel-all", {"symbol": "TSLA", **manual})
    assert done.status_code == 200
    assert ident in done.json()["order_ids"]
    status = f"SELECT status FROM orders WHERE client_order_id = '{ident}'"
    wait_until(lambda: eyes.sql(status) == "canceled", 20, "the broker's answer")


def test_a_stopped_service_answers_no_more_and_comes_back_after_a_while(eyes: Eyes) -> None:
    name = "trading_platform_market_data_service"
    eyes.docker.stop(name)
    assert not eyes.answers("market-data")
    state = eyes.state("market_data_service")
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    price = eyes.redis.get("price:SPY")
    eyes.docker.start(name)
    assert not eyes.answers("market-data"), "it has to start first"
    assert eyes.redis.get("price:SPY") == price
    wait_until(lambda: eyes.answers("market-data"), 10, "its port")
    wait_until(lambda: eyes.health("market_data_service") == "healthy", 15, "its health")


def test_a_paused_service_accepts_and_does_not_answer(eyes: Eyes) -> None:
    eyes.docker.pause("trading_platform_grafana")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(eyes.world["http"]["grafana"] + "/api/health", timeout=0.3)
    eyes.docker.unpause("trading_platform_grafana")
    assert eyes.ask("grafana", "/api/health").json()["database"] == "ok"


def test_redis_restarted_by_docker_keeps_its_keys(eyes: Eyes) -> None:
    before = eyes.redis.get("kill_switch:state")
    eyes.docker.restart("trading_platform_redis")
    assert eyes.redis.get("kill_switch:state") == before
    assert "Ready to accept connections" in eyes.log("redis") or "ready to accept" in eyes.log("redis")


def test_an_unknown_fault_or_stack_is_refused_before_anything_starts() -> None:
    for words in (["--fault", "no-such-fault"], ["no-such-stack"]):
        done = subprocess.run(
            [sys.executable, "-m", "backends.demo", *words], capture_output=True, timeout=20, check=False
        )
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"no-such" in done.stderr
        assert b"Traceback" not in done.stderr


def remains(world: DemoWorld) -> list[str]:
    """What of a demo is still there: its folder, its ports."""
    ports = [world["redis"], world["postgres"], world["control"], *world["http"].values()]
    open_ports = [url for url in ports if listens(int(_port(url)))]
    return [str(folder) for folder in [world.config.parent] if folder.exists()] + open_ports


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_end_it_leaves_nothing_behind(how: signal.Signals) -> None:
    world = start_demo()
    try:
        assert len(remains(world)) == 14
        os.kill(world.child.pid, how)
        assert world.child.popen.wait(10) == 0
        assert remains(world) == []
    finally:
        world.stop()


AT_ONCE = """
import asyncio, os, signal, sys
from backends.demo import __main__ as demo
run = asyncio.run
asyncio.run = lambda work: (os.kill(os.getpid(), signal.SIGTERM), run(work))
sys.exit(demo.main([]))
"""
"""A demo that is asked to end when it has made its folder and does not listen for that yet."""


@pytest.mark.parametrize("seconds", [None, 0.15, 0.6, 1.0])
def test_ended_while_it_starts_it_leaves_nothing_behind_either(seconds: float | None) -> None:
    program = ["-c", AT_ONCE] if seconds is None else ["-m", "backends.demo"]
    child = subprocess.Popen([sys.executable, *program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if seconds is not None:
        time.sleep(seconds)  # somewhere in its start: there is nothing to wait for from outside
        child.terminate()
    _, complaints = child.communicate(timeout=15)
    assert complaints == b""
    assert _folders(child.pid) == []


def _folders(owner: int) -> list[Path]:
    found = []
    for mark in Path("/tmp").glob("controlroom-demo-*/owner.pid"):
        with contextlib.suppress(OSError):  # another demo ends just now
            found += [mark] if mark.read_text() == str(owner) else []
    return found


@pytest.mark.linux
def test_killed_it_takes_its_servers_along_and_the_next_one_sweeps_up() -> None:
    first = start_demo()
    folder = first.config.parent
    first.child.popen.kill()
    first.child.popen.wait(5)
    # Of its folder nothing is said yet: a demo that another process of the tests begins sweeps up as well.
    wait_until(lambda: set(remains(first)) <= {str(folder)}, 10, "the end of its servers")
    second = start_demo()
    try:
        assert not folder.exists()
        assert second.config.exists()
    finally:
        second.stop()
        first.stop()
