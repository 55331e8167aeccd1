"""What the stack file of Claire de Binare makes of a database in which each order stands twice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from backends.model.fact import Found, Table
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.contract.test_stack_queries import listed, read

SCHEMA = Path(__file__).parents[2] / "backends" / "demo" / "claire_de_binare" / "schema.sql"
# order id of the result, side, size, status of the result: an intent and what execution answered, or nothing
ORDERS: list[tuple[str | None, str, float, str]] = [
    ("MOCK_1", "buy", 0.01, "filled"),
    ("SHUTDOWN_ab12cd34", "buy", 0.02, "rejected"),
    (None, "sell", 0.03, ""),
]
INTENT = "INSERT INTO orders (symbol, side, size, created_at) VALUES ('BTCUSDT', %s, %s, %s)"
RESULT = """INSERT INTO orders (order_id, symbol, side, size, approved, status, filled_size, created_at,
submitted_at) VALUES (%s, 'BTCUSDT', %s, %s, TRUE, %s, %s, %s, %s)"""
TRADE = """INSERT INTO trades (symbol, side, price, size, metadata)
VALUES ('BTCUSDT', 'buy', 50000, 0.01, %s::jsonb)"""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["claire-de-binare"])


@pytest.fixture(scope="module")
def database(postgres_dsn: str) -> Iterator[str]:
    """Three orders of ten minutes ago, as the writer and execution both record them; its URL."""
    name = f"claire_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    dsn = urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.read_bytes())
        (at,) = connection.execute("SELECT now() - interval '10 minutes'").fetchone() or (None,)
        for ident, side, size, status in ORDERS:
            connection.execute(INTENT, [side, size, at])
            if ident is not None:
                filled = size if status == "filled" else 0
                connection.execute(RESULT, [ident, side, size, status, filled, at, at])
        for metadata in ('{"order_id": "MOCK_1"}', "{}"):
            connection.execute(TRADE, [metadata])
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("orders.recorded", 2),  # and five rows
        ("orders.lost", 1),  # every intent is pending for ever: one alone was never answered
        ("orders.duplicates", 0),
        ("db.missing", 0),
    ],
)
async def test_an_order_counts_once_and_by_its_result(
    stack: Stack, database: str, fact: str, value: Any
) -> None:
    assert await read(stack, database, fact) == {fact: Found(value)}


async def test_what_is_held_is_what_was_filled_and_no_intent_and_no_rejection(
    stack: Stack, database: str
) -> None:
    assert await listed(stack, database, "positions.net") == [("BTCUSDT", "0.01")]
    mix = {status: rest for status, *rest in await listed(stack, database, "orders.mix")}
    assert mix == {"pending": ["3", "0"], "filled": ["0", "1"], "rejected": ["0", "1"]}


async def test_a_fill_that_both_have_written_is_no_contradiction(stack: Stack, database: str) -> None:
    assert await listed(stack, database, "writer.pairs") == [("1", "1")]
    found = (await read(stack, database, "db.inconsistent"))["db.inconsistent"]
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert found.value.rows == ()
