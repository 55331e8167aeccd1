"""What the stack file of the market surveillance says, against the system's contract."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from backends.model.action import Command, DockerExec, DockerVerb, RedisUnit, RedisWrite
from backends.model.fact import Level, Table
from backends.model.judge import level_of
from backends.model.procedure import Procedure, RiskClass
from backends.model.query import Derivation, DockerQuery, HttpQuery, RedisQuery, SqlQuery
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import counted
from backends.stacks.loader import built_in, load_stack
from tests.building import is_found, missing, ok


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


@pytest.mark.parametrize(
    ("diagnosis", "readings", "is_it"),
    [
        # T-05
        ("adapter-never-connected", [ok("log.adapter_failed", True)], True),
        ("adapter-never-connected", [ok("log.adapter_failed", False)], False),
        # T-07: the exchange that sends hides the one that does not.
        ("gap-hidden", [ok("books.count", 3), ok("gaps.hour", 0)], True),
        ("gap-hidden", [ok("books.count", 4), ok("gaps.hour", 0)], False),
        ("gap-hidden", [ok("books.count", 3), ok("gaps.hour", 2)], False),
        # T-12
        ("limits-gone", [missing("config.btc_limits")], True),
        ("limits-gone", [ok("config.btc_limits", 11)], False),
        # T-18
        ("batches-fail", [ok("log.write_errors", 1)], True),
        ("batches-fail", [ok("log.write_errors", 0)], False),
    ],
)
def test_a_failure_is_known_by_its_readings(
    stack: Stack, diagnosis: str, readings: list[Any], is_it: bool
) -> None:
    assert is_found(stack, diagnosis, *readings) is is_it


FEEDS = ("binance-perp", "binance-spot", "okx-perp", "okx-spot")


def test_each_feed_is_judged_by_its_own_book_and_not_by_the_gaps_of_its_instrument(stack: Stack) -> None:
    """T-07."""
    for feed in FEEDS:
        assert level_of(stack.facts[f"{feed}.ttl"], 54) is Level.WARN, feed
        assert stack.facts[f"{feed}.ttl"].missing is Level.CRIT, feed
    demanded = {demand.fact for demand in stack.checks["pipeline"].demands}
    demanded |= {demand.fact for demand in stack.checks["data-flows"].demands}
    assert "gaps.hour" not in demanded
    silent = {alarm.fact for alarm in stack.alarms if alarm.section == "A feed is silent"}
    assert {"binance.ttl", "okx.ttl", "books.count"} <= silent
    assert "one exchange hides the other's" in stack.facts["gaps.hour"].note


@pytest.mark.parametrize("check", ["data-flows", "status-summary"])
def test_a_further_instrument_or_exchange_makes_up_for_no_feed_that_lacks_rows(
    stack: Stack, check: str
) -> None:
    """ETH can be switched on: of five feeds four are enough for none of those that must be there."""
    (feeds,) = [demand for demand in stack.checks[check].demands if demand.fact == "db.feeds"]
    columns = ("exchange", "instrument", "per_second", "age")
    rows = [
        ("binance", "BTC-USDT-PERP", "9", "1"), ("okx", "BTC-USDT-PERP", "9", "1"),
        ("okx", "BTC-USDT-SPOT", "9", "1"), ("binance", "ETH-USDT-PERP", "9", "1"),
        ("bybit", "BTC-USDT-SPOT", "9", "1"),
    ]  # fmt: skip
    cells = [tuple(SafeText(cell) for cell in row) for row in rows]
    assert counted(Table(columns, tuple(cells), len(cells)), feeds.where) == (3.0, ANY)
    assert feeds.at_least == len(FEEDS)


@pytest.mark.parametrize("name", ["ingestion-restart", "workers-restart", "workers-start"])
def test_ingestion_is_back_when_a_feed_of_its_new_run_is_subscribed(stack: Stack, name: str) -> None:
    """T-05, SM-6a: it is healthy without any feed, and what it wrote before stands for a minute."""
    (step,) = [
        step
        for step in stack.procedures[name].steps
        if isinstance(step.action, DockerVerb) and step.action.service == "data-ingestion"
    ]
    (proof,) = [proof for proof in step.proof if proof.fact == "log.subscribed"]
    assert proof.at_least == 1
    query = stack.facts[proof.fact].query
    assert isinstance(query, DockerQuery)
    assert (query.service, query.since_start, query.pattern) == ("data-ingestion", True, "adapter_subscribed")
    assert not [each for each in step.proof if each.fact == "redis.health" and not each.equals]


def test_who_switches_an_exchange_off_is_told_that_its_alerts_freeze(stack: Stack) -> None:
    """T-08."""
    procedure = stack.procedures["exchange-off"]
    assert "do not resolve themselves" in procedure.will_not[0]
    assert "alerts.count" in procedure.shows
    (both,) = [each for each in procedure.requires if each.fact == "redis.health"]
    assert both.at_least == 2


def test_old_rows_are_dropped_by_the_day_and_never_deleted_one_by_one(stack: Stack) -> None:
    """T-13."""
    said = " ".join(str(action) for action in actions(stack.procedures["metrics-drop"]))
    assert "drop_chunks" in said
    assert "DELETE" not in said


def test_what_depends_on_a_changed_variable_is_made_anew_alone_and_not_restarted(stack: Stack) -> None:
    """T-14."""
    for name in ("debug-on", "debug-off"):
        made = [action.argv for action in actions(stack.procedures[name]) if isinstance(action, Command)]
        assert made == [("docker", "compose", "up", "--detach", "--no-deps", "metrics-engine")], name


def test_no_dump_goes_through_a_terminal(stack: Stack) -> None:
    """T-16: a terminal puts carriage returns into it."""
    for name in ("backup", "backup-schema"):
        (dump,) = [action for action in actions(stack.procedures[name]) if isinstance(action, DockerExec)]
        assert dump.argv[0] == "pg_dump"
        assert dump.output is not None


DUMP = """\
COPY _timescaledb_catalog.hypertable (id, schema_name) FROM stdin;
1\tpublic
\\.
COPY _timescaledb_internal._hyper_1_7_chunk (id, value) FROM stdin;
1\t0.5
2\tCOPY public.alerts (id) FROM stdin;
\\.
COPY _timescaledb_internal.compress_hyper_2_9_chunk (id) FROM stdin;
1
\\.
COPY public.alerts (id, alert_id, context) FROM stdin;
1\ta\t{}
2\tb\ttwo\\nlines
3\tc\t\\\\.
\\.
COPY public.metrics (id, value) FROM stdin;
\\.
-- PostgreSQL database dump complete
"""


def test_a_restore_counts_what_is_in_the_dump_and_swaps_only_for_as_much(
    stack: Stack, tmp_path: Path
) -> None:
    """DB-4: row and alert counts against the backup."""
    steps = {step.id: step.action for step in stack.procedures["restore"].steps}
    order = [*steps]
    assert order[:4] == ["copy", "copied", "expected", "stop-anomaly-detector"]
    assert order[order.index("load") : order.index("swap")] == ["load", "counted", "compared", "open"]
    expected, counted, compared = steps["expected"], steps["counted"], steps["compared"]
    assert isinstance(expected, Command) and isinstance(compared, Command)
    assert isinstance(counted, DockerExec)
    assert [f"{compared.folder}/{word}" for word in compared.argv[-2:]] == [expected.output, counted.output]
    (tmp_path / "backup_1.sql").write_text(DUMP)
    argv = [word.replace("$file", "backup_1.sql") for word in expected.argv]
    said = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == "alerts|3\nrows|6\n"


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_reconnects_are_told_of_before_they_are_used_up(stack: Stack, exchange: str) -> None:
    """T-03: at ten the feed is dead."""
    levels = [level_of(stack.facts[f"{exchange}.reconnects"], count) for count in (4, 5, 8, 9)]
    assert levels == [Level.OK, Level.WARN, Level.WARN, Level.CRIT]
    (alarm,) = [alarm for alarm in stack.alarms if alarm.id == f"{exchange}-reconnects"]
    assert (alarm.fact, alarm.at) == (f"{exchange}.reconnects", Level.WARN)


def test_a_single_key_that_redis_throws_away_is_an_alarm(stack: Stack) -> None:
    """T-09."""
    (alarm,) = [alarm for alarm in stack.alarms if alarm.id == "redis-evicts"]
    assert level_of(stack.facts[alarm.fact], 1) is alarm.at is Level.CRIT
    assert level_of(stack.facts[alarm.fact], 0) is Level.OK


def test_what_two_stores_read_in_turn_differ_in_anyhow_is_no_alarm(stack: Stack) -> None:
    """The detector writes Redis first and then the database, and each is read in its own turn: every alert
    that is raised or resolved stands in one of them alone for a poll."""
    compared = {
        name: [stack.facts[each] for each in fact.query.of]
        for name, fact in stack.facts.items()
        if isinstance(fact.query, Derivation) and fact.query.op == "without"
    }
    assert compared.keys() == {"alerts.db_only", "alerts.redis_only"}
    for name, read in compared.items():
        assert len({each.source for each in read}) == 2
        slowest = max(each.every or stack.sources[each.source].every for each in read)
        (alarm,) = [each for each in stack.alarms if each.fact == name]
        assert alarm.after >= 2 * slowest


MISLEADING = ("status", "uptime_seconds", "message_rate", "gaps_1h", "healthy", "metrics_count")
"""Of the dashboard's health: healthy with an exchange missing, a count called a rate, a clock of its own."""


