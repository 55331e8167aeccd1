"""What the surveillance's keys may hold that is easily misread: its own facts, on a real Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import RedisUnit
from backends.model.fact import Absent, Broken, Finding, Found
from backends.model.judge import level_of
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.readers.files import FilesFactReader
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.contract.redis_reading import reading
from tests.servers.redis import RedisServer

HEALTH = {
    "exchange": "okx", "status": "connected", "last_message_at": "2026-03-01T10:00:00.301000Z",
    "message_count": 18230, "lag_ms": 41, "reconnect_count": 0, "gaps_last_hour": 0,
}  # fmt: skip
CONNECTED = Found(SafeText("connected"))
BOOK = {
    "exchange": "okx", "instrument": "BTC-USDT-PERP", "timestamp": "2026-03-01T10:00:00.250000Z",
    "spread_bps": "0.0333332",
}  # fmt: skip
ALERT = {"alert_id": "a1", "priority": "P1", "resolved_at": None, "triggered_at": "2026-03-01T10:00:00Z"}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["surveillance"])


async def find(server: RedisServer, stack: Stack, *names: str) -> list[Finding]:
    async with reading(server.port) as reader:
        assert isinstance(reader, RedisFactReader)
        found = await reader.read([stack.facts[name] for name in names])
        return [found[name] for name in names]


@pytest.mark.parametrize(
    ("health", "lag", "status"),
    [
        (json.dumps(HEALTH), Found(41), CONNECTED),
        (json.dumps(HEALTH | {"lag_ms": None}), Absent(), CONNECTED),
        (json.dumps(HEALTH | {"lag_ms": "NaN"}), Broken, CONNECTED),
        (json.dumps({"status": "connected"}), Broken, CONNECTED),
        ('{"exchange":"okx","status":"conn', Broken, Broken),
        ("connected", Broken, Broken),
        (None, Absent(), Absent()),
    ],
)
async def test_health_that_is_not_as_written_is_never_a_number(
    redis_db: RedisServer, stack: Stack, health: str | None, lag: Any, status: Any
) -> None:
    if health is not None:
        redis_db.command("SET", "health:okx", health, "EX", "60")
    for said, expected in zip(
        await find(redis_db, stack, "okx.lag", "okx.status"), (lag, status), strict=True
    ):
        assert isinstance(said, Broken) if expected is Broken else said == expected


async def test_health_as_a_hash_as_the_system_s_own_papers_have_it_is_no_reading(
    redis_db: RedisServer, stack: Stack
) -> None:
    redis_db.command("HSET", "health:okx", "status", "connected", "lag_ms", "3")
    for said in await find(redis_db, stack, "okx.lag", "okx.status"):
        assert isinstance(said, Broken)


@pytest.mark.parametrize(
    ("book", "spread"),
    [
        (BOOK, Found(0.0333332)),
        (BOOK | {"spread_bps": None}, Absent()),
        (BOOK | {"spread_bps": "NaN"}, Broken),
        (BOOK | {"spread_bps": ""}, Broken),
    ],
)
async def test_a_spread_is_a_decimal_in_text_or_none_at_all(
    redis_db: RedisServer, stack: Stack, book: dict[str, Any], spread: Any
) -> None:
    redis_db.command("SET", "orderbook:okx:BTC-USDT-PERP", json.dumps(book), "EX", "60")
    (said,) = await find(redis_db, stack, "okx-perp.spread")
    assert isinstance(said, Broken) if spread is Broken else said == spread


async def test_how_long_ago_an_exchange_was_written_is_its_time_to_live(
    redis_db: RedisServer, stack: Stack
) -> None:
    redis_db.command("SET", "health:okx", json.dumps(HEALTH), "EX", "41")
    assert await find(redis_db, stack, "okx.ttl", "binance.ttl") == [Found(41), Absent()]


@pytest.mark.parametrize(
    ("alerts", "p1", "ghosts", "unreadable"),
    [
        ({}, 0, 0, 0),
        ({"a1": json.dumps(ALERT)}, 1, 0, 0),
        ({"a1": json.dumps(ALERT | {"priority": "P2"})}, 0, 0, 0),
        ({"a1": json.dumps(ALERT | {"resolved_at": "2026-03-01T10:01:00Z"})}, 0, 0, 0),
        ({"a1": None, "a2": None}, 0, 2, 0),
        ({"a1": json.dumps(ALERT), "a2": None, "a3": "cut off {"}, 1, 1, 1),
    ],
)
async def test_an_active_alert_is_one_that_exists_and_is_not_resolved(
    redis_db: RedisServer, stack: Stack, alerts: dict[str, str | None], p1: int, ghosts: int, unreadable: int
) -> None:
    # The index of P1 is never cleaned: it must not count.
    redis_db.command("SADD", "alerts:by_priority:P1", "old-1", "old-2", "old-3")
    for ident, document in alerts.items():
        redis_db.command("SADD", "alerts:active", ident)
        if document is not None:
            redis_db.command("SET", f"alert:{ident}", document)
    count, gone, odd = await find(redis_db, stack, "alerts.p1", "alerts.ghosts", "alerts.unreadable")
    assert (count, odd) == (Found(p1), Found(unreadable))
    assert isinstance(gone, Found)
    assert getattr(gone.value, "total", None) == ghosts


async def test_the_book_of_a_further_instrument_or_exchange_does_not_make_up_for_a_missing_one(
    redis_db: RedisServer, stack: Stack
) -> None:
    others = ("binance:ETH-USDT-PERP", "bybit:BTC-USDT-SPOT", "binance:BTC-USDT-0626")
    for book in ("okx:BTC-USDT-PERP", "okx:BTC-USDT-SPOT", "binance:BTC-USDT-PERP", *others):
        redis_db.command("SET", f"orderbook:{book}", json.dumps(BOOK), "EX", "60")
    assert await find(redis_db, stack, "books.count") == [Found(3)]


async def test_nobody_who_listens_is_a_true_zero(redis_db: RedisServer, stack: Stack) -> None:
    assert await find(redis_db, stack, "detector.subscribed", "books.count") == [Found(0), Found(0)]


async def test_a_key_of_a_type_that_nobody_writes_is_named_by_its_type(
    redis_db: RedisServer, stack: Stack
) -> None:
    redis_db.command("HSET", "health:okx", "status", "connected")
    redis_db.command("SET", "health:binance", json.dumps(HEALTH), "EX", "60")
    okx, binance = await find(redis_db, stack, "okx.type", "binance.type")
    assert (okx, binance) == (Found(SafeText("hash")), Found(SafeText("string")))
    for name in ("okx", "binance"):
        (demand,) = stack.diagnoses[f"{name}-key-type"].demands
        assert (demand.fact, demand.differs) == (f"{name}.type", ("string",))


SPOT = "- {id: %s, name: x, type: spot, base: %s, quote: USDT, exchange_symbols: {binance: {symbol: x}}%s}"


@pytest.mark.parametrize(
    ("second", "count"),
    [("", 1), (SPOT % ("ETH-USDT-SPOT", "ETH", ", enabled: false"), 1),
     (SPOT % ("ETH-USDT-SPOT", "ETH", ", enabled: true"), 2), (SPOT % ("ETH-USDT-SPOT", "ETH", ""), 2)],
)  # fmt: skip
async def test_a_second_spot_is_one_that_is_not_switched_off(
    tmp_path: Path, stack: Stack, second: str, count: int
) -> None:
    """9.7: the prices of both are written as the first one's. What is not said to be off may be on."""
    (tmp_path / "config").mkdir()
    first = SPOT % ("BTC-USDT-SPOT", "BTC", ", enabled: true")
    (tmp_path / "config/instruments.yaml").write_text(f"instruments:\n{first}\n{second}\n")
    reader = FilesFactReader(replace(stack.sources["project"], url=f"file://{tmp_path}", deadline=10.0))
    fact = stack.facts["config.second_spot"]
    assert (await reader.read([fact]))[fact.id] == Found(count)
    (alarm,) = [each for each in stack.alarms if each.fact == fact.id]
    assert (level_of(fact, count) is alarm.at) is (count > 1)


ALERT_MEMBERS = {
    "alert_id", "alert_type", "priority", "severity", "exchange", "instrument", "trigger_metric",
    "trigger_value", "trigger_threshold", "trigger_condition", "zscore_value", "zscore_threshold",
    "triggered_at", "acknowledged_at", "resolved_at", "duration_seconds", "peak_value", "peak_at",
    "escalated", "escalated_at", "original_priority", "context", "resolution_type", "resolution_value",
}  # fmt: skip


def test_no_alert_is_given_a_member_for_which_the_detector_would_drop_it(stack: Stack) -> None:
    """6.1: notes go into its context; when it was triggered stays as it is."""
    written: set[str] = set()
    for procedure in stack.procedures.values():
        for step in procedure.steps:
            if not isinstance(step.action, RedisUnit):
                continue
            for each in step.action.writes:
                if each.op == "json" and each.key.startswith("alert:"):
                    written |= {name.partition(".")[0] for name in (*each.fields, *each.elapsed)}
    assert written and written <= ALERT_MEMBERS - {"alert_id", "triggered_at"}
