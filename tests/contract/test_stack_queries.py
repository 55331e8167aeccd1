"""Every query of a stack file is one its platform's database answers, through the production reader."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Found, Table, ValueType
from backends.model.query import SqlQuery
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


async def rows(stack: Stack, dsn: str, name: str, now: str = "now()") -> list[tuple[str, ...]]:
    """What the fact's query finds when the database takes it to be ``now``."""
    fact = stack.facts[name]
    assert isinstance(fact.query, SqlQuery)
    query = replace(fact.query, text=fact.query.text.replace("now()", now))
    source = replace(stack.sources["postgres"], url=dsn, username="postgres", deadline=20.0)
    reader = PostgresFactReader(source)
    try:
        found = (await reader.read([replace(fact, query=query, type=ValueType.TABLE, pick=None)]))[name]
    finally:
        await reader.close()
    assert isinstance(found, Found) and isinstance(found.value, Table), found
    return [tuple(map(str, row)) for row in found.value.rows]


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


@pytest.fixture
def filled_database(platform_database: str) -> Iterator[str]:
    """Held: AAPL long, MSFT short, TSLA no more; ordered: what each order's id says."""
    with psycopg.connect(platform_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO positions (symbol, qty, avg_entry_price)"
            " VALUES ('AAPL', 60, 1), ('MSFT', -24.5, 1), ('TSLA', 0, 1)"
        )
        orders = [
            ("buys-10-of-which-4-are-filled", "AAPL", "buy", 10, 4, "partially_filled", None, None),
            ("sells-3", "MSFT", "sell", 3, 0, "accepted", None, None),
            ("never-at-the-broker", "AAPL", "buy", 500, 0, "dry_run", None, None),
            ("plan", "NVDA", "buy", 30, 0, "accepted", None, 3),
            ("slice-sent", "NVDA", "buy", 10, 0, "accepted", "plan", 3),
            ("slice-waiting", "NVDA", "buy", 10, 0, "scheduled", "plan", 3),
        ]
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO orders (client_order_id, strategy_id, symbol, side, qty, filled_qty, status,"
                " parent_order_id, total_slices, order_type)"
                " VALUES (%s, 'a', %s, %s, %s, %s, %s, %s, %s, 'limit')",
                orders,
            )
            cursor.execute(
                "INSERT INTO orders (client_order_id, strategy_id, symbol, side, qty, order_type, status,"
                " is_terminal) VALUES"
                " ('gone', 'manual_controls_close', 'SPY', 'sell', 1, 'market', 'canceled', TRUE)"
            )
    yield platform_database
    with psycopg.connect(platform_database, autocommit=True) as connection:
        connection.execute("TRUNCATE positions, orders")


async def test_what_ought_to_be_reserved_is_what_is_held_and_what_is_on_order(
    stack: Stack, filled_database: str
) -> None:
    owed = {"AAPL": "66", "MSFT": "-27", "NVDA": "10", "SPY": "0", "TSLA": "0"}
    assert await rows(stack, filled_database, "reservations.owed") == [
        (f"position_reservation:{symbol}", number) for symbol, number in owed.items()
    ]


async def test_the_orders_behind_a_count_are_listed(stack: Stack, filled_database: str) -> None:
    (unsent,) = await rows(stack, filled_database, "orders.unsent_list")
    assert unsent[0] == "SPY" and unsent[-1] == "gone"
    (plan,) = await rows(stack, filled_database, "orders.plans")
    assert plan[:4] == ("plan", "NVDA", "buy", "2")


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-23 14:30:59+00", False),
        ("2026-11-23 14:31:00+00", True),
        ("2026-11-23 20:59:59+00", True),
        ("2026-11-23 21:00:00+00", False),
        ("2026-11-22 16:00:00+00", False),
        ("2026-07-06 13:31:00+00", True),
    ],
    ids=["before", "open", "last second", "closed", "Sunday", "summer time"],
)
async def test_prices_are_missed_in_trading_hours_alone(
    stack: Stack, filled_database: str, at: str, is_open: bool
) -> None:
    now = f"timestamptz '{at}'"
    assert await rows(stack, filled_database, "feed.session", now) == ([("true",)] if is_open else [])
    held = [("AAPL",), ("MSFT",)] if is_open else []
    assert await rows(stack, filled_database, "positions.held", now) == held
