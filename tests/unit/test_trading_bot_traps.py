"""What the room must not fall for in the trading bots: a trap of their contract each, by its number."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from backends.config import load
from backends.model.action import Command, SystemdVerb
from backends.model.examination import Answer
from backends.model.fact import Level, ValueType
from backends.model.judge import judge
from backends.model.query import Derivation, FileQuery, HostQuery, HttpQuery, RedisQuery, SystemdQuery
from backends.model.safetext import SafeText
from backends.model.service import RunState
from backends.model.stack import SourceKind, Stack
from backends.model.weigh import weigh
from backends.stacks.loader import built_in, load_stack
from tests.building import START, checked, is_found, missing, ok, running

ID = "trading-bot"
GATE = running("quality-gate")
HALT, NO_REASON = ok("mode", "halt"), missing("halt.reason")
WELL = (ok("recon.mismatches", 0), ok("recon.diff", 0.1))


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()[ID])


def commands(stack: Stack) -> list[Command]:
    return [
        step.action
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, Command)
    ]


def decides(stack: Stack) -> set[str]:
    """The facts that something hangs on: a gate, an alarm, a precondition, a proof, the environment."""
    procedures = stack.procedures.values()
    return (
        {gate.fact for gate in stack.gates}
        | {alarm.fact for alarm in stack.alarms}
        | {each.fact for procedure in procedures for each in procedure.requires}
        | {proof.fact for procedure in procedures for step in procedure.steps for proof in step.proof}
        | {fact for fact, *_ in stack.environment_facts}
    )


@pytest.mark.parametrize(
    ("diagnosis", "readings", "is_it"),
    [
        # T3: what makes the gate halt is nowhere in Redis; that nobody else did is.
        ("gate-halts", [GATE, HALT, NO_REASON, *WELL], True),
        ("gate-halts", [GATE, ok("mode", "auto"), NO_REASON, *WELL], False),
        ("gate-halts", [GATE, HALT, ok("halt.reason", "operator"), *WELL], False),
        ("gate-halts", [GATE, HALT, NO_REASON, ok("recon.mismatches", 2), WELL[1]], False),
        ("gate-halts", [missing("service:quality-gate"), HALT, NO_REASON, *WELL], False),
        # T4, T5: what an ended strategy left behind.
        ("basis-left", [running("basis_carry", RunState.EXITED), ok("basis.positions", 1)], True),
        ("basis-left", [running("basis_carry"), ok("basis.positions", 1)], False),
        ("basis-left", [running("basis_carry", RunState.EXITED), ok("basis.positions", 0)], False),
        ("quotes-left", [running("mm_as", RunState.EXITED), ok("mm.quotes", 6)], True),
        ("quotes-left", [running("mm_as"), ok("mm.quotes", 6)], False),
        # T10: the dollars are gone within one step of the enforcer, and all the capital is in use.
        ("capital-snapped", [ok("capital.effective", 1.0), ok("enforcer.target", 0.4)], True),
        ("capital-snapped", [ok("capital.effective", 1.0), ok("enforcer.target", 1.0)], False),
        ("capital-snapped", [ok("capital.effective", 20000.0), ok("enforcer.target", 0.4)], False),
        ("capital-snapped", [ok("capital.effective", 0.4), ok("enforcer.target", 0.4)], False),
        # T14
        ("slack-half", [ok("env.slack_webhook", True), ok("env.slack_webhook_url", False)], True),
        ("slack-half", [ok("env.slack_webhook", True), ok("env.slack_webhook_url", True)], False),
        ("slack-url-half", [ok("env.slack_webhook", False), ok("env.slack_webhook_url", True)], True),
        ("slack-url-half", [ok("env.slack_webhook", False), ok("env.slack_webhook_url", False)], False),
        ("slack-half", [missing("env.slack_webhook"), missing("env.slack_webhook_url")], False),
        # T19
        ("panic-open", [ok("panic.open", 1)], True),
        ("panic-open", [ok("panic.open", 0)], False),
    ],
)
def test_a_trap_is_known_by_its_readings(
    stack: Stack, diagnosis: str, readings: list[Any], is_it: bool
) -> None:
    assert is_found(stack, diagnosis, *readings) is is_it


def test_a_resume_is_watched_for_longer_than_its_slowest_reverter_waits(stack: Stack) -> None:
    """T2: reconciliation looks every 30 s, the quality gate every 5."""
    for name in ("resume-auto", "resume-paper"):
        procedure = stack.procedures[name]
        assert {"gate", "mismatches", "difference"} <= {each.id for each in procedure.requires}
        (proof,) = procedure.steps[-1].proof
        assert (proof.fact, proof.reads * stack.sources["redis"].every > 30) == ("mode", True)


def test_nothing_here_restarts_a_strategy_over_what_it_holds(stack: Stack) -> None:
    """T4."""
    verbs = [step.action for each in stack.procedures.values() for step in each.steps]
    assert not [
        verb
        for verb in verbs
        if isinstance(verb, SystemdVerb) and verb.unit in ("basis_carry.service", "mm_as.service")
    ]


def test_what_took_no_quote_back_is_told_from_what_quotes_on_by_the_quotes_own_time(stack: Stack) -> None:
    """T5."""
    (quotes,) = [step for step in stack.procedures["halt"].steps if step.id == "quotes"]
    (proof,) = quotes.proof
    assert (proof.fact, proof.where, proof.at_most) == ("mm.quotes", {"timestamp": ">$unix"}, 0)


def test_the_stack_goes_where_its_folder_goes(tmp_path: Path) -> None:
    """T13: upstream's programs have a developer's path in them. Here the config file alone says where."""
    config = tmp_path / "config.toml"
    config.write_text(f'[stack.{ID}.source.app]\nurl = "file:///srv/bots"\n')
    (moved,) = load(config, env={"HOME": str(tmp_path)}).stacks
    folders = {command.folder for command in commands(moved)}
    assert folders == {"/srv/bots", "/tmp"}  # where upstream's capture always writes
    assert not [part for command in commands(moved) for part in command.argv if part.startswith("/")]
    asked = [fact.query for fact in moved.facts.values() if isinstance(fact.query, HostQuery)]
    processes = [query for query in asked if "whale_stream_daemon.py" in query.target]
    assert processes
    assert all("/srv/bots/" in query.target.split("|") for query in processes)
    said = [text for each in moved.procedures.values() for text in (each.fallback, each.summary, each.note)]
    assert not [text for text in said if "/opt/trader" in (text or "")]
    assert any("/srv/bots: make validate-48h-now" in (text or "") for text in said)


def test_nothing_hangs_on_what_the_strategy_guard_says(stack: Stack) -> None:
    """T15: without data it trips at random, and no strategy reads its flags."""
    assert "strategy.guards" not in decides(stack)
    assert "Random" in stack.facts["strategy.guards"].note
    read = [fact.query.key for fact in stack.facts.values() if isinstance(fact.query, RedisQuery)]
    assert not [key for key in read if key.startswith(("features:flags", "metric:strategy_guard"))]


@pytest.mark.parametrize(
    ("reading", "level"),
    [
        (missing("policy.collapse"), Level.WARN),
        (ok("policy.collapse", SafeText("UNKNOWN")), Level.CRIT),
        (ok("policy.collapse", SafeText("MEDIUM")), Level.WARN),
        (ok("policy.collapse", SafeText("HIGH")), Level.CRIT),
    ],
)
def test_a_policy_nobody_knows_is_told_as_unknown_and_never_pages_as_collapsed(
    stack: Stack, reading: Any, level: Level
) -> None:
    """T16: upstream's exporter says 3 for unknown, and its rule pages from 2."""
    (alarm,) = [alarm for alarm in stack.alarms if alarm.fact == "policy.collapse"]
    assert judge(stack.facts["policy.collapse"], reading, START) is level
    assert (alarm.at, alarm.words) == (Level.CRIT, {"HIGH"})
    picked = [fact.pick for fact in stack.facts.values() if isinstance(fact.query, HttpQuery)]
    assert "rl_policy_collapse_risk" not in picked


