"""What the room must not fall for in Claire de Binare: a trap of its contract each, by its number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import monotonic
from typing import Any

import pytest

from backends.board.derivation import Deriver
from backends.model.action import Command, DockerExec, RedisUnit, RedisWrite
from backends.model.fact import Found, Level, Table
from backends.model.judge import judge, level_of
from backends.model.query import DockerQuery, SqlQuery
from backends.model.reading import Reading
from backends.model.stack import Stack
from backends.readers.coerce import MisfitError
from backends.readers.docker_client import DockerClient
from backends.readers.docker_look import Look
from backends.readers.docker_run import RunLogs
from backends.readers.docker_view import PROJECT
from backends.readers.extract import extract
from backends.stacks.loader import built_in, load_stack
from tests.building import START, is_found, later, missing, ok


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["claire-de-binare"])


def actions(stack: Stack) -> list[Any]:
    return [step.action for procedure in stack.procedures.values() for step in procedure.steps]


def commands(stack: Stack) -> list[tuple[str, ...]]:
    return [action.argv for action in actions(stack) if isinstance(action, Command)]


def test_whatever_goes_down_is_named_by_its_project_or_its_files(stack: Stack) -> None:
    """A2: a bare docker-compose down stops nothing, and says that it went well."""
    downs = [argv for argv in commands(stack) if "down" in argv]
    assert downs
    for argv in downs:
        assert {"-p", "--project-name", "-f", "--file"} & set(argv), argv
        assert not {"-v", "--volumes"} & set(argv), argv


def test_no_program_of_upstream_is_run_that_does_another_thing_than_it_says(stack: Stack) -> None:
    """A1, A5, A6, A7, A9: the doctor's -Fix deletes what runs, the rollback takes the stack down and reports
    success, schema.sql drops every table first, and a prune is of the whole host."""
    said = " ".join(part for argv in commands(stack) for part in argv)
    for never in ("stack_", "dr_", "clear_logs", " prune", "schema.sql", "--remove-orphans"):
        assert never not in said, never


NULLABLE = "migrate-002"
"""Its own file inserts a version twice, which is harmless: what it is for is read back."""


def test_what_psql_is_given_ends_at_its_first_error(stack: Stack) -> None:
    """A7: it prints 41 errors, goes on, and ends with 0."""
    for name, procedure in stack.procedures.items():
        for step in procedure.steps:
            argv = step.action.argv if isinstance(step.action, DockerExec) else ()
            if argv[:1] == ("psql",) and name != NULLABLE:
                assert "ON_ERROR_STOP=1" in argv, name
    (migrate,) = (step for step in stack.procedures[NULLABLE].steps if isinstance(step.action, DockerExec))
    assert {proof.fact for proof in migrate.proof} == {"db.price_nullable"}


def asked(stack: Stack) -> list[str]:
    """What each fact asks, with whom and for which member."""
    said = []
    for fact in stack.facts.values():
        query = fact.query
        text = query.text if isinstance(query, SqlQuery) else getattr(query, "query", "")
        said.append(f"{fact.source} {getattr(query, 'path', '')} {text} {fact.pick or ''}")
    return said


@pytest.mark.parametrize(
    "never",
    [
        r"^execution /status  database\.",  # compares upper case with lower: always 0
        r"^execution /orders",  # intents first, which crowd out what was answered
        r"^(execution|risk) /health",  # ok whatever happens
        r"^risk .*circuit_breaker",  # nothing can trip it
        r"^prometheus .*\b(pg_|cdb_|container_|node_|circuit_breaker_active|orders_created_total)",  # none is
        r"^postgres .*\b(FROM|JOIN) (positions|portfolio_snapshots)\b",  # empty, and its seed for ever
        r"^postgres .*\b(approved|rejection_reason|confidence)\b",  # true, never filled, a constant
    ],
)
def test_nothing_rests_on_what_upstream_never_tells_truly(stack: Stack, never: str) -> None:
    """3.3, 4, 5, 6 and 10-C."""
    assert [each for each in asked(stack) if re.search(never, each, re.S)] == []


def test_no_order_is_ever_published_from_here(stack: Stack) -> None:
    """A8: whoever publishes on the bus goes past risk and is really filled; the E2E suite does so."""
    writes = [action for action in actions(stack) if isinstance(action, RedisWrite)]
    writes += [write for action in actions(stack) if isinstance(action, RedisUnit) for write in action.writes]
    assert not [write for write in writes if write.op == "publish" or "orders" in write.key]
    said = " ".join(part for argv in commands(stack) for part in argv)
    for never in ("PUBLISH", "pytest", "E2E_RUN"):
        assert never not in said, never
    for text in (stack.diagnoses["no-result"].response, stack.checks["halt-exercised"].response):
        assert "Do not publish" in text


def container(name: str, project: str = "", state: str = "exited") -> dict[str, Any]:
    labels = {PROJECT: project} if project else {}
    return {
        "Id": name, "Names": [f"/{name}"], "State": state, "Status": state, "Image": "i", "Labels": labels,
        "Created": 1,
    }  # fmt: skip


class Engine(DockerClient):
    """Knows containers and nothing else."""

    def __init__(self, containers: list[dict[str, Any]]) -> None:
        self._containers = containers

    def get(self, path: str, params: Mapping[str, str], within: float) -> Any:
        return self._containers


def strangers(stack: Stack, *containers: dict[str, Any]) -> list[str]:
    fact = stack.facts["stack.orphans"]
    assert isinstance(fact.query, DockerQuery)
    look = Look(
        Engine([*containers]), {"cdb_redis": ("cdb_redis",)}, [fact.query], RunLogs(), monotonic() + 10.0
    )
    found = extract(fact, look.answer(fact.query))
    assert isinstance(found, Found) and isinstance(found.value, Table), found
    return [row[found.value.columns.index("name")] for row in found.value.rows]


def test_what_is_of_the_test_or_memory_overlay_is_no_stranger_to_be_removed(stack: Stack) -> None:
    """2 and 9.2: another project is never touched, and stack_clean force-removes all that is named cdb_."""
    assert strangers(
        stack,
        container("cdb_redis", "cdb", "running"),
        container("cdb_ollama", "cdb-memory"),
        container("cdb_graphiti", "cdb-memory"),
        container("cdb_redis_test", "cdb"),
        container("cdb_test_runner", "cdb"),
        container("cdb_of_before", "cdb"),
        container("cdb_core"),
        container("cdb_market", state="running"),
        container("other"),
    ) == ["cdb_core", "cdb_of_before"]


def test_while_nothing_says_which_project_this_is_nothing_is_a_stranger(stack: Stack) -> None:
    with pytest.raises(MisfitError, match="no container of cdb_redis says its compose project"):
        strangers(stack, container("cdb_core"))


@pytest.mark.parametrize(
    ("diagnosis", "moves", "stands"),
    [
        ("risk-still", "signal.moved", "risk.heard"),
        ("execution-still", "risk.approved_now", "execution.received_now"),
        ("writer-still", "signal.moved", "writer.processed"),
    ],
)
def test_who_is_healthy_and_does_nothing_is_found_by_what_goes_in(
    stack: Stack, diagnosis: str, moves: str, stands: str
) -> None:
    """10-C and 5: every health is ok whatever happens."""
    for before, after, is_it in ((3, 0, True), (3, 2, False), (0, 0, False)):
        assert is_found(stack, diagnosis, ok(moves, before), ok(stands, after)) is is_it


@pytest.mark.parametrize(("age", "signals", "is_it"), [(500, 0, True), (500, 1, False), (60_000, 0, False)])
def test_prices_without_signals_are_told_apart_from_no_prices(
    stack: Stack, age: int, signals: int, is_it: bool
) -> None:
    assert is_found(stack, "signal-still", ok("feed.age", age), ok("signal.moved", signals)) is is_it


def made(stack: Stack, name: str, *readings: Reading[Any]) -> tuple[Any, Level]:
    """What the room makes of readings that came one after another, and how it judges that."""
    deriver, newest = Deriver(stack), {}
    for reading in readings:
        newest[reading.key] = reading
        deriver.remember(newest)
    now = readings[-1].received
    found = deriver.make(name, newest, now)
    return found.value, judge(stack.facts[name], found, now)


@pytest.mark.parametrize(
    ("pending", "least", "level"),
    [((2, 1, 0, 1, 2), 0, Level.OK), ((2, 1, 1, 1, 2), 1, Level.WARN)],
    ids=["answered once", "never answered"],
)
def test_orders_that_stay_pending_for_a_minute_are_lost(
    stack: Stack, pending: tuple[int, ...], least: int, level: Level
) -> None:
    """10-D: the count never recovers."""
    seen = [ok("risk.pending", count, later(20.0 * turn)) for turn, count in enumerate(pending)]
    assert made(stack, "risk.pending_stuck", *seen) == (least, level)


@pytest.mark.parametrize(("ago", "level"), [(0, Level.WARN), (3599, Level.WARN), (3600, Level.OK)])
def test_an_order_that_failed_is_an_alarm_for_an_hour(stack: Stack, ago: int, level: Level) -> None:
    """A quiet desk writes few lines after it: the newest ones hold it for days."""
    failed = ok("log.order_failed_at", START.wall - ago)
    assert made(stack, "log.order_failed_ago", failed) == (ago, level)
    assert made(stack, "log.order_failed_ago", missing("log.order_failed_at"))[1] is Level.OK


@pytest.mark.parametrize(("newer", "level"), [(-500, Level.OK), (60, Level.OK), (61, Level.WARN)])
def test_a_regime_that_allocation_did_not_follow_within_a_minute_never_is(
    stack: Stack, newer: int, level: Level
) -> None:
    """10-D."""
    seen = [ok("allocation.at", START.wall - 700), ok("regime.at", START.wall - 700 + newer)]
    assert made(stack, "allocation.behind", *seen) == (newer, level)


def test_more_than_five_failed_writes_an_hour_are_a_reason_to_stop(stack: Stack) -> None:
    """4: of the project's own thresholds."""
    levels = [level_of(stack.facts["writer.failed"], count) for count in (0, 1, 5, 6)]
    assert levels == [Level.OK, Level.WARN, Level.WARN, Level.CRIT]


