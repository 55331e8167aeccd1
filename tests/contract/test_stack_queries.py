"""Every query of a stack file is one its platform's database answers, through the production reader."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Found
from backends.model.stack import Stack
from backends.readers.postgres import PostgresFactReader
from backends.stacks.loader import built_in, load_stack

SCHEMA = Path(__file__).parents[2] / "backends" / "demo" / "trading_platform"


@pytest.fixture(scope="module")
def platform_database(postgres_dsn: str) -> Iterator[str]:
    """A database with the platform's tables and no rows; its URL."""
    name = f"queries_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    dsn = urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for file in sorted(SCHEMA.glob("schema*.sql")):
            connection.execute(file.read_bytes())
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-platform"])


async def test_every_query_is_answered_on_an_empty_database(stack: Stack, platform_database: str) -> None:
    facts = [fact for fact in stack.facts.values() if fact.source == "postgres"]
    source = replace(stack.sources["postgres"], url=platform_database, username="postgres", deadline=20.0)
    reader = PostgresFactReader(source)
    try:
        findings = await reader.read(facts)
    finally:
        await reader.close()
    broken = {name: found.why for name, found in findings.items() if isinstance(found, Broken)}
    assert not broken
    assert set(findings) == {fact.id for fact in facts}
    # An aggregate over nothing is a number; the newest of nothing is no such thing.
    assert findings["orders.open"] == Found(0)
    assert findings["positions.gross"] == Found(0.0)
    assert findings["orders.oldest"] == Absent()
    assert findings["db.missing"] == Found(0)
