"""What the room must not fall for on the Hummingbot desk, and what its newest generation has besides."""

from __future__ import annotations

import re
from typing import Any

import pytest

from backends.board.derive import real_money
from backends.model.action import DockerVerb
from backends.model.examination import Answer
from backends.model.fact import Level, Table
from backends.model.judge import judge
from backends.model.procedure import RiskClass
from backends.model.query import DockerQuery, FileQuery, PrometheusQuery
from backends.model.safetext import SafeText
from backends.model.service import RunState
from backends.model.stack import Stack
from backends.model.weigh import weigh
from backends.procedures.conditions import filled
from tests.building import START, checked, generations, is_found, missing, ok, running

FORMS = generations("hummingbot-desk")
R1, R0, H = FORMS["R1"], FORMS["R0"], FORMS["H"]


def by_hand(stack: Stack, procedure: str) -> set[str]:
    """The bots whose containers are stopped by hand where it was not proved."""
    return set(re.findall(r"\bbot\d", stack.procedures[procedure].fallback or ""))


def stopped(stack: Stack, procedure: str) -> set[str]:
    verbs = [step.action for step in stack.procedures[procedure].steps]
    return {each.service for each in verbs if isinstance(each, DockerVerb)} - {"bot-watchdog"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("procedure", ["halt", "stop-bot1"])
def test_by_hand_the_bots_are_stopped_that_the_procedure_stops_and_no_other(
    form: str, procedure: str
) -> None:
    assert by_hand(FORMS[form], procedure) == stopped(FORMS[form], procedure)


def test_where_a_kill_can_close_the_position_it_is_said_before_it_is_pressed() -> None:
    """10.2: in H the kill sells at the market when that is set and a pair is given, as it is."""
    fact = H.facts["kill.flattens"]
    assert isinstance(fact.query, DockerQuery)
    assert (fact.query.service, fact.query.name) == ("kill-switch", "KILL_SWITCH_FLATTEN_POSITION")
    assert judge(fact, ok(fact.id, True), START) is Level.WARN
    assert judge(fact, ok(fact.id, False), START) is judge(fact, missing(fact.id), START) is Level.OK
    for name in ("halt", "stop-bot1"):
        assert fact.id in H.procedures[name].shows
        (said,) = [text for text in H.procedures[name].will_not if "KILL_SWITCH_FLATTEN_POSITION" in text]
        assert "market" in said
        assert not [text for text in R1.procedures[name].will_not if "FLATTEN" in text]


@pytest.mark.parametrize("bot", ["bot5", "bot6", "bot7"])
def test_a_banner_of_the_newest_bots_says_that_money_is_real_as_well(bot: str) -> None:
    live = {f"{bot}.mode": ok(f"{bot}.mode", "LIVE MODE")}
    assert real_money(H, live, START) == {f"{bot}.mode"}
    assert not real_money(H, {f"{bot}.mode": ok(f"{bot}.mode", "mode=PAPER")}, START)
    ended = running(bot, RunState.EXITED)
    assert not real_money(H, {**live, ended.key: ended}, START)
    (alarm,) = [each for each in H.alarms if each.fact == f"{bot}.mode"]
    assert (alarm.at, alarm.service) == (judge(H.facts[alarm.fact], live[alarm.fact], START), bot)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [(ok("kill.keys", 3), Answer.YES), (ok("kill.keys", 2), Answer.NO), (ok("kill.keys", 0), Answer.NO)],
)
@pytest.mark.parametrize("form", ["R1", "H"])
def test_a_kill_without_keys_is_not_ready_though_none_was_tried(form: str, keys: Any, answer: Answer) -> None:
    """Its health tests none, and no report says that it had none before the first kill."""
    rest = [ok("kill.dry_run", True), ok("kill.health", "ok"), missing("kill.error")]
    assert checked(FORMS[form], "kill-ready", *rest, keys) is answer


@pytest.mark.parametrize("form", ["R1", "H"])
@pytest.mark.parametrize("procedure", ["live-microcap", "live-notrade"])
def test_no_real_money_is_started_while_a_kill_has_no_keys_or_does_not_answer(
    form: str, procedure: str
) -> None:
    """11.2: a dry run that is off cancels nothing without key, secret and passphrase."""
    stack = FORMS[form]
    required = {each.fact: each for each in stack.procedures[procedure].requires}
    assert (required["kill.keys"].at_least, required["kill.health"].equals) == (3, ("ok",))
    (alarm,) = [each for each in stack.alarms if each.fact == "kill.keys"]
    assert judge(stack.facts["kill.keys"], ok("kill.keys", 2), START) is alarm.at
    assert judge(stack.facts["kill.keys"], ok("kill.keys", 3), START) is Level.OK