def test_nothing_rests_on_what_the_dashboard_says_of_the_whole(stack: Stack) -> None:
    """5, D-29: 200 is answered with both stores down, and an exchange that is missing still reads healthy."""
    for fact in stack.facts.values():
        if isinstance(fact.query, HttpQuery) and "/health" in fact.query.path:
            assert fact.pick is not None and fact.pick.rpartition(".")[2] not in MISLEADING, fact.id
            assert "detailed" not in fact.query.path, "it counts all rows"


def test_no_query_is_one_that_always_fails_or_counts_forty_five_million_rows(stack: Stack) -> None:
    """4.1, D-25: get_latest_metrics() is ambiguous, and the partition key bounds what is read."""
    asked = {name: fact.query.text for name, fact in stack.facts.items() if isinstance(fact.query, SqlQuery)}
    assert len(asked) > 20
    for name, text in asked.items():
        flat = " ".join(text.split()).lower()
        assert "get_latest_metrics" not in flat, name
        for table in ("metrics", "basis_metrics"):
            if f"from {table} " in f"{flat} " and "limit 1" not in flat:
                assert "created_at >" in flat or "created_at <" in flat, name


def test_no_list_is_read_as_the_papers_of_the_system_have_it_and_no_set_that_is_never_cleaned(
    stack: Stack,
) -> None:
    """3.1, 3.3: its priority and instrument sets keep every id for ever."""
    keys = [fact.query for fact in stack.facts.values() if isinstance(fact.query, RedisQuery)]
    assert not [query for query in keys if query.key.startswith(("alerts:by_", "alerts:dedup", "gaps:"))]
    hashes = [query.key for query in keys if query.op in ("hget", "hgetall")]
    assert not [key for key in hashes if key.startswith(("health:", "orderbook:", "alert"))]
