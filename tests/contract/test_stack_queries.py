"""Every query of a stack file is one its platform's database answers, through the production reader."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Finding, Found
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


async def read(stack: Stack, dsn: str, *facts: str) -> Mapping[str, Finding]:
    """What those facts find in that database."""
    source = replace(stack.sources["postgres"], url=dsn, username="postgres", deadline=20.0)
    reader = PostgresFactReader(source)
    try:
        return await reader.read([stack.facts[name] for name in facts])
    finally:
        await reader.close()


@contextmanager
def rows(dsn: str, table: str, *values: Mapping[str, Any]) -> Iterator[None]:
    """These rows are in the table inside, and the table is empty again after."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for row in values:
            names, marks = ", ".join(row), ", ".join("%s" for _ in row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})".encode(), list(row.values()))
        try:
            yield
        finally:
            connection.execute(f"DELETE FROM {table}".encode())


def order(ident: str, status: str, **more: Any) -> dict[str, Any]:
    """A row of an order as the platform writes it."""
    return {
        "client_order_id": ident, "strategy_id": "alpha_baseline", "symbol": "AAPL", "side": "buy", "qty": 1,
        "order_type": "market", "status": status, **more,
    }  # fmt: skip


async def test_every_query_is_answered_on_an_empty_database(stack: Stack, platform_database: str) -> None:
    facts = [fact.id for fact in stack.facts.values() if fact.source == "postgres"]
    findings = await read(stack, platform_database, *facts)
    broken = {name: found.why for name, found in findings.items() if isinstance(found, Broken)}
    assert not broken
    assert set(findings) == set(facts)
    # An aggregate over nothing is a number; the newest of nothing is no such thing.
    assert findings["orders.open"] == Found(0)
    assert findings["positions.gross"] == Found(0.0)
    assert findings["orders.oldest"] == Absent()
    assert findings["db.missing"] == Found(0)


async def test_fractions_of_shares_that_no_flattening_closes_are_counted(
    stack: Stack, platform_database: str
) -> None:
    """T7."""
    held = [{"symbol": name, "qty": qty, "avg_entry_price": 1} for name, qty in (("AAPL", 3), ("MSFT", 0.5))]
    with rows(platform_database, "positions", *held):
        assert await read(stack, platform_database, "positions.fraction") == {"positions.fraction": Found(1)}


async def test_plans_whose_slices_are_lost_under_a_halt_are_counted_before_and_after(
    stack: Stack, platform_database: str
) -> None:
    """T8: what a halt has blocked is terminal, and no resume brings it back."""
    wanted = ("orders.slices", "orders.blocked", "orders.open")
    due = [order(f"s-{n}", "scheduled", parent_order_id="twap-1", slice_num=n) for n in (1, 2)]
    with rows(platform_database, "orders", *due):
        found = await read(stack, platform_database, *wanted)
        assert found == {"orders.slices": Found(1), "orders.blocked": Found(0), "orders.open": Found(2)}
    lost = [{**each, "status": "blocked_kill_switch", "is_terminal": True} for each in due]
    with rows(platform_database, "orders", *lost):
        found = await read(stack, platform_database, *wanted)
        assert found == {"orders.slices": Found(0), "orders.blocked": Found(2), "orders.open": Found(0)}


async def test_orders_of_a_dry_run_are_never_open_whatever_their_row_says(
    stack: Stack, platform_database: str
) -> None:
    """T18: such a row is not terminal, and nothing is at the broker."""
    with rows(platform_database, "orders", order("d-1", "dry_run"), order("o-1", "accepted")):
        found = await read(
            stack, platform_database, "orders.open", "orders.dry_run", "orders.ids", "orders.accepted"
        )
        assert (found["orders.open"], found["orders.dry_run"]) == (Found(1), Found(1))
        ids = found["orders.ids"]
        assert isinstance(ids, Found) and [str(row[0]) for row in ids.value.rows] == ["o-1"]
        assert found["orders.accepted"] == Found(1)


async def test_a_closing_order_called_canceled_without_a_number_at_the_broker_is_named(
    stack: Stack, platform_database: str
) -> None:
    """T4; one that the broker was asked about has its number."""
    closing = {"strategy_id": "manual_controls_close_position", "is_terminal": True}
    asked = {**order("c-1", "canceled"), **closing, "broker_order_id": "b-1"}
    with rows(platform_database, "orders", asked, {**order("c-2", "canceled"), **closing}):
        found = await read(stack, platform_database, "orders.unsent", "closing.unsent")
        named = found["closing.unsent"]
        assert found["orders.unsent"] == Found(1)
        assert isinstance(named, Found) and [str(row[0]) for row in named.value.rows] == ["c-2"]
