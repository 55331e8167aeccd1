"""What the stack file of Claire de Binare says, against the stack's contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from backends.model.action import Command, DockerVerb, RedisWrite
from backends.model.fact import Found, Level
from backends.model.judge import level_of
from backends.model.procedure import RiskClass
from backends.model.query import DockerQuery, RedisQuery, SqlQuery
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import Environment, Stack
from backends.model.trading import TradingState
from backends.model.weigh import weigh
from backends.readers.extract import Members, Rows, extract
from backends.stacks.loader import built_in, load_stack
from tests.building import START, failed, missing, ok

ID = "claire-de-binare"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()[ID])


def test_all_nineteen_containers_are_expected_and_only_logging_may_be_absent(stack: Stack) -> None:
    assert len(stack.services) == 19
    optional = {service.name for service in stack.services if not service.is_required}
    assert optional == {"cdb_alertmanager", "cdb_loki", "cdb_promtail"}
    assert {service.name for service in stack.services if not service.has_check} == {"cdb_promtail"}
    assert all(service.match == (service.name,) for service in stack.services)


def test_there_are_four_lamps_and_a_missing_one_never_allows_trading(stack: Stack) -> None:
    assert [gate.fact for gate in stack.gates] == [
        "halt.stream", "execution.latched", "risk.latched", "allocation.open",
    ]  # fmt: skip
    unknown, halted = TradingState.UNKNOWN, TradingState.HALTED
    # A stream that Redis lost says nothing about those who remember what stood in it.
    assert [gate.missing for gate in stack.gates] == [unknown, halted, halted, unknown]
    # No container of execution, or one that does not run: halted, whatever its log last said.
    assert {gate.service for gate in stack.gates[1:3]} == {"cdb_execution", "cdb_risk"}


def test_the_halt_writes_the_stream_and_stops_execution_only_without_proof(stack: Stack) -> None:
    halt = stack.procedures["halt"]
    assert halt.risk is RiskClass.STOP
    stream, container = halt.steps
    assert isinstance(stream.action, RedisWrite)
    assert (stream.action.op, stream.action.key, stream.after) == ("xadd", "stream.bot_shutdown", 0.0)
    assert stream.action.fields["strategy_id"] == "paper"  # without it risk goes on approving
    assert stream.action.fields["priority"] == "SAFETY"
    assert {proof.fact for proof in stream.proof} == {"halt.stream", "execution.latched"}
    assert isinstance(container.action, DockerVerb)
    assert (container.action.verb, container.action.service, container.after) == (
        "stop",
        "cdb_execution",
        3.0,
    )
    assert any("flattened" in text for text in halt.will_not)


def test_resuming_goes_in_the_only_order_that_works(stack: Stack) -> None:
    resume = stack.procedures["resume"]
    assert resume.risk is RiskClass.RESTORE
    done = [
        step.action.service if isinstance(step.action, DockerVerb) else getattr(step.action, "key", "")
        for step in resume.steps
    ]
    assert done == ["", "stream.bot_shutdown", "cdb_execution", "cdb_allocation", "cdb_risk", ""]
    assert all(step.proof and not step.goes_on for step in resume.steps[1:])


def test_what_looks_like_a_switch_and_does_nothing_is_no_gate(stack: Stack) -> None:
    inert = [fact for fact in stack.facts.values() if fact.group == "Set but ineffective"]
    assert {fact.id for fact in inert} == {"inert.emergency", "inert.breaker", "inert.file", "inert.drawdown"}
    assert not {fact.id for fact in inert} & {gate.fact for gate in stack.gates}


def test_rows_that_are_blocked_have_no_procedure() -> None:
    file = tomllib.loads(built_in()[ID].read_text(encoding="utf-8"))
    done = {row for procedure in file["procedure"] for row in procedure.get("runbook", ())}
    assert not done & {"RB-44", "RB-99", "RB-105"}
    said = [check for check in file["check"] if {"RB-75", "RB-98"} & set(check.get("runbook", ()))]
    assert len(said) == 2
    assert all("BLOCKED" in check["note"] for check in said)


def test_a_log_is_cleared_by_making_one_container_anew_and_never_one_that_holds_state(stack: Stack) -> None:
    clear = stack.procedures["clear-log"]
    (again,) = clear.steps
    assert isinstance(again.action, Command)
    assert {"--no-deps", "--force-recreate", "$service"} <= set(again.action.argv)
    assert not {"down", "prune", "--volumes"} & set(again.action.argv)
    keeping = {"cdb_redis", "cdb_postgres", "cdb_risk", "cdb_execution", "cdb_allocation"}
    assert not keeping & set(clear.params[0].one_of)
    # A restart would keep the log: what proves it is a container that was not there before.
    assert again.proof[0].where["created"] == ">=$unix"
    assert (again.proof[1].where["created"], again.proof[1].at_most) == ("<$unix", 0)


def test_what_is_loaded_is_read_back_and_counted_by_its_own_name(stack: Stack) -> None:
    for name in ("restore", "drill"):
        procedure = stack.procedures[name]
        named = {each.where.get("name") for each in procedure.requires}
        assert {"$backup/postgres_dump.sql", "$backup/VERIFIED"} <= named, name
        assert [step.id for step in procedure.steps][:2] == ["verify", "expected"], name
        steps = [step.id for step in procedure.steps]
        assert steps.index("load") < steps.index("restored") < steps.index("compared"), name
    for proof in (proof for step in stack.procedures["backup"].steps for proof in step.proof):
        if proof.fact.startswith("backup"):
            assert proof.where["name"].startswith("$backup"), proof


def execution_in(state: RunState) -> Service:
    name = "cdb_execution"
    return Service(name, Runtime.DOCKER, "c1", SafeText(name), state, Health.STARTING)


def test_what_may_be_done_with_redis_down_rests_on_no_reading_of_it_and_comes_up_halted(stack: Stack) -> None:
    for name in ("stack-recover", "complete-failure"):
        procedure = stack.procedures[name]
        wanted = {each.fact: each for each in procedure.requires}
        execution = wanted.pop("service:cdb_execution")
        assert {stack.facts[fact].source for fact in wanted} <= {"backups", "repo", "secrets"}, name
        assert {"backup.trailer", "backup.checked"} <= wanted.keys(), name
        # Also where a down that went well has left no container to ask about.
        for reading, is_taken in (
            (missing(execution.fact), True),
            (ok(execution.fact, execution_in(RunState.EXITED)), True),
            (ok(execution.fact, execution_in(RunState.RUNNING)), False),
            (ok(execution.fact, execution_in(RunState.RESTARTING)), False),
            (failed(execution.fact), False),
        ):
            assert weigh(execution, None, reading, START).holds is is_taken, (name, reading)
        steps = [step.id for step in procedure.steps]
        assert steps.index("down") < steps.index("stores") < steps.index("halt") < steps.index("up"), name


def test_volumes_are_pruned_only_while_the_whole_stack_runs(stack: Stack) -> None:
    wanted = {each.fact: each for each in stack.procedures["prune-volumes"].requires}
    assert wanted["stack.running"].at_least == 16


def test_whatever_loses_data_wants_a_halt_and_a_fresh_verified_backup(stack: Stack) -> None:
    losing = (
        "restore", "pg-restore", "pg-reset", "migrate-002", "schema-wipe", "deep-clean", "redis-flush",
        "rollback-latest", "rollback-tag", "prune-images", "prune-volumes", "chown", "remove-strangers",
    )  # fmt: skip
    for name in losing:
        wanted = {condition.fact for condition in stack.procedures[name].requires}
        assert {"halt.stream", "backup.trailer", "backup.checked", "backup.verified_age"} <= wanted, name
        assert stack.procedures[name].risk is RiskClass.DEGRADE, name


STOPPING = ("schema-wipe", "deep-clean", "drill", "network-restart", "start-isolated", "docker-daemon",
            "rotate-secrets", "redis-flush")  # fmt: skip
"""What ends execution on its way, or may leave it ended: it cannot be asked at a second try."""


def test_what_is_done_with_execution_stopped_asks_its_settings_and_not_its_answer(stack: Stack) -> None:
    for name in ("restore", "pg-reset", *STOPPING):
        sources = {stack.facts[each.fact].source for each in stack.procedures[name].requires}
        assert "execution" not in sources, name
        wanted = {each.fact: each for each in stack.procedures[name].requires}
        assert wanted["env.mock"].equals == ("true",), name
        assert wanted["env.mock"].is_missing, name


def test_nothing_goes_down_that_compose_could_not_make_anew_for_want_of_a_secret(stack: Stack) -> None:
    for name, procedure in stack.procedures.items():
        steps = [step.action.argv for step in procedure.steps if isinstance(step.action, Command)]
        if not any("up" in argv for argv in steps):
            continue
        looked_at = {each.fact for each in procedure.requires}
        looked_at |= {proof.fact for step in procedure.steps for proof in step.proof}
        assert "secrets.wrong" in looked_at, name


def test_what_may_start_trading_is_a_restore(stack: Stack) -> None:
    for name in ("resume", "unpause", "stack-start", "restart-execution", "restart-allocation",
                 "network-restart", "stack-recover", "complete-failure", "docker-daemon"):  # fmt: skip
        assert stack.procedures[name].risk is RiskClass.RESTORE, name


def test_live_evidence_outranks_paper(stack: Stack) -> None:
    assert ("execution.mode", "live", Environment.LIVE) in stack.environment_facts
    assert level_of(stack.facts["execution.mode"], SafeText("live")) is Level.CRIT


def test_every_named_section_stands_in_the_runbook() -> None:
    folder = built_in()[ID].parent
    headings = set(re.findall(r"^#+ (.*)$", (folder / "runbook.md").read_text(encoding="utf-8"), re.M))
    file = tomllib.loads((folder / "stack.toml").read_text(encoding="utf-8"))
    for table in ("alarm", "check", "checklist", "diagnosis", "procedure"):
        for item in file[table]:
            assert item["section"] in headings, (table, item["id"])


def test_every_query_of_the_database_only_counts_results_of_execution(stack: Stack) -> None:
    """Rows without an order id are intents, pending for ever: counting them doubles everything."""
    for name in ("positions.net", "orders.recorded", "db.last_write", "orders.duplicates"):
        query = stack.facts[name].query
        assert isinstance(query, SqlQuery)
        assert "order_id IS NOT NULL" in query.text, name


def decision(pct: str, cooldown: str = "") -> Members:
    fields = {"id": b"1-0", "strategy_id": b"paper", "allocation_pct": pct.encode()}
    return Members([{**fields, "cooldown_until": cooldown.encode()}], 1)


@pytest.mark.parametrize(
    ("fact", "raw", "value"),
    [
        ("halt.stream", b"1", True),
        ("halt.stream", b"0", False),
        ("allocation.pct", decision("0.020000"), 0.02),
        ("allocation.open", decision("0.020000"), 1),
        ("allocation.open", decision("0.000000"), 0),
        ("allocation.open", decision("np.float64(0.02)"), 1),
        ("allocation.free", decision("0.020000"), 1),
        ("allocation.free", decision("0.020000", "1768860000"), 0),
        ("execution.mode", {"mode": "mock"}, "mock"),
        ("risk.exposure", {"risk_state": {"total_exposure": 3004.2}}, 3004.2),
        ("feed.age", {"last_message_age_ms": 480}, 480),
        ("feed.connected", {"ws_connected": 1}, 1),
        ("halt.at", Members([{"id": b"1-0", "ts": b"1768600000"}], 1), 1768600000.0),
        ("orders.duplicates", Rows([], 0), 0),
        ("redis.ping", b"PONG", "PONG"),
    ],
)
def test_answers_are_read_as_the_contract_gives_them(
    stack: Stack, fact: str, raw: object, value: object
) -> None:
    found = extract(stack.facts[fact], raw)
    assert isinstance(found, Found), found
    assert found.value == value


@pytest.mark.parametrize(
    ("fact", "raw"),
    [
        ("allocation.pct", decision("nan")),
        ("allocation.open", decision("nan")),
        ("execution.mode", {"status": "ok"}),
        ("risk.exposure", {"risk_state": {"total_exposure": float("nan")}}),
        ("feed.age", {"last_message_age_ms": None}),
        ("redis.keys", b"NOAUTH Authentication required."),
        ("halt.at", Members([{"id": b"1-0", "ts": b"soon"}], 1)),
    ],
)
def test_what_is_no_answer_is_never_a_value(stack: Stack, fact: str, raw: object) -> None:
    assert not isinstance(extract(stack.facts[fact], raw), Found)


def test_noauth_is_no_pong(stack: Stack) -> None:
    fact = stack.facts["redis.ping"]
    assert level_of(fact, SafeText("NOAUTH Authentication required.")) is Level.CRIT


@pytest.mark.parametrize(
    ("fact", "line", "matches"),
    [
        ("execution.latched", "Bot shutdown active (strategy_id=paper, bot_id=None, reason=drill)", True),
        ("execution.latched", "Order filled: MOCK_24670309 0.00021 @ 50004.93", False),
        ("risk.latched", "Signal blockiert: Bot-Shutdown aktiv (paper)", True),
        ("risk.latched", "Signal blockiert: Keine Allokation (paper)", False),
        # So it writes too of an entry without strategy_id, which blocks nothing here.
        ("risk.latched", "Bot-Shutdown empfangen: strategy_id=None bot_id=None", False),
        ("risk.latched", "Bot-Shutdown empfangen: strategy_id=paper bot_id=None", True),
        ("log.order_failed", 'Failed to save order: new row for relation "orders" violates check', True),
        ("log.order_failed", 'Failed to save trade: null value in column "price"', True),
        ("log.order_failed", "Order execution failed: Insufficient balance", True),
        ("log.order_failed", "Order rejected by simulator: MOCK_24670309", False),
        ("log.directory", "cat: read error: Is a directory", True),
        ("log.directory_apps", "cat: /run/secrets/redis_password: Is a directory", True),
        ("log.subscribed", "Subscribed to topic: orders", True),
        ("log.subscribed", "Subscribed to channel: orders", False),
        ("log.redis_auth", "NOAUTH Authentication required.", True),
        ("log.dsn", 'invalid integer value "pa" for connection option "port"', True),
    ],
)
def test_log_signatures_are_those_that_are_really_written(
    stack: Stack, fact: str, line: str, matches: bool
) -> None:
    query = stack.facts[fact].query
    assert isinstance(query, DockerQuery)
    assert (re.search(query.pattern or "", line) is not None) is matches


def test_the_halt_of_the_last_run_is_no_latch_of_this_one(stack: Stack) -> None:
    for name in ("execution.latched", "risk.latched", "halt.exercised", "log.subscribed"):
        query = stack.facts[name].query
        assert isinstance(query, DockerQuery)
        assert query.since_start, name


def test_the_replay_s_lines_need_their_nine_fields() -> None:
    file = tomllib.loads(Path(built_in()[ID]).read_text(encoding="utf-8"))
    pattern = next(fact["file"]["pattern"] for fact in file["fact"] if fact["id"] == "replay.odd")
    good = (
        '{"client_id": "c-1", "filled_quantity": 0.0002, "order_id": "MOCK_00000001", "price": 50001.5, '
        '"quantity": 0.0002, "side": "BUY", "status": "FILLED", "stream_id": "1768600001000-0", '
        '"symbol": "BTCUSDT", "timestamp": 1768600001, "type": "order_result"}'
    )
    assert re.search(pattern, good) is None
    for bad in (good.replace('"side": "BUY", ', ""), good.replace(": ", ":"), good[:-1], ""):
        assert re.search(pattern, bad) is not None, bad


def test_the_streams_are_named_with_a_dot(stack: Stack) -> None:
    keys = [fact.query.key for fact in stack.facts.values() if isinstance(fact.query, RedisQuery)]
    assert not [key for key in keys if key.startswith("stream:")]
