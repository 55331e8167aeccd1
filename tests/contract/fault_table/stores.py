"""Redis, PostgreSQL and SQLite: real servers with nothing or the wrong thing in them, and one that says the
same to everything."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
from msgspec.structs import replace

from backends.model.fact import Fact, ValueType
from backends.model.query import LoginQuery, RedisQuery, SqlQuery
from backends.model.stack import SourceKind
from tests.contract.fault_source import RAW_REPLIES, StubbornRedis
from tests.contract.fault_table.network import transport, url
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import (
    FAILED,
    IMPATIENCE,
    MISSING,
    Door,
    Ground,
    Stage,
    Staged,
    Trial,
    reading,
)
from tests.contract.faulty import NOISE
from tests.servers.redis import RedisServer

SEARCHES = ("scan", "scan_get", "scan_hash", "exists", "xany", "sinter", "each", "numsub")
"""What looks for something, and finds none of it."""
OF_THE_SERVER = ("info", "time", "ping", "dbsize", "lastsave", "clients")


def _always(said: str) -> Stage:
    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        async with (
            StubbornRedis(RAW_REPLIES[said]) as server,
            reading(SourceKind.REDIS, url(SourceKind.REDIS, server.port), subjects) as staged,
        ):
            yield staged

    return stage


@asynccontextmanager
async def _empty_redis(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
    server: RedisServer = ground.request.getfixturevalue("redis_db")
    async with reading(SourceKind.REDIS, url(SourceKind.REDIS, server.port), subjects) as staged:
        yield staged


def op(fact: Fact) -> str:
    assert isinstance(fact.query, RedisQuery)
    return fact.query.op


REDIS = Door(
    SourceKind.REDIS,
    transport(SourceKind.REDIS)
    | {
        "wrong type": {said: Trial(_always(said)) for said in ("nil", "list")},
        "huge": {"more than it may": Trial(_always("huge text"))},
        "missing": {
            "no key": Trial(
                _empty_redis,
                MISSING,
                but={
                    "a search that finds none says so": lambda fact: op(fact) in SEARCHES,
                    "the server tells of itself": lambda fact: op(fact) in OF_THE_SERVER,
                },
            )
        },
    },
)


def asks_the_server_itself(fact: Fact) -> bool:
    """Whether its query has an answer where not one table of the stack's is."""
    if not isinstance(fact.query, SqlQuery):
        return False
    its_own = ("pg_stat", "pg_database", "pg_postmaster", "pg_settings", "to_regclass", "information_schema")
    text = re.sub(r"extract\(\w+ FROM", "", fact.query.text)
    from_where = re.findall(r"\bFROM\s+(\S)", text)
    return all(start == "(" for start in from_where) or any(word in text for word in its_own)


def _is_table(fact: Fact) -> bool:
    return fact.type is ValueType.TABLE


def _put(fact: Fact, make: Callable[[Fact], str]) -> Fact:
    """The same column, with something else in it."""
    column = fact.pick or "count"
    return replace(fact, query=SqlQuery(f'SELECT {make(fact)} AS "{column}"'))  # of this test


def _no_scalar(fact: Fact) -> str:
    """A list is no value but a count, which counts it."""
    return "'word'" if fact.type is ValueType.COUNT else "'[[1, 2]]'::jsonb"