def test_no_command_is_done_because_it_ended_well(stack: Stack) -> None:
    """T17: switch, validation, watchdog, capture and panic all end with 0 whatever became of them."""
    for name, procedure in stack.procedures.items():
        for step in procedure.steps:
            if isinstance(step.action, Command):
                assert step.proof, name
                sources = {stack.facts[proof.fact].source for proof in step.proof}
                assert {stack.sources[source].kind for source in sources} == {SourceKind.FILES}, name
    assert "exit" in stack.procedures["snapshot"].note


CREDENTIALS = (
    ".env", "config/.env", ".env.production", "config/credentials.json", "secrets/binance.key",
    "api_keys.txt", "docker-compose.yml", "config.yaml", "src/config/keys.py",
)  # fmt: skip
"""What the repository has committed, or may hold a password of its compose file."""


def is_taken(path: str, pattern: str) -> bool:
    wanted = PurePosixPath(pattern)
    return len(PurePosixPath(path).parts) == len(wanted.parts) and PurePosixPath(path).match(pattern)


def test_committed_credentials_are_neither_read_nor_shown_nor_copied(stack: Stack) -> None:
    """T20."""
    for name, fact in stack.facts.items():
        if isinstance(fact.query, FileQuery):
            assert not [each for each in CREDENTIALS if is_taken(each, fact.query.path)], name
        if isinstance(fact.query, HostQuery) and fact.query.what.startswith("env"):
            assert fact.type is ValueType.BOOL, name
    assert all(source.password is None and not source.username for source in stack.sources.values())
    copied = [part for command in commands(stack) if command.argv[0] == "tar" for part in command.argv]
    assert [part for part in copied if not part.startswith("-")] == ["tar", "logs-$operation.tgz", "logs"]