@pytest.mark.parametrize(
    ("stream", "latched", "level"),
    [(False, True, Level.CRIT), (True, True, Level.OK), (False, False, Level.OK), (True, False, Level.OK)],
    ids=["lost", "halted", "trades", "not obeyed, which the halt itself proves or not"],
)
def test_a_halt_that_only_execution_s_memory_holds_is_an_alarm(
    stack: Stack, stream: bool, latched: bool, level: Level
) -> None:
    """3.3: Redis may evict the stream, and whoever restarts execution then lets it trade."""
    _, found = made(stack, "halt.kept", ok("halt.stream", stream), ok("execution.latched", latched))
    assert found is level
    (alarm,) = (each for each in stack.alarms if each.fact == "halt.kept")
    # A resume deletes the stream and gives execution its 10 s to end.
    assert (alarm.at, alarm.after) == (Level.CRIT, 60.0)


def test_an_allocation_is_a_fraction_of_which_two_hundredths_are_much(stack: Stack) -> None:
    """10-D: above 0.02 risk does not exempt it, and allocation itself goes there after 30 trades alone."""
    (pct,) = stack.procedures["unpause"].params
    assert pct.one_of
    assert all(0 < float(each) <= 0.02 and len(each) == len("0.020000") for each in pct.one_of)


