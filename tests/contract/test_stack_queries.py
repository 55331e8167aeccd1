"""Every query of a stack file is one its platform's database answers, through the production reader."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Fact, Finding, Found, Level, Table, ValueType
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


async def read(stack: Stack, dsn: str, *facts: str) -> Mapping[str, Finding]:
    """What those facts find in that database."""
    return await _ask(stack, dsn, [stack.facts[name] for name in facts])


async def listed(stack: Stack, dsn: str, name: str, now: str = "now()") -> list[tuple[str, ...]]:
    """The rows that the fact's query finds when the database takes it to be ``now``."""
    fact = stack.facts[name]
    assert isinstance(fact.query, SqlQuery)
    query = replace(fact.query, text=fact.query.text.replace("now()", now))
    found = (await _ask(stack, dsn, [replace(fact, query=query, type=ValueType.TABLE, pick=None)]))[name]
    assert isinstance(found, Found) and isinstance(found.value, Table), found
    return [tuple(map(str, row)) for row in found.value.rows]


async def _ask(stack: Stack, dsn: str, facts: list[Fact]) -> Mapping[str, Finding]:
    source = replace(stack.sources["postgres"], url=dsn, username="postgres", deadline=20.0)
    reader = PostgresFactReader(source)
    try:
        return await reader.read(facts)
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
    owed = {"AAPL": "66", "MSFT": "-27", "NVDA": "10", "TSLA": "0"}
    assert await listed(stack, filled_database, "reservations.owed") == [
        (f"position_reservation:{symbol}", number) for symbol, number in owed.items()
    ]


async def test_the_orders_behind_a_count_are_listed(stack: Stack, filled_database: str) -> None:
    (unsent,) = await listed(stack, filled_database, "orders.unsent_list")
    assert unsent[0] == "SPY" and unsent[-1] == "gone"
    (plan,) = await listed(stack, filled_database, "orders.plans")
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
    assert await listed(stack, filled_database, "feed.session", now) == ([("true",)] if is_open else [])
    held = [("AAPL",), ("MSFT",)] if is_open else []
    assert await listed(stack, filled_database, "positions.held", now) == held


async def test_fractions_of_shares_that_no_flattening_closes_are_counted(
    stack: Stack, platform_database: str
) -> None:
    """T7."""
    held = [{"symbol": name, "qty": qty, "avg_entry_price": 1} for name, qty in (("AAPL", 3), ("MSFT", 0.5))]
    with rows(platform_database, "positions", *held):
        assert await read(stack, platform_database, "positions.fraction") == {"positions.fraction": Found(1)}


async def test_a_position_is_too_large_by_its_shares_whatever_they_cost(
    stack: Stack, platform_database: str
) -> None:
    """D22: MAX_POSITION_SIZE means dollars, elsewhere; here it is 1,000 shares, sold short as well."""
    held = [("BRK.A", 900, 700_000), ("PENNY", 1001, 0.01), ("SHORT", -1001, 1), ("EVEN", 1000, 1)]
    named = [{"symbol": name, "qty": qty, "avg_entry_price": at} for name, qty, at in held]
    with rows(platform_database, "positions", *named):
        found = await read(stack, platform_database, "positions.over", "positions.net", "positions.gross")
    assert found["positions.over"] == Found(2)
    assert found["positions.gross"] == Found(630_002_011.01)
    assert found["positions.net"] == Found(630_000_009.01)


@pytest.mark.parametrize(
    ("filled_at", "trade", "lacking"),
    [
        ("2026-11-23 15:49+00", {}, "1"),
        ("2026-11-23 15:51+00", {}, "0"),
        ("2026-11-23 04:59+00", {}, "0"),
        ("2026-11-23 15:49+00", {"superseded": False}, "0"),
        ("2026-11-23 15:49+00", {"superseded": True}, "1"),
        ("2026-11-23 15:49+00", {"synthetic": True, "realized_pnl": 0}, "1"),
    ],
    ids=["never recorded", "may yet come", "of yesterday in New York", "recorded", "taken back", "made up"],
)
async def test_a_fill_that_no_trade_tells_of_is_missed_before_a_loss_of_nothing_is_believed(
    stack: Stack, platform_database: str, filled_at: str, trade: dict[str, Any], lacking: str
) -> None:
    """Without the broker's reports no trade is written, or one that says 0 of its profit because nobody knows
    it: the day's loss is then 0, whatever was lost."""
    filled = {**order("o-1", "filled"), "is_terminal": True, "filled_at": filled_at}
    told = {
        "trade_id": "t-1", "client_order_id": "o-1", "strategy_id": "alpha_baseline", "symbol": "AAPL",
        "side": "buy", "qty": 1, "price": 190, "executed_at": filled_at, **trade,
    }  # fmt: skip
    with (
        rows(platform_database, "orders", filled),
        rows(platform_database, "trades", *([told] if trade else [])),
    ):
        now = "timestamptz '2026-11-23 16:00+00'"
        assert await listed(stack, platform_database, "pnl.lacking", now) == [(lacking,)]
    assert [rule.at for rule in stack.alarms if rule.fact == "pnl.lacking"] == [Level.WARN]


@pytest.mark.parametrize(("fills", "reported"), [([], 0), ([True], 0), ([False], 1), ([True, False], 1)])
async def test_a_fill_that_the_gateway_made_up_is_no_report_of_the_broker(
    stack: Stack, platform_database: str, fills: list[bool], reported: int
) -> None:
    made = {"fills": [{"fill_id": "f", "synthetic": True} if each else {"fill_id": "g"} for each in fills]}
    filled = {**order("o-1", "filled"), "is_terminal": True, "metadata": json.dumps(made)}
    with rows(platform_database, "orders", filled):
        found = await read(stack, platform_database, "fills.recorded", "fills.orders")
    assert found == {"fills.recorded": Found(reported), "fills.orders": Found(1)}


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