def test_of_the_makefile_only_what_does_what_it_says_is_run(stack: Stack) -> None:
    """T21 to T23: go-live, the flags of it and the game day; tests and the CI compose; the autopilots."""
    made = [command.argv for command in commands(stack) if command.argv[0] == "make"]
    assert made == [("make", "validate-48h-now")]
    words = {word for command in commands(stack) for part in command.argv for word in part.split()}
    for never in ("pytest", "docker", "docker-compose", "go-live", "game-day-execute", "autopilot_green.py"):
        assert never not in words
    first, second, *_ = stack.procedures["stop-all-order-processes"].steps
    assert (first.each and first.each.fact, second.each and second.each.fact) == (
        "orders.autopilots",
        "orders.processes",
    )


def test_going_live_is_a_flag_in_redis_and_not_the_variable_of_that_name(stack: Stack) -> None:
    """T21: ``make go-live-flag-on`` exports in a shell of its own, which ends."""
    query = stack.facts["golive"].query
    assert isinstance(query, RedisQuery)
    assert (query.op, query.key) == ("get", "ops:go_live")
    asked = {fact.query.name for fact in stack.facts.values() if isinstance(fact.query, HostQuery)}
    assert "GO_LIVE" not in asked


def test_whoever_must_be_root_to_restart_a_unit_is_told_so_before(stack: Stack) -> None:
    """T25."""
    procedure = stack.procedures["restart-policy"]
    assert "unprivileged" in procedure.note
    assert procedure.fallback.startswith("By hand: sudo systemctl restart rl-policy")


def test_what_is_abandoned_is_made_of_the_start_of_the_process_and_the_entry_of_the_position(
    stack: Stack,
) -> None:
    """T4."""
    query = stack.facts["basis.abandoned"].query
    assert isinstance(query, Derivation)
    assert (query.op, query.of, query.column) == ("before", ("basis.positions", "basis.since"), "entry_time")


@pytest.mark.parametrize(("processes", "answer"), [(0, Answer.YES), (1, Answer.NO)])
def test_an_order_process_that_was_not_told_its_mode_is_no_dry_run(
    stack: Stack, processes: int, answer: Answer
) -> None:
    """D13: Coinbase's executor sends real orders on any mode but paper, and on none."""
    silent = [ok("env.exec_live", False), ok("env.dry_off", False)]
    assert checked(stack, "no-real-money", *silent, ok("orders.live", processes)) is answer


@pytest.mark.parametrize(
    ("unit", "answer"),
    [
        (missing("unit.trading_bot"), Answer.YES),
        (ok("unit.trading_bot", "inactive"), Answer.YES),
        (ok("unit.trading_bot", "failed"), Answer.YES),
        (ok("unit.trading_bot", "active"), Answer.NO),
        (ok("unit.trading_bot", "deactivating"), Answer.NO),
    ],
)
def test_a_halt_is_complete_once_the_engine_that_reads_no_mode_is_stopped_too(
    stack: Stack, unit: Any, answer: Answer
) -> None:
    rest = [HALT, *(ok(fact, 0) for fact in ("orders.live", "basis.positions", "halt.erasers"))]
    assert checked(stack, "halted-fully", *rest, unit) is answer
    proofs = [proof for step in stack.procedures["prove-halt"].steps for proof in step.proof]
    assert [proof.equals for proof in proofs if proof.fact == "unit.trading_bot"] == [("inactive", "failed")]
    for name in ("halt", "halt-starve"):
        (engine,) = [it for it in stack.procedures[name].steps if it.target == "trading_bot"]
        assert engine.action == SystemdVerb("systemd", "stop", "trading_bot.service")
        assert [proof.equals for proof in engine.proof] == [("inactive", "failed")]


def test_the_engine_that_reads_no_mode_is_not_started_through_a_halt(stack: Stack) -> None:
    """The runbook restarts it before it resumes."""
    demands = {each.fact: each for each in stack.procedures["restart-trading-bot"].requires}
    assert set(demands["mode"].equals) == set(stack.gates[0].trading) - {"failover"}


def test_whoever_has_starved_the_capital_is_told_how_to_resume(stack: Stack) -> None:
    """Under a halt the enforcer goes to its floor of 0.10 and comes from below: it is never reached."""
    assert stack.procedures["halt-starve"].reversible_by == "resume-auto"
    for name in ("resume-auto", "resume-paper"):
        (capital,) = [each for each in stack.procedures[name].requires if each.id == "capital"]
        assert "SET risk:capital_effective 0.1" in capital.because