@pytest.mark.parametrize(
    ("rate", "level"), [(0.05, Level.OK), (0.06, Level.WARN), (0.1, Level.WARN), (0.11, Level.CRIT)]
)
def test_a_rate_of_rejections_is_a_fraction(stack: Stack, rate: float, level: Level) -> None:
    """4: 5 and 10 in a hundred."""
    assert level_of(stack.facts["rejections.rate"], rate) is level


def test_a_regime_is_silent_for_days_and_a_candle_is_not(stack: Stack) -> None:
    """3.2: a regime is written only when it changes, a candle every minute."""

    def level(name: str, age: float) -> Level:
        at = START.wall - age
        reading = ok(name, at, observed_lag=age, max_age=stack.facts[name].max_age)
        return judge(stack.facts[name], reading, START)

    assert level("regime.at", 5 * 86_400) is level("allocation.at", 5 * 86_400) is Level.INFO
    assert (level("candles.last", 60), level("candles.last", 301)) == (Level.INFO, Level.UNKNOWN)


LONG_AGO, JUST_NOW = START.wall - 61.0, START.wall - 20.0


@pytest.mark.parametrize(
    ("is_open", "since", "filled", "is_it"),
    [
        (0, LONG_AGO, 1, True),
        (0, LONG_AGO, 0, False),
        (0, JUST_NOW, 1, False),  # it may have been on its way
        (1, LONG_AGO, 1, False),
    ],
)
def test_a_fill_while_risk_blocks_everything_is_of_somebody_else(
    stack: Stack, is_open: int, since: float, filled: int, is_it: bool
) -> None:
    """A8."""
    readings = [
        ok("allocation.open", is_open), ok("allocation.at", since), ok("execution.filled_now", filled),
    ]  # fmt: skip
    assert is_found(stack, "filled-past-risk", *readings) is is_it


def test_whatever_looks_like_a_switch_and_is_none_is_an_alarm_once_somebody_sets_it(stack: Stack) -> None:
    """A3: the key of services/risk/emergency_stop.py holds a reason, and nobody reads it."""
    alarms = {alarm.fact: alarm for alarm in stack.alarms}
    for fact, value in (("inert.emergency", "fat finger"), ("inert.breaker", 1), ("inert.file", True)):
        assert judge(stack.facts[fact], ok(fact, value), START) is alarms[fact].at, fact
        assert "none" in alarms[fact].consequence or "Orders go on" in alarms[fact].consequence
    assert judge(stack.facts["inert.emergency"], missing("inert.emergency"), START) is Level.OK


@pytest.mark.parametrize(("volume", "is_taken"), [("cdb_postgres_data", True), ("cdb_redis_data", False)])
def test_a_wipe_of_the_database_takes_no_volume_that_holds_the_halt(
    stack: Stack, volume: str, is_taken: bool
) -> None:
    """The stack comes up at its end: with the volume of Redis the halt would be gone, and it would trade."""
    procedure = stack.procedures["schema-wipe"]
    param = next(each for each in procedure.params if each.name == "volume")
    assert bool(re.fullmatch(param.pattern, volume)) is is_taken
    assert "halt.stream" in {proof.fact for proof in procedure.steps[-1].proof}


@pytest.mark.parametrize("name", ["stack-recover", "complete-failure"])
def test_what_comes_up_by_hand_after_a_failure_is_halted_before_it_trades(stack: Stack, name: str) -> None:
    """Its steps halt between the stores and the rest: nobody knows whether Redis still has the halt."""
    told = str(stack.procedures[name].fallback)
    order = [told.index(each) for each in ("cdb_redis cdb_postgres", "halt procedure", "then the same")]
    assert order == sorted(order)
