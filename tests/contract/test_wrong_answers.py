"""What Redis, PostgreSQL and HTTP services may answer that is wrong in one place: it gives no value.

The table of faults has each source wrong as a whole; here it is one key, one column, one status, one body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.fact import Fact, Table, ValueType
from backends.model.query import HttpQuery, RedisQuery, SqlQuery
from backends.model.reading import Outcome
from backends.model.stack import SourceKind
from tests.contract.fault_source import BODY_FAULTS, RAW_REPLIES, StubbornRedis
from tests.contract.fault_table.network import url
from tests.contract.fault_table.stores import OF_THE_SERVER, SEARCHES
from tests.contract.fault_table.subject import SCALARS, of_each_kind, of_the_stacks
from tests.contract.fault_table.trial import (
    FAILED,
    MISSING,
    PATIENCE,
    Readings,
    assert_no_value,
    board,
    reading,
)
from tests.contract.http_server import Answer, HttpServer
from tests.servers.redis import RedisServer

KINDS = {RedisQuery: SourceKind.REDIS, SqlQuery: SourceKind.POSTGRES, HttpQuery: SourceKind.HTTP}


def facts_for(query: type) -> list[Fact]:
    found = (*of_each_kind(KINDS[query]), *of_the_stacks(KINDS[query], False))
    return [fact for fact in found if isinstance(fact, Fact) and isinstance(fact.query, query)]


async def read(kind: SourceKind, port: int, facts: Sequence[Fact], deadline: float = PATIENCE) -> Readings:
    """What the board says of the facts after one poll of what listens there."""
    async with reading(kind, url(kind, port), facts, deadline) as (reader, asked):
        return await board(reader, asked, PATIENCE)


@pytest.mark.parametrize("said", RAW_REPLIES)
async def test_a_redis_that_answers_everything_with_one_wrong_thing_gives_no_value(said: str) -> None:
    facts = facts_for(RedisQuery)
    deadline = 0.4 if said == "half an answer" else PATIENCE
    async with StubbornRedis(RAW_REPLIES[said]) as server:
        readings = await read(SourceKind.REDIS, server.port, facts, deadline)
    if said == "huge number":
        # A number is what these ask for: how large it may be is for the fact's thresholds to say.
        sizes = ("strlen", "hlen", "llen", "scard", "zcard", "xlen", "xany", "ttl", "pttl")
        numbers = (*sizes, "exists", "dbsize")
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


async def test_a_key_that_is_not_there_is_missing_and_only_a_search_finds_a_true_nothing(
    redis_db: RedisServer,
) -> None:
    facts = facts_for(RedisQuery)
    keyed = [fact for fact in facts if _redis(fact).op not in (*SEARCHES, *OF_THE_SERVER)]
    readings = await read(SourceKind.REDIS, redis_db.port, facts)
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
    "xlen": "stream", "xany": "stream", "xrevrange": "stream", "xlatest": "stream", "xsince": "stream",
    "smembers": "set", "sinter": "set", "each": "set", "groups": "stream", "consumers": "stream",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_KINDS)
async def test_a_key_of_another_redis_type_gives_no_value(kind: str, redis_db: RedisServer) -> None:
    facts = [fact for fact in facts_for(RedisQuery) if RIGHT_KIND.get(_redis(fact).op) not in (None, kind)]
    command, *words = WRONG_KINDS[kind]
    for key in {_redis(fact).key for fact in facts}:
        redis_db.command(command, key, *words)
    assert_no_value(facts, await read(SourceKind.REDIS, redis_db.port, facts), FAILED)


MALFORMED = {
    "nothing": "", "blank": " \n", "half JSON": '{"state": "ACT', "empty object": "{}", "empty list": "[]",
    "JSON text": '"ACTIVE"', "Python": "{'state': 'ACTIVE'}", "not a number": '{"state": NaN, "a": NaN}',
    "huge": '{"state": "' + "x" * 70_000 + '"}',
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_or_huge_string_gives_no_value(what: str, redis_db: RedisServer) -> None:
    """Where JSON or a number is expected, that is: a plain text may say anything that is not nothing."""
    facts = [fact for fact in facts_for(RedisQuery) if _redis(fact).op == "get"]
    for key in {_redis(fact).key for fact in facts}:
        redis_db.command("SET", key, MALFORMED[what])
    readings = await read(SourceKind.REDIS, redis_db.port, facts)
    if what not in ("nothing", "blank", "huge"):
        facts = [
            fact for fact in facts if fact.pick or (fact.type in SCALARS and fact.type is not ValueType.TEXT)
        ]
    assert_no_value(facts, readings, FAILED)


SQL_FAULTS: dict[str, tuple[Callable[[ValueType], str], frozenset[Outcome]]] = {
    "null": (lambda _: "NULL::text", MISSING),
    # What a count counts is the entries of these.
    "wrong type": (lambda kind: "'word'" if kind is ValueType.COUNT else "'[[1, 2]]'::jsonb", FAILED),
    "object": (lambda kind: "-1" if kind is ValueType.COUNT else """'{"a": {"b": null}}'::jsonb""", FAILED),
    "empty": (lambda _: "''", FAILED),
    "blank": (lambda _: "E' \\n'", FAILED),
    "not a number": (lambda kind: "' '" if kind is ValueType.TEXT else "'NaN'::float8", FAILED),
    "infinite": (lambda kind: "' '" if kind is ValueType.TEXT else "'-Infinity'::float8", FAILED),
    "huge": (lambda _: "repeat('9', 100000)", FAILED),
}


@pytest.mark.parametrize("what", SQL_FAULTS)
async def test_a_wrong_value_in_a_column_gives_no_value(what: str, postgres_dsn: str) -> None:
    """The real server, asked instead for the same column with a wrong value in it."""
    make, outcomes = SQL_FAULTS[what]
    facts = [
        replace(fact, query=SqlQuery(f'SELECT {make(fact.type)} AS "{fact.pick or "count"}"'))
        for fact in facts_for(SqlQuery)
        if fact.type is not ValueType.TABLE
    ]
    with psycopg.connect(postgres_dsn) as link:
        port = link.info.port
    assert_no_value(facts, await read(SourceKind.POSTGRES, port, facts), outcomes)


async def test_no_row_is_missing_and_several_rows_are_no_value(postgres_dsn: str) -> None:
    facts = [fact for fact in facts_for(SqlQuery) if fact.type in SCALARS]
    none = [replace(fact, query=SqlQuery(f'SELECT 1 AS "{fact.pick}" WHERE false')) for fact in facts]
    two = [replace(fact, query=SqlQuery(f'SELECT 1 AS "{fact.pick}" UNION ALL SELECT 2')) for fact in facts]
    with psycopg.connect(postgres_dsn) as link:
        port = link.info.port
    assert_no_value(none, await read(SourceKind.POSTGRES, port, none), MISSING)
    assert_no_value(two, await read(SourceKind.POSTGRES, port, two), FAILED)


HTTP_FAULTS = {
    "not found": (Answer(404, b'{"detail": "Not Found"}'), MISSING),
    "server error": (Answer(500, b'{"status": "healthy"}'), FAILED),
    "bad gateway": (Answer(502, b"<html>"), FAILED),
    "credentials": (Answer(401, b'{"detail": "no"}'), FAILED),
    "forbidden": (Answer(403, b'{"detail": "no"}'), FAILED),
    "elsewhere": (Answer(302, b"", {"Location": "http://no.invalid/"}), FAILED),
}


@pytest.mark.parametrize("what", HTTP_FAULTS)
async def test_an_unexpected_status_gives_no_value(what: str) -> None:
    answer, outcomes = HTTP_FAULTS[what]
    # Of some paths the status itself is asked; where it is one of those expected, it is an answer.
    facts = [fact for fact in facts_for(HttpQuery) if answer.status not in _http(fact).expect]
    async with HttpServer() as server:
        server.otherwise = answer
        assert_no_value(facts, await read(SourceKind.HTTP, server.port, facts), outcomes)


@pytest.mark.parametrize("what", BODY_FAULTS)
async def test_a_body_that_is_not_the_expected_one_gives_no_value(what: str) -> None:
    def is_asked(fact: Fact) -> bool:
        assert isinstance(fact.query, HttpQuery)
        # A status alone is its own answer; a table of the whole answer takes any object or list.
        takes_any = fact.type in (ValueType.TABLE, ValueType.COUNT) and fact.pick is None
        return fact.query.body in ("json", "prometheus") and not takes_any

    facts = [fact for fact in facts_for(HttpQuery) if is_asked(fact)]
    async with HttpServer() as server:
        server.otherwise = Answer(200, BODY_FAULTS[what])
        assert_no_value(facts, await read(SourceKind.HTTP, server.port, facts), FAILED)