@pytest.mark.parametrize(
    ("fact", "reading", "is_met"),
    [
        ("capital.request", ok("capital.request", "0.2"), True),
        ("capital.request", ok("capital.request", "20"), False),
        ("capital.request", ok("capital.request", "0.4"), False),
        ("capital.request", missing("capital.request"), False),
        ("capital.request_at", ok("capital.request_at", START.wall - 3600), True),
        ("capital.request_at", ok("capital.request_at", START.wall - 90_000), False),
        ("capital.request_at", missing("capital.request_at"), False),
        ("slo.current", ok("slo.current", "tier_b", observed_lag=7 * 86400.0, max_age=777600.0), True),
        ("slo.current", ok("slo.current", "tier_b", observed_lag=10 * 86400.0, max_age=777600.0), False),
        ("slo.tier", missing("slo.tier"), False),
    ],
)
def test_a_stage_is_approved_only_as_asked_for_within_a_day_and_by_a_gate_of_this_week(
    stack: Stack, fact: str, reading: Any, is_met: bool
) -> None:
    """A denial leaves the present level behind as if it were a request; the weekly gate has no scheduler."""
    (demand,) = [each for each in stack.procedures["capital-approve"].requires if each.fact == fact]
    assert weigh(demand, stack.facts[fact], reading, START).is_well is is_met


@pytest.mark.parametrize(
    ("checked_at", "answer"),
    [
        (ok("recon.checked", START.wall - 30), Answer.YES),
        (ok("recon.checked", START.wall - 86400), Answer.NO),
        (missing("recon.checked"), Answer.NO),
    ],
)
def test_risk_figures_are_well_only_while_reconciliation_goes_on(
    stack: Stack, checked_at: Any, answer: Answer
) -> None:
    """Its keys have no expiry: 0 mismatches stand for ever once the daemon, which has no unit, has ended."""
    figures = [ok("risk.drawdown", 0.01), *WELL, checked_at]
    assert checked(stack, "risk-figures", *figures) is answer


@pytest.mark.parametrize(
    ("cards", "age", "answer"), [(1, 3600.0, Answer.YES), (0, None, Answer.NO), (1, 200_000.0, Answer.NO)]
)
def test_without_a_scorecard_of_these_days_nothing_is_said_of_execution(
    stack: Stack, cards: int, age: float | None, answer: Answer
) -> None:
    """Of no venue and no strategy none is poor, and a card has no expiry."""
    for check, name, counts in (
        ("execution", "tca.strategies", ("tca.strategy_low", "tca.strategy_high")),
        ("venues", "tca.venues", ("tca.venue_poor", "tca.venue_slow", "latency.slow")),
    ):
        aged = missing(f"{name}_age") if age is None else ok(f"{name}_age", age)
        readings = [ok(name, cards), aged, *(ok(fact, 0) for fact in counts)]
        assert checked(stack, check, *readings) is answer


@pytest.mark.parametrize(
    ("ran", "answer"),
    [
        (ok("unit.watchdog_ran", START.wall - 1800), Answer.YES),
        (ok("unit.watchdog_ran", START.wall - 86400), Answer.NO),
        (missing("unit.watchdog_ran"), Answer.NO),
    ],
)
def test_a_watchdog_that_never_ran_had_no_good_run(stack: Stack, ran: Any, answer: Answer) -> None:
    """systemd says exit code 0 of what it has not started since the host did."""
    rest = [ok("unit.watchdog_timer", "active"), ok("unit.watchdog_status", 0)]
    assert checked(stack, "watchdog", *rest, ran) is answer
    (told,) = [each.fact for each in stack.checks["watchdog"].demands if each.max_age]
    query = stack.facts[told].query
    assert isinstance(query, SystemdQuery)
    assert (query.unit, query.show) == ("rl-watchdog.service", "ExecMainExitTimestamp")


@pytest.mark.parametrize(
    ("fact", "value", "alarm"),
    [
        ("capital.cap", 20000.0, "capital-cap"),
        ("capital.cap", 0.0, "capital-cap"),
        ("influence.pct", 10.0, "influence-on"),
    ],
)
def test_what_the_contract_calls_wrong_raises_an_alarm(
    stack: Stack, fact: str, value: float, alarm: str
) -> None:
    """A cap in dollars is 100 % within minutes, one of 0 is Slack's second click."""
    (found,) = [each for each in stack.alarms if each.id == alarm]
    assert (found.fact, found.at) == (fact, judge(stack.facts[fact], ok(fact, value), START))