@pytest.mark.parametrize("form", ["R1", "H"])
@pytest.mark.parametrize(
    ("procedure", "script"),
    [
        ("live-microcap", "v2_epp_v2_4_bot1_bitget_live_microcap.yml"),
        ("live-notrade", "v2_epp_v2_4_bot1_bitget_live_notrade.yml"),
        ("upgrade-live", "v2_epp_v2_4_bot1_bitget_live_notrade.yml"),
    ],
)
def test_with_real_money_bot_1_is_proved_to_have_been_given_the_script_and_not_its_default(
    form: str, procedure: str, script: str
) -> None:
    """2.2: where the compose file names a script of its own, the env file is right and bot_a trades live."""
    stack = FORMS[form]
    steps = {step.id: step for step in stack.procedures[procedure].steps}
    assert [*steps].index("given") == [*steps].index("recreate") + 1
    (proof,) = steps["given"].proof
    query = stack.facts[proof.fact].query
    assert isinstance(query, DockerQuery)
    assert (query.what, query.service, query.name, query.value) == (
        "env_is", "bot1", "SCRIPT_CONFIG", script,
    )  # fmt: skip
    assert proof.equals == ("true",)


@pytest.mark.parametrize("form", FORMS)
def test_the_services_are_up_when_every_one_is_that_the_room_expects(form: str) -> None:
    """ST-3: every expected container, those of the evidence and of the dashboards too."""
    stack = FORMS[form]
    demanded = {demand.fact for demand in stack.checks["services-up"].demands}
    assert demanded == {f"service:{each.name}" for each in stack.services if each.is_required}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("check", "controller"),
    [("smoke-demo", "epp_v2_4_binance_demo_smoke"), ("smoke-paper", "epp_v2_4_bitget_paper_smoke")],
)
def test_a_smoke_run_is_that_of_its_own_profile_and_writes_minutes_now(
    form: str, check: str, controller: str
) -> None:
    """Bot 1 passes a preflight and runs with every profile, the live one too."""
    demands = FORMS[form].checks[check].demands
    (heard,) = [each for each in demands if each.fact == "bots.heard"]
    assert (heard.where, heard.at_least) == ({"instance_name": "bot1", "controller_id": controller}, 1)
    assert [each.max_age for each in demands if each.fact == "bot1.minute_at"] == [300]


@pytest.mark.parametrize("name", ["start-bot3", "start-validation", "recreate-bot4"])
def test_where_bots_trade_by_themselves_to_start_one_is_to_resume(name: str) -> None:
    """In H the container is the strategy: to start it is to trade. In R1 it waits at its prompt."""
    started = H.procedures[name]
    assert started.risk is RiskClass.RESTORE
    assert any("by itself as soon" in text for text in started.warnings)
    assert {each.id for each in started.requires} >= {"long-enough", "killed"}
    assert (started.held_for, started.reversible_by) == (30.0, "halt")
    assert R1.procedures[name].risk is not RiskClass.RESTORE


WINDOWS = Table(
    (SafeText("status"), SafeText("deterministic_repeat_pass")),
    ((SafeText("pass"), SafeText("true")),) * 3,
    3,
)
REPORTED: dict[str, dict[str, Any]] = {
    "bus-gaps": {"bus.missing": True},
    "bus-delta": {"bus.delta": True, "bus.compared": 1},
    "tests-where": {"tests.runtime": "host"},
    "day2-delta": {"day2.delta": True},
    "day2-missing": {"day2.missing": True},
    "ci-steps": {"ci.failed": 0, "ci.steps": 5},
    "replay-windows": {"replay.windows": WINDOWS, "replay.failed": 0},
    "replay-same": {"replay.windows": WINDOWS},
    "md-both": {"md.fresh": True, "md.rows": True},
    "secrets-none": {"security.findings": 0},
}


