"""Every fault of the demo is seen where an operator would see it, and can be taken back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
import redis

from backends.demo.remote import DemoError, list_faults, switch_fault
from backends.demo.trading_platform.containers import SERVICES
from backends.demo.trading_platform.faults import FAULTS
from tests.contract.demo_eyes import Eyes
from tests.servers.demo import start_demo
from tests.servers.process import wait_until

ENGAGE = {"reason": "drill", "operator": "kim"}
FLIP = """
local state = cjson.decode(redis.call('GET', KEYS[1])); state['state'] = 'ENGAGED'
redis.call('SET', KEYS[1], cjson.encode(state)); return 'OK'
"""


@pytest.fixture(scope="module")
def eyes() -> Iterator[Eyes]:
    world = start_demo()
    made = Eyes(world)
    yield made
    made.close()
    world.stop()


@contextmanager
def fault(eyes: Eyes, name: str) -> Iterator[None]:
    """The fault is on inside, and off again after."""
    assert eyes.fault(name, True).status_code == 200
    try:
        yield
    finally:
        assert eyes.fault(name, False).status_code == 200


def test_the_menu_has_one_line_for_every_fault() -> None:
    world = start_demo("--fault", "quarantine")
    control = world["control"]

    async def ask() -> Any:
        async with httpx.AsyncClient() as client:
            before = await list_faults(client, control)
            after = await switch_fault(client, control, "quarantine", False)
            with pytest.raises(DemoError, match="no such fault: 'nonsense'"):
                await switch_fault(client, control, "nonsense", True)
            return before, after

    try:
        before, after = asyncio.run(ask())
    finally:
        world.stop()
    assert [(one.name, one.title) for one in before] == [(name, said.title) for name, said in FAULTS.items()]
    assert [one.name for one in before if one.is_on] == ["quarantine"]
    assert [one.name for one in after if one.is_on] == []
    assert all(len(said.title) < 100 and "\n" not in said.title for said in FAULTS.values())


def test_a_demo_that_has_ended_is_said_to_be_gone() -> None:
    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            await list_faults(client, "http://127.0.0.1:1")

    with pytest.raises(DemoError, match="the demo does not answer"):
        asyncio.run(ask())


@pytest.mark.parametrize("body", [{}, {"on": "yes"}, [], {"on": 1}])
def test_what_is_no_switch_is_refused(eyes: Eyes, body: object) -> None:
    answer = httpx.post(f"{eyes.world['control']}/faults/quarantine", json=body)
    assert answer.status_code == 422


def test_crash_loop(eyes: Eyes) -> None:
    def resting() -> Mapping[str, Any]:
        state = eyes.state("signal_service")
        return state if state["Status"] == "restarting" else {}

    with fault(eyes, "crash-loop"):
        wait_until(lambda: eyes.state("signal_service")["RestartCount"] >= 2, 15, "restarts")
        state = wait_until(resting, 10, "a pause")
        assert (state["Restarting"], state["ExitCode"]) == (True, 1)
        assert "LightGBMError" in eyes.log("signal_service")
        assert not eyes.answers("signal")
    wait_until(lambda: eyes.answers("signal"), 10, "its port")


def test_unhealthy(eyes: Eyes) -> None:
    with fault(eyes, "unhealthy"):
        wait_until(lambda: eyes.health("model_registry") == "unhealthy", 10, "the verdict")
        assert "503" in eyes.state("model_registry")["Health"]["Log"][-1]["Output"]
        assert eyes.state("model_registry")["Status"] == "running"
        assert eyes.ask("registry", "/health").status_code == 503
    wait_until(lambda: eyes.health("model_registry") == "healthy", 10, "its recovery")


@pytest.mark.alone
def test_gateway_down(eyes: Eyes) -> None:
    with fault(eyes, "gateway-down"):
        assert not eyes.answers("gateway")
        state = eyes.state("execution_gateway")
        assert (state["Status"], state["ExitCode"]) == ("exited", 137)
        assert eyes.ask("orchestrator", "/health").json()["status"] == "degraded"
    wait_until(lambda: eyes.answers("gateway"), 10, "its port")
    status = eyes.ask("gateway", "/api/v1/reconciliation/status").json()
    assert status["startup_complete"] is False, "a new process has reconciled nothing yet"
    assert eyes.order(qty=11).json()["detail"]["error"] == "reconciliation_in_progress"
    wait_until(
        lambda: eyes.ask("gateway", "/api/v1/reconciliation/status").json()["startup_complete"],
        15,
        "the gate",
    )


def test_redis_hang(eyes: Eyes) -> None:
    assert eyes.redis.ping()
    with fault(eyes, "redis-hang"):
        with pytest.raises(redis.TimeoutError):
            eyes.redis.ping()
        with (
            pytest.raises(redis.TimeoutError),
            redis.Redis.from_url(eyes.world["redis"], socket_timeout=0.3) as fresh,
        ):
            fresh.ping()
        engaged = eyes.tell("orchestrator", "/api/v1/kill-switch/engage", ENGAGE)
        assert engaged.status_code == 200, "the platform itself still reaches it"
        eyes.tell("orchestrator", "/api/v1/kill-switch/disengage", {"operator": "kim"})
    assert eyes.redis.ping()


def test_redis_refuse(eyes: Eyes) -> None:
    assert eyes.redis.ping()
    with fault(eyes, "redis-refuse"):
        with pytest.raises(redis.ConnectionError):
            eyes.redis.ping()
        assert eyes.ask("gateway", "/api/v1/kill-switch/status").status_code == 200
    assert eyes.redis.ping()


def test_postgres_down(eyes: Eyes) -> None:
    with fault(eyes, "postgres-down"):
        with pytest.raises(psycopg.OperationalError):
            eyes.sql("SELECT 1")
        health = eyes.ask("gateway", "/health").json()
        assert (health["status"], health["database_connected"]) == ("unhealthy", False)
    assert eyes.sql("SELECT count(*) FROM orders") > 0


def test_kill_key_missing(eyes: Eyes) -> None:
    with fault(eyes, "kill-key-missing"):
        assert eyes.kill() is None
        assert eyes.ask("gateway", "/api/v1/kill-switch/status").status_code == 503
        assert eyes.ask("gateway", "/health").json()["status"] == "degraded"
        assert eyes.order(qty=21).status_code == 503
    assert eyes.kill() is not None
    assert eyes.order(qty=21).status_code == 503, "it stays blocked until its health is asked for"
    assert eyes.ask("gateway", "/health").json()["status"] == "healthy"
    assert eyes.order(qty=21).status_code == 200


def test_a_gateway_restarted_without_the_kill_key_allows_trading_again(eyes: Eyes) -> None:
    eyes.redis.delete("kill_switch:state")
    eyes.docker.restart("trading_platform_execution_gateway")
    wait_until(lambda: eyes.answers("gateway"), 10, "its port")
    kill = eyes.kill()
    assert kill is not None
    assert (kill["state"], kill["engaged_at"], kill["engagement_count_today"]) == ("ACTIVE", None, 0)


def test_halt_not_obeyed(eyes: Eyes) -> None:
    with fault(eyes, "halt-not-obeyed"):
        engaged = eyes.tell("orchestrator", "/api/v1/kill-switch/engage", ENGAGE)
        assert engaged.json()["state"] == "ENGAGED", "it is acknowledged"
        kill = eyes.kill()
        assert kill is not None
        assert (kill["state"], kill["disengaged_by"]) == ("ACTIVE", "position_scheduler")
        assert eyes.redis.eval(FLIP, 1, "kill_switch:state") == "OK"
        assert eyes.kill_word() == "ACTIVE"
    eyes.tell("orchestrator", "/api/v1/kill-switch/engage", ENGAGE)
    assert eyes.kill_word() == "ENGAGED"
    eyes.tell("orchestrator", "/api/v1/kill-switch/disengage", {"operator": "kim"})


def test_halt_ignored(eyes: Eyes) -> None:
    wait_until(
        lambda: eyes.ask("gateway", "/api/v1/reconciliation/status").json()["startup_complete"],
        15,
        "the gate",
    )
    with fault(eyes, "halt-ignored"):
        eyes.tell("orchestrator", "/api/v1/kill-switch/engage", ENGAGE)
        assert eyes.kill_word() == "ENGAGED"
        assert eyes.order(qty=31).status_code == 200
    assert eyes.order(qty=32).status_code == 503
    eyes.tell("orchestrator", "/api/v1/kill-switch/disengage", {"operator": "kim"})


def test_drawdown(eyes: Eyes) -> None:
    today = "SELECT COALESCE(sum(realized_pnl), 0) FROM trades WHERE NOT superseded"
    before = eyes.sql(today)
    with fault(eyes, "drawdown"):
        assert eyes.sql(today) < -5000
    assert abs(eyes.sql(today) - before) < 500


def test_stale_prices(eyes: Eyes) -> None:
    with fault(eyes, "stale-prices"):
        before = eyes.redis.get("price:AAPL")
        time.sleep(1.5)  # longer than the second in which a living stream writes again
        assert eyes.redis.get("price:AAPL") == before
        health = eyes.ask("market-data", "/health").json()
        assert (health["status"], health["websocket_connected"]) == ("degraded", False)
    wait_until(lambda: eyes.redis.get("price:AAPL") != before, 20, "a new price")


def test_quarantine(eyes: Eyes) -> None:
    with fault(eyes, "quarantine"):
        assert eyes.redis.get("quarantine:*:TSLA") == "orphan_order_detected"
        assert eyes.sql("SELECT count(*) FROM orphan_orders WHERE resolved_at IS NULL") == 1
        assert eyes.order(symbol="TSLA").json()["detail"]["error"] == "symbol_quarantined"
        assert "Orphan order detected and quarantined" in eyes.log("execution_gateway")
    assert eyes.order(symbol="TSLA").status_code == 200
    assert eyes.sql("SELECT count(*) FROM orphan_orders WHERE resolved_at IS NULL") == 0


def test_hostile(eyes: Eyes) -> None:
    def names() -> list[str]:
        return [name for one in eyes.docker.containers(all=True) for name in one["Names"]]

    def ends(service: str, **more: object) -> bytes:
        """The end of its log, and no more of it."""
        return bytes(eyes.docker.logs(f"trading_platform_{service}", tail=9, **more))

    before, by = names(), (eyes.kill() or {}).get("engaged_by")
    with fault(eyes, "hostile"):
        assert any("\x1b]0;" in name for name in names())
        assert max(map(len, names())) == 10_001
        kill = eyes.kill()
        assert kill is not None
        assert (kill["state"], kill["engaged_by"]) == ("ACTIVE", "[@click=app.quit]press me[/]")
        wait_until(lambda: any(b"\x1b[2J" in ends(each) for each in SERVICES[:-1]), 15, "lines")
        wait_until(lambda: ends("promtail", stdout=False).endswith(b" the end\n"), 30, "the long line's end")
    kill = eyes.kill()
    assert kill is not None
    assert (kill["state"], kill["engaged_by"]) == ("ACTIVE", by)
    assert names() == before


@pytest.mark.alone
def test_log_flood_is_ten_thousand_lines_a_second_and_the_rest_stays_quick(eyes: Eyes) -> None:
    def written() -> int:
        return sum(
            len(eyes.docker.logs(one["Id"], since=int(time.time()) - 1).splitlines())
            for one in eyes.docker.containers()
        )

    with fault(eyes, "log-flood"):
        wait_until(lambda: written() > 5_000, 10, "the flood")
        began = time.monotonic()
        for _ in range(50):
            eyes.redis.ping()
        assert time.monotonic() - began < 2.0
    assert json.loads(eyes.redis.get("price:AAPL"))["symbol"] == "AAPL"
