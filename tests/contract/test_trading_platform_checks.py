"""The trading platform's checks and known failures on its demo: each is answered, and none by a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis

from tests.servers.demo import DemoWorld
from tui.commands.check import CheckOptions, check
from tui.commands.session import Session

NOT_AS_DELIVERED = {"dry-run", "observability", "hardening", "compose-hardening", "kill-switch-local"}
OF_THE_MOMENT = {"no-orders", "no-positions"}
"""The demo trades: now and then nothing is open."""
"""What the platform does not meet as it comes, and the demo is no better."""

OF_THE_MACHINE = {"host-size"}


@pytest.fixture
def breaker(demo_world: DemoWorld) -> Iterator[Any]:
    """Writes the circuit breaker's state; it is as before afterwards."""
    with redis.Redis.from_url(demo_world["redis"], decode_responses=True) as client:
        before = client.get("circuit_breaker:state")
        yield lambda **state: client.set("circuit_breaker:state", json.dumps(json.loads(str(before)) | state))
        client.set("circuit_breaker:state", str(before))


def told(demo_world: DemoWorld, name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    options = CheckOptions(as_json=True)
    check(Session(demo_world.config, is_demo=True), name, "trading-platform", options)
    text = capsys.readouterr().out
    for line in (demo_world.config.parent / "checkout" / ".env").read_text().splitlines():
        name, _, value = line.partition("=")
        if "SECRET" in name or "PASSWORD" in name or name.endswith("_KEY"):
            assert not value or value not in text, name
    return dict(json.loads(text))


def test_every_check_is_answered_and_only_what_is_not_delivered_fails(
    demo_world: DemoWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {it["id"]: it["result"] for it in told(demo_world, "all", capsys)["checks"]}
    assert {name for name, result in results.items() if result == "unknown"} == set()
    failed = {name for name, result in results.items() if result == "failed"}
    assert failed - OF_THE_MACHINE - OF_THE_MOMENT == NOT_AS_DELIVERED


def test_a_model_of_another_strategy_is_not_the_one_that_is_to_be_served(
    demo_world: DemoWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal service serves one strategy, the one that the orchestrator runs."""
    with psycopg.connect(demo_world["postgres"], autocommit=True) as database:
        database.execute(
            "INSERT INTO model_registry (strategy_name, version, model_path, status, activated_at)"
            " VALUES ('mean_reversion', 'v9.9.9', '/models/mean_reversion', 'active', now() + interval '1 h')"
        )
        try:
            assert told(demo_world, "model-served", capsys)["checks"][0]["result"] == "passed"
        finally:
            database.execute("DELETE FROM model_registry WHERE strategy_name = 'mean_reversion'")


def test_a_tripped_breaker_is_named_by_its_cause_with_what_resets_it(
    demo_world: DemoWorld, breaker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(demo_world, "tripped-data-stale", capsys)["diagnoses"][0]["result"] == "not found"
    breaker(state="TRIPPED", trip_reason="DATA_STALE", tripped_at="2026-11-21T15:00:00.250000+00:00")
    found = told(demo_world, "tripped-data-stale", capsys)["diagnoses"][0]
    assert (found["result"], found["procedure"]) == ("found", "breaker-reset")
    assert told(demo_world, "tripped-manual", capsys)["diagnoses"][0]["result"] == "not found"
    items = told(demo_world, "pre-market", capsys)["checklists"][0]["items"]
    assert {it["id"] for it in items if it["result"] == "failed"} == {"breaker"}


def test_a_new_host_is_asked_for_its_tools_and_fails_for_what_is_not_delivered(
    demo_world: DemoWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    items = told(demo_world, "new-host", capsys)["checklists"][0]["items"]
    results = {it["id"]: it["result"] for it in items if it["id"] != "size"}  # the disk of whoever runs this
    assert {name for name, result in results.items() if result == "failed"} == {"dry-run"}
    assert {name for name, result in results.items() if result != "passed"} == {"dry-run", "tools"}
