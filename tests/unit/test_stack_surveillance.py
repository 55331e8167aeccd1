"""What the stack file of the market surveillance says, against the system's contract."""

from __future__ import annotations

from typing import Any

import pytest

from backends.model.action import Command, DockerVerb, RedisUnit, RedisWrite
from backends.model.fact import Level
from backends.model.judge import level_of
from backends.model.procedure import Procedure, RiskClass
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["surveillance"])


def actions(procedure: Procedure) -> list[Any]:
    return [step.action for step in procedure.steps]


def deletes(procedure: Procedure) -> bool:
    """Whether it destroys data for good."""
    for action in actions(procedure):
        if isinstance(action, RedisWrite) and action.op == "flushdb":
            return True
        if isinstance(action, Command) and "--volumes" in action.argv:
            return True
        if "drop_chunks" in str(action) or "DELETE FROM" in str(action) or "DROP DATABASE" in str(action):
            return True
    return False


def test_there_is_no_halt_and_nothing_that_passes_for_one(stack: Stack) -> None:
    assert stack.gates == ()
    assert not any(each.risk in (RiskClass.STOP, RiskClass.MARKET) for each in stack.procedures.values())


def test_the_first_eight_facts_say_whether_the_market_is_watched(stack: Stack) -> None:
    assert list(stack.facts)[:8] == [
        "binance.ttl", "okx.ttl", "books.count", "metrics.subscribed", "detector.subscribed", "alerts.p1",
        "gaps.total", "metrics.age",
    ]  # fmt: skip
    assert all(fact.is_shown for fact in list(stack.facts.values())[:8])


@pytest.mark.parametrize(
    ("fact", "warn", "crit"),
    [
        ("binance.rate", 9.9, 0.9),
        ("okx.lag_median", 101.0, 501.0),
        ("gaps.hour", 6, 21),
        ("okx.gaps_hour", 6, 21),
        ("alerts.p1", 1, 6),
        ("redis.memory", 419_430_401, 503_316_481),
        ("db.connections", 51, 91),
        ("alerts.p2_wait", 301, 1801),
    ],
)
def test_limits_are_those_of_the_contract(stack: Stack, fact: str, warn: float, crit: float) -> None:
    assert level_of(stack.facts[fact], warn) is Level.WARN
    assert level_of(stack.facts[fact], crit) is Level.CRIT


def test_what_is_not_written_any_more_is_critical_and_never_passes_for_fine(stack: Stack) -> None:
    for name in ("binance.ttl", "okx.status", "binance-spot.ttl", "okx-perp.at", "metrics.age"):
        assert stack.facts[name].missing is Level.CRIT, name


def test_whatever_deletes_data_demands_a_whole_backup_of_the_last_hour(stack: Stack) -> None:
    destructive = {name for name, each in stack.procedures.items() if deletes(each)}
    assert destructive == {
        "wipe", "full-restart-flush", "redis-flush", "snapshots-delete", "metrics-drop", "restore",
    }  # fmt: skip
    for name in destructive:
        procedure = stack.procedures[name]
        demands = {condition.fact: condition for condition in procedure.requires}
        assert demands["backup.at"].max_age == 3600, name
        assert demands["backup.end"].equals, name
        assert procedure.phrase, name


def test_redis_is_emptied_only_while_the_three_workers_stand_still(stack: Stack) -> None:
    demands = {condition.fact: condition for condition in stack.procedures["redis-flush"].requires}
    for worker in ("data-ingestion", "metrics-engine", "anomaly-detector"):
        assert demands[f"service:{worker}"].equals == ("exited",)
    assert demands["redis.loading"].at_most == 0
    steps = [step.id for step in stack.procedures["full-restart-flush"].steps]
    assert steps.index("down") < steps.index("flush") < steps.index("up")


def test_no_alert_leaves_the_active_set_without_being_resolved_in_the_same_transaction(stack: Stack) -> None:
    """A bare SREM mutes the condition until the detector is restarted; an id without alert mutes nothing."""
    for name, procedure in stack.procedures.items():
        for step in procedure.steps:
            writes = step.action.writes if isinstance(step.action, RedisUnit) else ()
            ops = [write.op for write in writes]
            if "srem" not in ops:
                continue
            ghosts_only = step.each is not None and step.each.fact == "alerts.ghosts"
            assert ghosts_only or ops[0] == "json", name
            if not ghosts_only:
                assert writes[0].if_null == ("resolved_at",)
                assert {write.key for write in writes[1:]} == {
                    "alerts:active", "alerts:by_priority:P1", "alerts:by_priority:P2",
                    "alerts:by_priority:P3", "alerts:by_instrument:$instrument",
                }  # fmt: skip


def test_an_alert_the_detector_knows_is_resolved_only_with_the_detector_stopped(stack: Stack) -> None:
    first, *_, last = actions(stack.procedures["alert-resolve-live"])
    assert isinstance(first, DockerVerb) and (first.verb, first.service) == ("stop", "anomaly-detector")
    assert isinstance(last, DockerVerb) and (last.verb, last.service) == ("start", "anomaly-detector")


def test_what_the_contract_blocks_is_not_offered(stack: Stack) -> None:
    """A second metrics engine, the flag that switches nothing off, limits in tables nobody reads."""
    said = " ".join(str(action) for each in stack.procedures.values() for action in actions(each))
    for blocked in ("--scale", "features.yaml", "UPDATE alert_definitions", "UPDATE alert_thresholds"):
        assert blocked not in said, blocked


def test_a_configuration_is_tried_by_the_loader_before_anything_is_restarted_with_it(stack: Stack) -> None:
    for name in ("exchange-off", "exchange-on"):
        assert [step.id for step in stack.procedures[name].steps] == ["file", "try", "restart"]
    for name in ("workers-restart", "rebuild-all"):
        assert any(condition.fact == "load.at" for condition in stack.procedures[name].requires), name