def _postgres(make: Callable[[Fact], str], client: str) -> Stage:
    """The real server, asked for what ``make`` says; the client of its own is a script."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        program = ground.folder / "psql"
        program.write_text(f"#!/bin/sh\n{client}\n")
        program.chmod(0o755)
        asked = [
            replace(fact, query=LoginQuery(str(program)))
            if isinstance(fact.query, LoginQuery)
            else _put(fact, make)
            for fact in subjects
            if isinstance(fact, Fact)
        ]
        async with reading(SourceKind.POSTGRES, _address(ground), asked) as staged:
            yield staged

    return stage


def _address(ground: Ground) -> str:
    dsn: str = ground.request.getfixturevalue("postgres_dsn")
    return dsn


@asynccontextmanager
async def _bare(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
    """A database without tables, on a host without a client."""
    dsn = _address(ground)
    asked = [
        replace(each, query=LoginQuery("/no/such/psql"))
        if isinstance(each, Fact) and isinstance(each.query, LoginQuery)
        else each
        for each in subjects
    ]
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("DROP DATABASE IF EXISTS bare WITH (FORCE)")
        link.execute("CREATE DATABASE bare")
        async with reading(SourceKind.POSTGRES, f"{dsn.rpartition('/')[0]}/bare", asked) as staged:
            yield staged
        link.execute("DROP DATABASE bare WITH (FORCE)")


_ANY_CELL = {"a table shows what its cells say": _is_table}

POSTGRES = Door(
    SourceKind.POSTGRES,
    transport(SourceKind.POSTGRES)
    | {
        "wrong type": {
            "a list": Trial(_postgres(_no_scalar, "echo nonsense"), but=_ANY_CELL),
            "a word": Trial(
                _postgres(lambda it: "5" if it.type is ValueType.TEXT else "'word'", "echo nonsense; exit 2"),
                but=_ANY_CELL,
            ),
        },
        "huge": {
            "more than it may": Trial(_postgres(lambda _: "repeat('9', 100000)", "yes | head -c 200000"))
        },
        "missing": {
            "no table": Trial(_bare, but={"the server tells of itself": asks_the_server_itself}),
            "null": Trial(_postgres(lambda _: "NULL::text", "exit 0"), MISSING | FAILED, but=_ANY_CELL),
        },
    },
)


def _lite(
    prepare: Callable[[Path], Any], make: Callable[[Fact], str] | None, deadline: float = 10.0
) -> Stage:
    """A file that ``prepare`` makes, or makes something else of."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        path = ground.folder / "some.db"
        facts = [each for each in subjects if isinstance(each, Fact)]
        asked = [_put(fact, make) for fact in facts] if make else facts
        undo = prepare(path)
        try:
            async with reading(SourceKind.SQLITE, f"sqlite://{path}", asked, deadline) as staged:
                yield staged
        finally:
            if undo is not None:
                undo()

    return stage


def _database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as link:
        link.execute("CREATE TABLE something (a)")


def _locked(path: Path) -> Callable[[], None]:
    _database(path)
    link = sqlite3.connect(path, isolation_level=None)
    link.execute("BEGIN EXCLUSIVE")
    return link.close


def _pipe(path: Path) -> Callable[[], None]:
    """Whoever opens it waits for a writer, as on a disk that hangs."""
    os.mkfifo(path)
    return lambda: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def _no_text(fact: Fact) -> str:
    """Any text is a text, but not what is none at all."""
    return "x'fffe'" if fact.type is ValueType.TEXT else "'word'"


def _half(path: Path) -> None:
    _database(path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + NOISE * 200)


SQLITE = Door(
    SourceKind.SQLITE,
    {
        "refused": {"a folder": Trial(_lite(Path.mkdir, None))},
        "hang": {
            "a pipe": Trial(_lite(_pipe, None, IMPATIENCE), deadline=IMPATIENCE),
            "locked": Trial(_lite(_locked, None, IMPATIENCE), deadline=IMPATIENCE),
        },
        "garbage": {
            "noise": Trial(_lite(lambda path: path.write_bytes(NOISE) and None, None)),
            "damaged": Trial(_lite(_half, None)),
        },
        "wrong type": {"a word": Trial(_lite(_database, _no_text), but=_ANY_CELL)},
        "huge": {"more than it may": Trial(_lite(_database, lambda _: "hex(zeroblob(100000))"))},
        "missing": {
            "no file": Trial(_lite(lambda _: None, None), MISSING),
            "no table": Trial(_lite(_database, None)),
            "null": Trial(_lite(_database, lambda _: "NULL"), MISSING, but=_ANY_CELL),
        },
    },
)
