"""Every fact × every fault of its source: never green, never zero, never blank.

The facts are one of each kind of read and type, and all those of the built-in stack. What comes out is judged
the way the board judges it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from backends.board.ingest import ingest_facts, ingest_failure
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, SourceError, Table, ValueType
from backends.model.judge import judge
from backends.model.port import FactReader
from backends.model.query import HttpQuery, RedisQuery, SqlQuery
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers.http import HttpFactReader
from backends.readers.http_page import Web
from backends.readers.postgres import PostgresFactReader
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.contract.fault_source import BODY_FAULTS, RAW_REPLIES, StubbornRedis
from tests.contract.faulty import Fault, Faulty
from tests.contract.http_server import Answer, HttpServer
from tests.servers.redis import RedisServer

NOW = Instant(1000.0, 1_790_000_000.0)
PATIENCE = 10.0
"""Seconds a poll may take where an answer comes, however busy the machine is."""
SCALARS = [kind for kind in ValueType if kind not in (ValueType.TABLE, ValueType.COUNT)]

Readings = dict[str, Reading[Any]]


def _plain(kind: ValueType, query: Any, pick: str | None = None, **more: Any) -> Fact:
    ident = f"{query} {kind.value} {pick}"
    return Fact(ident, "F", "g", "s", query, kind, pick, missing_note="n", **more)


def _of_each_kind() -> list[Fact]:
    facts = [_plain(kind, RedisQuery("get", "k"), pick) for kind in ValueType for pick in (None, "a.b")]
    facts += [_plain(kind, RedisQuery("hget", "k", "f")) for kind in SCALARS]
    facts += [_plain(ValueType.TABLE, RedisQuery("hgetall", "k"))]
    for op in ("lrange", "zrange", "zrevrange", "xrevrange"):
        facts += [
            _plain(kind, RedisQuery(op, "k", stop=9), None) for kind in (ValueType.TABLE, ValueType.COUNT)
        ]
        facts.append(_plain(ValueType.TEXT, RedisQuery(op, "k", stop=0), "event"))
    for op in ("smembers", "sinter", "groups", "scan_get", "scan_hash"):
        facts += [_plain(kind, RedisQuery(op, "k")) for kind in (ValueType.TABLE, ValueType.COUNT)]
    facts += [_plain(ValueType.TABLE, RedisQuery(op, "k", "f")) for op in ("consumers", "each")]
    facts += [
        _plain(ValueType.TEXT, RedisQuery("ping", "")),
        _plain(ValueType.TIME, RedisQuery("lastsave", "")),
    ]
    for op in ("strlen", "hlen", "llen", "scard", "zcard", "xlen", "ttl", "pttl", "numsub", "dbsize"):
        facts.append(_plain(ValueType.INT, RedisQuery(op, "k")))
    facts += [
        _plain(ValueType.TEXT, RedisQuery("type", "k")),
        _plain(ValueType.BOOL, RedisQuery("exists", "k")),
    ]
    facts += [
        _plain(ValueType.COUNT, RedisQuery("scan", "k*")),
        _plain(ValueType.FLOAT, RedisQuery("time", "")),
    ]
    facts += [_plain(ValueType.INT, RedisQuery("info", "memory", "used_memory"))]
    facts += [_plain(kind, SqlQuery(f"SELECT a, n FROM gone_{kind.value}"), "a") for kind in ValueType]
    facts += [_plain(kind, HttpQuery(f"/{kind.value}"), "a.b") for kind in ValueType]
    facts += [_plain(ValueType.TEXT, HttpQuery("/observed"), "a", observed="b", max_age=60.0)]
    facts += [_plain(ValueType.FLOAT, HttpQuery("/metrics", body="prometheus"), "up")]
    facts += [
        _plain(ValueType.TEXT, HttpQuery("/text", body="text")),
        _plain(ValueType.INT, HttpQuery("/s", body="none")),
    ]
    # Words and limits that would make a wrong value look good.
    return [replace(each, warn_below=-1.0) if each.type is not ValueType.TEXT else each for each in facts]


def _of_the_stacks() -> list[Fact]:
    """Each under a name of its own: two stacks may call different things alike."""
    return [
        replace(fact, id=f"{name} {fact.id}")
        for name, file in built_in().items()
        for fact in load_stack(file).facts.values()
    ]


FACTS = {"of each kind": _of_each_kind(), "of the built-in stacks": _of_the_stacks()}


def facts_for(which: str, query: type) -> list[Fact]:
    chosen = [fact for fact in FACTS[which] if isinstance(fact.query, query)]
    assert len(chosen) >= len(ValueType)
    return chosen


def source(kind: SourceKind, url: str, deadline: float = PATIENCE) -> Source:
    return Source("s", kind, "S", url, every=1.0, deadline=deadline)


@asynccontextmanager
async def redis_at(port: int, deadline: float = PATIENCE) -> AsyncIterator[FactReader]:
    reader = RedisFactReader(source(SourceKind.REDIS, f"redis://127.0.0.1:{port}/0", deadline))
    yield reader
    await reader.close()


@asynccontextmanager
async def postgres_at(
    port: int, deadline: float = PATIENCE, name: str = "postgres"
) -> AsyncIterator[FactReader]:
    url = f"postgresql://postgres@127.0.0.1:{port}/{name}"
    reader = PostgresFactReader(source(SourceKind.POSTGRES, url, deadline))
    yield reader
    await reader.close()


@asynccontextmanager
async def http_at(port: int, deadline: float = PATIENCE) -> AsyncIterator[FactReader]:
    async with Web() as web:
        yield HttpFactReader(source(SourceKind.HTTP, f"http://127.0.0.1:{port}", deadline), web)


async def board(reader: FactReader, facts: Sequence[Fact]) -> Readings:
    """What the board says about the facts after one poll."""
    asked = source(SourceKind.HTTP, "http://x")
    try:
        return ingest_facts(facts, await reader.read(facts), asked, NOW, {})
    except SourceError as error:
        return ingest_failure([fact.id for fact in facts], asked, SafeText(error), NOW, {})


def assert_no_value(facts: Iterable[Fact], readings: Readings, outcomes: set[Outcome]) -> None:
    for fact in facts:
        reading = readings[fact.id]
        assert reading.outcome in outcomes, (fact.id, reading)
        assert reading.value is None, fact.id
        level = judge(fact, reading, NOW)
        if reading.outcome is Outcome.FAILED:
            assert level is Level.UNKNOWN, fact.id
            assert reading.error and reading.error.strip(), fact.id
        else:
            assert level is fact.missing, fact.id


FAILED, MISSING = {Outcome.FAILED}, {Outcome.MISSING}
DOORS = {RedisQuery: redis_at, SqlQuery: postgres_at, HttpQuery: http_at}


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("query", DOORS, ids=lambda query: query.__name__)
@pytest.mark.parametrize(
    "fault", [None, Fault.HANG, Fault.GARBAGE, Fault.CLOSE], ids=["refused", "hang", "garbage", "close"]
)
async def test_a_source_that_does_not_answer_gives_no_value_for_any_fact(
    which: str, query: type, fault: Fault | None
) -> None:
    facts = facts_for(which, query)
    async with Faulty(fault=fault or Fault.CLOSE) as door:
        port = 1 if fault is None else door.port
        async with DOORS[query](port, 0.4) as reader:
            assert_no_value(facts, await board(reader, facts), FAILED)


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("said", RAW_REPLIES)
async def test_a_redis_that_answers_everything_with_one_wrong_thing_gives_no_value(
    which: str, said: str
) -> None:
    facts = facts_for(which, RedisQuery)
    deadline = 0.4 if said == "half an answer" else PATIENCE
    async with StubbornRedis(RAW_REPLIES[said]) as server, redis_at(server.port, deadline) as reader:
        readings = await board(reader, facts)
    if said == "huge number":
        # A number is what these ask for: how large it may be is for the fact's thresholds to say.
        numbers = ("strlen", "hlen", "llen", "scard", "zcard", "xlen", "ttl", "pttl", "exists", "dbsize")
        facts = [fact for fact in facts if _redis(fact).op not in numbers]
    if said == "empty text":
        # Nobody is connected: an empty list of clients is an empty text.
        facts = [fact for fact in facts if _redis(fact).op != "clients"]
    assert_no_value(facts, readings, FAILED)


def _redis(fact: Fact) -> RedisQuery:
    assert isinstance(fact.query, RedisQuery)
    return fact.query


def _http(fact: Fact) -> HttpQuery:
    assert isinstance(fact.query, HttpQuery)
    return fact.query


SEARCHES = ("scan", "scan_get", "scan_hash", "exists", "sinter", "each", "numsub")
"""What looks for something, and finds none of it."""
OF_THE_SERVER = ("info", "time", "ping", "dbsize", "lastsave", "clients")


@pytest.mark.parametrize("which", FACTS)
async def test_a_key_that_is_not_there_is_missing_and_only_a_search_finds_a_true_nothing(
    which: str, redis_db: RedisServer
) -> None:
    facts = facts_for(which, RedisQuery)
    keyed = [fact for fact in facts if _redis(fact).op not in (*SEARCHES, *OF_THE_SERVER)]
    async with redis_at(redis_db.port) as reader:
        readings = await board(reader, facts)
    assert_no_value(keyed, readings, MISSING)
    searched = [readings[fact.id].value for fact in facts if _redis(fact).op in SEARCHES]
    assert all((value.total if isinstance(value, Table) else value) == 0 for value in searched)


WRONG_KINDS = {
    "string": ("SET", "nonsense"), "hash": ("HSET", "f", "v"), "list": ("RPUSH", "nonsense"),
    "set": ("SADD", "nonsense"), "zset": ("ZADD", "1", "nonsense"), "stream": ("XADD", "*", "f", "v"),
}  # fmt: skip
RIGHT_KIND = {
    "get": "string", "strlen": "string", "hget": "hash", "hgetall": "hash", "hlen": "hash", "llen": "list",
    "lrange": "list", "scard": "set", "zcard": "zset", "zrange": "zset", "zrevrange": "zset",
    "xlen": "stream", "xrevrange": "stream", "xlatest": "stream", "smembers": "set", "sinter": "set",
    "each": "set", "groups": "stream", "consumers": "stream",
}  # fmt: skip


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("kind", WRONG_KINDS)
async def test_a_key_of_another_redis_type_gives_no_value(
    which: str, kind: str, redis_db: RedisServer
) -> None:
    facts = [
        fact for fact in facts_for(which, RedisQuery) if RIGHT_KIND.get(_redis(fact).op) not in (None, kind)
    ]
    command, *words = WRONG_KINDS[kind]
    for key in {_redis(fact).key for fact in facts}:
        redis_db.command(command, key, *words)
    async with redis_at(redis_db.port) as reader:
        assert_no_value(facts, await board(reader, facts), FAILED)


MALFORMED = {
    "nothing": "", "blank": " \n", "half JSON": '{"state": "ACT', "empty object": "{}", "empty list": "[]",
    "JSON text": '"ACTIVE"', "Python": "{'state': 'ACTIVE'}", "not a number": '{"state": NaN, "a": NaN}',
    "huge": '{"state": "' + "x" * 70_000 + '"}',
}  # fmt: skip


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_or_huge_string_gives_no_value(
    which: str, what: str, redis_db: RedisServer
) -> None:
    """Where JSON or a number is expected, that is: a plain text may say anything that is not nothing."""
    facts = [fact for fact in facts_for(which, RedisQuery) if _redis(fact).op == "get"]
    for key in {_redis(fact).key for fact in facts}:
        redis_db.command("SET", key, MALFORMED[what])
    async with redis_at(redis_db.port) as reader:
        readings = await board(reader, facts)
    if what not in ("nothing", "blank", "huge"):
        facts = [
            fact for fact in facts if fact.pick or (fact.type in SCALARS and fact.type is not ValueType.TEXT)
        ]
    assert_no_value(facts, readings, FAILED)


@pytest.mark.parametrize("which", FACTS)
async def test_a_database_without_its_tables_gives_no_value(which: str, postgres_dsn: str) -> None:
    facts = [fact for fact in facts_for(which, SqlQuery) if not _asks_the_server_itself(fact)]
    with psycopg.connect(postgres_dsn, autocommit=True) as link:
        link.execute("DROP DATABASE IF EXISTS bare WITH (FORCE)")
        link.execute("CREATE DATABASE bare")
        async with postgres_at(link.info.port, name="bare") as reader:
            assert_no_value(facts, await board(reader, facts), FAILED)
        link.execute("DROP DATABASE bare WITH (FORCE)")


def _asks_the_server_itself(fact: Fact) -> bool:
    assert isinstance(fact.query, SqlQuery)
    its_own = ("pg_stat", "pg_database", "pg_postmaster", "pg_settings", "to_regclass", "information_schema")
    return "FROM" not in fact.query.text.upper().split() or any(word in fact.query.text for word in its_own)


SQL_FAULTS: dict[str, tuple[Callable[[ValueType], str], set[Outcome]]] = {
    "null": (lambda _: "NULL::text", MISSING),
    "wrong type": (lambda _: "'[[1, 2]]'::jsonb", FAILED),
    "object": (lambda _: """'{"a": {"b": null}}'::jsonb""", FAILED),
    "empty": (lambda _: "''", FAILED),
    "blank": (lambda _: "E' \\n'", FAILED),
    "not a number": (lambda kind: "' '" if kind is ValueType.TEXT else "'NaN'::float8", FAILED),
    "infinite": (lambda kind: "' '" if kind is ValueType.TEXT else "'-Infinity'::float8", FAILED),
    "huge": (lambda _: "repeat('9', 100000)", FAILED),
}


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("what", SQL_FAULTS)
async def test_a_wrong_value_in_a_column_gives_no_value(which: str, what: str, postgres_dsn: str) -> None:
    """The real server, asked instead for the same column with a wrong value in it."""
    make, outcomes = SQL_FAULTS[what]
    facts = [
        replace(fact, query=SqlQuery(f'SELECT {make(fact.type)} AS "{fact.pick}"'))
        for fact in facts_for(which, SqlQuery)
        if fact.type in SCALARS
    ]
    with psycopg.connect(postgres_dsn) as link:
        port = link.info.port
    async with postgres_at(port) as reader:
        assert_no_value(facts, await board(reader, facts), outcomes)


@pytest.mark.parametrize("which", FACTS)
async def test_no_row_is_missing_and_several_rows_are_no_value(which: str, postgres_dsn: str) -> None:
    facts = [fact for fact in facts_for(which, SqlQuery) if fact.type in SCALARS]
    none = [replace(fact, query=SqlQuery(f'SELECT 1 AS "{fact.pick}" WHERE false')) for fact in facts]
    two = [replace(fact, query=SqlQuery(f'SELECT 1 AS "{fact.pick}" UNION ALL SELECT 2')) for fact in facts]
    with psycopg.connect(postgres_dsn) as link:
        port = link.info.port
    async with postgres_at(port) as reader:
        assert_no_value(none, await board(reader, none), MISSING)
        assert_no_value(two, await board(reader, two), FAILED)


HTTP_FAULTS = {
    "not found": (Answer(404, b'{"detail": "Not Found"}'), MISSING),
    "server error": (Answer(500, b'{"status": "healthy"}'), FAILED),
    "bad gateway": (Answer(502, b"<html>"), FAILED),
    "credentials": (Answer(401, b'{"detail": "no"}'), FAILED),
    "forbidden": (Answer(403, b'{"detail": "no"}'), FAILED),
    "elsewhere": (Answer(302, b"", {"Location": "http://no.invalid/"}), FAILED),
}


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("what", HTTP_FAULTS)
async def test_an_unexpected_status_gives_no_value(which: str, what: str) -> None:
    answer, outcomes = HTTP_FAULTS[what]
    # Of some paths the status itself is asked; where it is one of those expected, it is an answer.
    facts = [fact for fact in facts_for(which, HttpQuery) if answer.status not in _http(fact).expect]
    async with HttpServer() as server, http_at(server.port) as reader:
        server.otherwise = answer
        assert_no_value(facts, await board(reader, facts), outcomes)


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("what", BODY_FAULTS)
async def test_a_body_that_is_not_the_expected_one_gives_no_value(which: str, what: str) -> None:
    def is_asked(fact: Fact) -> bool:
        assert isinstance(fact.query, HttpQuery)
        # A status alone is its own answer; a table of the whole answer takes any object or list.
        takes_any = fact.type in (ValueType.TABLE, ValueType.COUNT) and fact.pick is None
        return fact.query.body in ("json", "prometheus") and not takes_any

    facts = [fact for fact in facts_for(which, HttpQuery) if is_asked(fact)]
    async with HttpServer() as server, http_at(server.port) as reader:
        server.otherwise = Answer(200, BODY_FAULTS[what])
        assert_no_value(facts, await board(reader, facts), FAILED)


WRONG_LEAVES: dict[ValueType, list[Any]] = {
    ValueType.TEXT: [[], {}, 5, True, "", " "],
    ValueType.INT: [[], {}, True, "x", "", 1.5, 1e300, "np.int64(5)"],
    ValueType.FLOAT: [[], {}, False, "x", "", "nan", "np.float64(1.5)", 10**400],
    ValueType.BOOL: [[], {}, "true", "false", 1, 0, ""],
    ValueType.TIME: [[], {}, True, 0, -1, "", "yesterday", 1e300],
    ValueType.COUNT: ["", "x", True, -1, 1.5],
    ValueType.TABLE: ["", "x", True, 7],
}


@pytest.mark.parametrize("which", FACTS)
@pytest.mark.parametrize("turn", range(8))
async def test_a_wrong_value_in_the_right_place_of_an_answer_gives_no_value(which: str, turn: int) -> None:
    facts = [
        fact
        for fact in facts_for(which, HttpQuery)
        if isinstance(fact.query, HttpQuery) and fact.query.body == "json" and fact.pick
    ]
    # A path of its own for each fact, so that each gets the wrong value its type dreads.
    asked = [replace(fact, query=HttpQuery(f"/{place}")) for place, fact in enumerate(facts)]
    async with HttpServer() as server, http_at(server.port) as reader:
        for fact in asked:
            assert isinstance(fact.query, HttpQuery) and fact.pick is not None
            leaves = WRONG_LEAVES[fact.type]
            server.answers[fact.query.path] = Answer(200, _with(fact.pick, leaves[turn % len(leaves)]))
        assert_no_value(asked, await board(reader, asked), FAILED)


def _with(path: str, leaf: Any) -> bytes:
    node = leaf
    for step in reversed(path.split(".")):
        node = [None] * int(step) + [node] if step.isdecimal() else {step: node}
    return json.dumps(node).encode()