@pytest.mark.parametrize(("age", "answer"), [(60.0, Answer.YES), (30 * 86400.0, Answer.NO)])
@pytest.mark.parametrize("check", REPORTED)
@pytest.mark.parametrize("form", FORMS)
def test_a_report_of_last_month_passes_no_check(form: str, check: str, age: float, answer: Answer) -> None:
    """7, 11.6: a report stays until its script is run again. Each item is a check of its own, and says so."""
    stack = FORMS[form]
    readings = [
        ok(name, value, observed_lag=age if stack.facts[name].observed else None)
        for name, value in REPORTED[check].items()
    ]
    assert checked(stack, check, *readings) is answer


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_check_takes_from_a_report_is_no_older_than_it_says(form: str) -> None:
    stack = FORMS[form]
    for name, check in stack.checks.items():
        limits: dict[str, list[float | None]] = {}
        for demand in check.demands:
            fact = stack.facts.get(demand.fact)
            if fact is not None and isinstance(fact.query, FileQuery) and fact.query.what in ("json", "age"):
                limits.setdefault(fact.query.path, []).append(fact.max_age or demand.max_age)
        # What the last kill said is as true however long ago it was.
        undated = [path for path, ages in limits.items() if not any(ages) and "kill_switch" not in path]
        assert not undated, name


@pytest.mark.parametrize("form", FORMS)
def test_a_gate_of_the_exporter_counts_only_with_a_fresh_report(form: str) -> None:
    """6.2: on a report of months ago it still says 1."""
    stack, seen = FORMS[form], set()
    reports = {'source="promotion_latest"': "promotion_gate", '"coordination_runtime_ok"': "coordination"}
    for name, check in stack.checks.items():
        asked = [stack.facts[each.fact].query for each in check.demands if each.fact in stack.facts]
        queries = [each.query for each in asked if isinstance(each, PrometheusQuery)]
        for gate in (each for each in queries if "gate_status{" in each):
            (report,) = [report for part, report in reports.items() if part in gate]
            assert [each for each in queries if f'report_fresh{{report="{report}"}}' in each], name
            seen.add(report)
    assert seen == {*reports.values()}


NEVER_THERE = (
    "kill_switch_count", "container_restart_count", "tick_duration", "tick_indicator", "tick_connector_io",
    "position_drift_pct", "margin_ratio", "funding_rate", "ws_reconnect", "order_book_stale",
)  # fmt: skip


def test_nothing_of_the_oldest_generation_rests_on_a_metric_that_is_a_constant_there() -> None:
    """6.3: its columns do not exist yet, and the exporter says the default: 0, and no book is stale."""
    queries = [fact.query.query for fact in R0.facts.values() if isinstance(fact.query, PrometheusQuery)]
    assert len(queries) > 5
    assert not [query for query in queries if any(name in query for name in NEVER_THERE)]


@pytest.mark.parametrize(("address", "is_it"), [("0.0.0.0", True), ("127.0.0.1", False)])
@pytest.mark.parametrize("form", ["R1", "H"])
def test_a_kill_switch_that_other_hosts_reach_is_found(form: str, address: str, is_it: bool) -> None:
    """10.2: it asks for no credentials."""
    columns = (SafeText("name"), SafeText("address"), SafeText("port"))
    ports = Table(columns, ((SafeText("9900"), SafeText(address), SafeText("9900")),), 1)
    assert is_found(FORMS[form], "kill-open", ok("kill.ports", ports)) is is_it


@pytest.mark.parametrize(("image", "is_met"), [("x:2.12.1", True), ("x:2.12.0", False), (None, False)])
@pytest.mark.parametrize("name", ["upgrade-test", "upgrade-live"])
def test_an_upgrade_is_of_the_image_that_was_checked(name: str, image: str | None, is_met: bool) -> None:
    """UP-2: the report stays, and says pass of the image it was asked for."""
    (demand,) = [each for each in R1.procedures[name].requires if each.fact == "upgrade.target"]
    asked = filled(demand, {"image": "x:2.12.1"})
    assert "x:2.12.1" in asked.because
    reading = missing("upgrade.target") if image is None else ok("upgrade.target", image)
    assert weigh(asked, R1.facts["upgrade.target"], reading, START).is_well is is_met


@pytest.mark.parametrize("form", FORMS)
def test_whoever_relies_on_the_gates_is_shown_what_they_left_out(form: str) -> None:
    """10.1, 11.6: they pass without a replay and whatever Day2 says, when they are run so."""
    for name, procedure in FORMS[form].procedures.items():
        if "gates.status" in {each.fact for each in procedure.requires}:
            assert {"gates.skip_replay", "gates.day2"} <= {*procedure.shows}, name
