"""What the stack file of the trading platform says, against the platform's contract."""

from __future__ import annotations

import json
from typing import Final

import pytest

from backends.board.derive import trading
from backends.model.action import HttpCall, RedisTransition
from backends.model.fact import Level
from backends.model.judge import level_of
from backends.model.procedure import RiskClass
from backends.model.query import HttpQuery, SqlQuery
from backends.model.safetext import SafeText
from backends.model.stack import Environment, Stack
from backends.model.trading import TradingState
from backends.stacks.loader import built_in, load_stack
from backends.stacks.schema import SCHEMA_FILE, schema_text
from tests.building import START, can_become, failed, ok


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-platform"])


def test_the_committed_json_schema_is_the_present_one() -> None:
    """Otherwise: python -m backends.stacks.schema."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def test_every_container_of_the_platform_is_expected_and_only_profiles_may_be_absent(stack: Stack) -> None:
    always = {
        "postgres", "redis", "prometheus", "grafana", "loki_server", "promtail", "execution_gateway",
        "signal_service", "market_data_service", "model_registry", "orchestrator", "web_console_dev",
        "backtest_worker_dev",
    }  # fmt: skip
    profiles = {
        "backtest_worker_high", "backtest_worker_normal", "backtest_worker_low", "alert_worker",
        "web_console", "web_console_mtls", "nginx_mtls", "web_console_oauth2", "auth_service", "nginx_oauth2",
    }  # fmt: skip
    assert {service.name for service in stack.services if service.is_required} == always
    assert {service.name for service in stack.services if not service.is_required} == profiles
    without_check = {service.name for service in stack.services if not service.has_check}
    assert without_check == {
        "prometheus", "grafana", "promtail", "web_console_dev", "alert_worker", "web_console",
        "web_console_mtls", "web_console_oauth2",
    }  # fmt: skip


def test_the_first_eight_facts_say_whether_money_is_at_risk(stack: Stack) -> None:
    assert list(stack.facts)[:8] == [
        "kill.state", "breaker.state", "recon.complete", "orders.open", "orders.oldest", "positions.open",
        "positions.gross", "pnl.today",
    ]  # fmt: skip
    assert all(fact.is_shown for fact in list(stack.facts.values())[:8])


def test_facts_of_one_group_stand_together(stack: Stack) -> None:
    groups = [fact.group for fact in stack.facts.values()]
    changes = [group for before, group in zip(["", *groups], groups, strict=False) if group != before]
    assert len(changes) == len(set(changes))


def test_labels_are_told_apart(stack: Stack) -> None:
    labels = [(fact.group, fact.label) for fact in stack.facts.values()]
    assert len(labels) == len(set(labels))


def test_words_mean_what_the_platform_means_by_them(stack: Stack) -> None:
    kill, breaker, recon = stack.gates
    assert (kill.trading, kill.halted) == ({"ACTIVE"}, {"ENGAGED"})
    assert (breaker.trading, breaker.halted) == ({"OPEN", "QUIET_PERIOD"}, {"TRIPPED"})
    assert (recon.trading, recon.halted) == ({"true"}, {"false"})
    for word in ("active", "OPEN", "ACTIVE ", "null", "DISENGAGED"):
        assert level_of(stack.facts["kill.state"], SafeText(word)) is Level.CRIT


@pytest.mark.parametrize("echo", ["orchestrator.kill", "gateway.kill"])
def test_whoever_of_the_two_services_denies_the_kill_switch_makes_it_a_conflict(
    stack: Stack, echo: str
) -> None:
    said = {"kill.state": "ENGAGED", "orchestrator.kill": "ENGAGED", "gateway.kill": "ENGAGED"}
    readings = {name: ok(name, word) for name, word in said.items()}
    assert trading(stack, readings, START, None).state is TradingState.HALTED
    # One of them who cannot be asked is no conflict, and no help either.
    assert trading(stack, {**readings, echo: failed(echo)}, START, None).state is TradingState.HALTED
    denied = trading(stack, {**readings, echo: ok(echo, "ACTIVE")}, START, None)
    assert denied.state is TradingState.CONFLICT
    assert stack.facts[echo].label.removeprefix("Kill, by ") in denied.because


def test_a_missing_switch_is_never_good_news(stack: Stack) -> None:
    assert all(gate.missing is TradingState.UNKNOWN for gate in stack.gates)
    assert all(stack.facts[gate.fact].missing in (Level.CRIT, Level.UNKNOWN) for gate in stack.gates)


def test_real_money_is_known_by_the_brokers_account_alone(stack: Stack) -> None:
    assert stack.environment_facts == (("gateway.paper", "false", Environment.LIVE),)


def test_the_safety_keys_are_read_from_database_zero_every_second(stack: Stack) -> None:
    redis = stack.sources["redis"]
    assert redis.url.endswith("/0")
    assert (redis.every, redis.deadline) == (1.0, 0.5)
    assert {stack.facts[name].source for name in ("kill.state", "breaker.state")} == {"redis"}
    assert {stack.facts[name].every for name in ("kill.state", "breaker.state", "orchestrator.kill")} == {
        None
    }


def test_the_gateways_health_is_asked_because_that_lets_it_recover(stack: Stack) -> None:
    query = stack.facts["gateway.health"].query
    assert isinstance(query, HttpQuery) and query.path == "/health"


def test_halt_engages_the_kill_switch_exactly_as_the_platform_does(stack: Stack) -> None:
    halt = stack.procedures["halt"]
    assert halt.risk is RiskClass.STOP
    step = halt.steps[0]
    action = step.action
    assert isinstance(action, RedisTransition)
    assert (step.after, action.key, action.target) == (0.0, "kill_switch:state", "ENGAGED")
    assert stack.sources[action.source].url.endswith("/0")
    changed = {
        "engaged_at",
        "engaged_by",
        "engagement_reason",
        "engagement_details",
        "disengaged_at",
        "disengaged_by",
    }
    assert set(action.set) == changed
    assert action.increment == ("engagement_count_today",)
    engaged = json.loads(
        '{"state":"ENGAGED","engaged_at":"2026-11-21T14:03:05.118233+00:00","engaged_by":"kim",'
        '"engagement_reason":"halt test","engagement_details":{"ticket":"OPS-7"},"disengaged_at":null,'
        '"disengaged_by":null,"engagement_count_today":1}'
    )
    assert action.create is not None
    assert set(action.create) == set(engaged)
    assert action.create["state"] == "ENGAGED"
    assert set(action.history_entry) == {"event", "timestamp", "operator", "reason", "details"}
    assert (action.history_key, action.history_limit) == ("kill_switch:history", 1000)


def test_no_word_in_the_switch_keeps_anybody_from_halting(stack: Stack) -> None:
    action = stack.procedures["halt"].steps[0].action
    assert isinstance(action, RedisTransition) and "*" in action.allowed_from


def test_the_orchestrator_is_the_second_rung(stack: Stack) -> None:
    step = stack.procedures["halt"].steps[1]
    assert step.after == 0.5
    assert isinstance(step.action, HttpCall)
    assert step.action.path == "/api/v1/kill-switch/engage"
    assert step.action.already == {400: "already engaged"}
    assert [proof.fact for proof in step.proof] == ["orchestrator.kill"]


def test_the_fallback_names_the_address_in_use(stack: Stack) -> None:
    assert "http://127.0.0.1:8003/api/v1/kill-switch/engage" in stack.procedures["halt"].fallback


def test_whatever_can_be_critical_has_an_alarm(stack: Stack) -> None:
    said_by_others = {
        "gateway.database", "orchestrator.database", "feed.health",  # parts of a health that has an alarm
        "jwt.private_mode",  # never polled: a check reads it
    }  # fmt: skip
    critical = {fact.id for fact in stack.facts.values() if can_become(fact, Level.CRIT)}
    assert critical - {rule.fact for rule in stack.alarms} == said_by_others


COLOUR_ONLY: Final = {
    "orchestrator.kill": "kill.state has the alarm, and a disagreement is a conflict",
    "gateway.kill": "as orchestrator.kill",
    "orphans.exposure": "orphans.open, which it comes from, has the alarm",
    "orchestrator.signal": "part of orchestrator.health, which has the alarm",
    "orchestrator.gateway": "as orchestrator.signal",
    "orchestrator.dry_run_same": "the orchestrator sends the same orders either way; the gateway's decides",
    "feed.reconnects": "a stream that stays cut, feed.connected, has the alarm",
    "feed.auto": "what comes of it, a held symbol without a price, has the alarm",
    "signal.age": "a strategy that was switched off keeps its last time",
    "registry.health": "its container's health check raises one; no order rests on it",
    "jobs.silent": "a backtest moves no money",
    "loki.ready": "its container's health check raises one",
    "grafana.database": "pictures alone rest on it",
    "host.memory": "a container that ran out of memory raises one",
    "jwt.private_mode": "never polled: the check jwt-keys reads it",
    "jwt.public": "as jwt.private_mode",
    "models.version": "models.doubtful counts the strategies without a model, and has the alarm",
}
"""Facts whose warning nobody is called for, and why."""


def test_a_warning_either_calls_somebody_or_has_a_reason_not_to(stack: Stack) -> None:
    warning = {fact.id for fact in stack.facts.values() if can_become(fact, Level.WARN)}
    assert warning - {rule.fact for rule in stack.alarms} == set(COLOUR_ONLY)


def test_every_alarm_leads_to_a_section_of_the_runbook(stack: Stack) -> None:
    assert stack.runbook is not None
    headings = {line[3:] for line in stack.runbook.read_text().splitlines() if line.startswith("## ")}
    assert {rule.section for rule in stack.alarms} <= headings


def test_every_query_names_the_column_it_takes(stack: Stack) -> None:
    for fact in stack.facts.values():
        if isinstance(fact.query, SqlQuery) and fact.type.value != "table":
            assert fact.pick is not None and fact.pick in fact.query.text, fact.id


def test_a_redis_that_hangs_is_restarted_without_being_asked_and_comes_back_halted(stack: Stack) -> None:
    procedure = stack.procedures["restart-redis"]
    assert {each.fact for each in procedure.requires} == {"service:execution_gateway", "host.services"}
    assert procedure.seen == {}
    assert [step.id for step in procedure.steps] == ["restart", "answers", "kill", "known"]
    assert procedure.steps[2].action == stack.procedures["recover-safety"].steps[0].action
    # What asks for the kill switch first would be kept from it by the very thing it should mend.
    assert "redis" not in stack.procedures["restart"].params[0].one_of


def test_the_platform_is_shut_down_only_with_a_fresh_whole_dump_of_its_database(stack: Stack) -> None:
    wanted = {each.fact: each for each in stack.procedures["shutdown"].requires}
    assert wanted["backup.whole"].is_ok
    assert wanted["backup.at"].max_age == 86400
    assert stack.facts["backup.whole"].missing is not Level.OK
