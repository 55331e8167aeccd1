"""What the platform keeps under many keys of one pattern, read from a real Redis as the stack file asks."""

from __future__ import annotations

from typing import Any

from backends.model.fact import Found, Table
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.contract.redis_reading import source
from tests.servers.redis import RedisServer


async def read(server: RedisServer, name: str) -> list[dict[str, Any]]:
    fact = load_stack(built_in()["trading-platform"]).facts[name]
    reader = RedisFactReader(source(server.port))
    try:
        found = (await reader.read([fact]))[name]
    finally:
        await reader.close()
    assert isinstance(found, Found) and isinstance(found.value, Table), found
    return [dict(zip(found.value.columns, map(str, row), strict=True)) for row in found.value.rows]


async def test_reservations_are_those_of_symbols_and_not_of_orders_on_their_way(
    redis_db: RedisServer,
) -> None:
    redis_db.command("SET", "position_reservation:AAPL", "150")
    redis_db.command("SET", "position_reservation:BRK.B", "-20")
    for token in ("0123456789abcdef", "fedcba9876543210"):
        redis_db.command("SET", f"position_reservation:AAPL:token:{token}", "5", "EX", "60")
    assert await read(redis_db, "reservations.list") == [
        {"key": "position_reservation:AAPL", "value": "150"},
        {"key": "position_reservation:BRK.B", "value": "-20"},
    ]


async def test_an_orphan_exposure_that_is_back_at_0_is_none(redis_db: RedisServer) -> None:
    redis_db.command("SET", "orphan_exposure:external:TSLA", "0.00")
    redis_db.command("SET", "orphan_exposure:external:AAPL", "12500.00")
    assert await read(redis_db, "orphans.exposure") == [
        {"key": "orphan_exposure:external:AAPL", "value": "12500.00"}
    ]


async def test_every_strategy_and_every_backtest_is_heard(redis_db: RedisServer) -> None:
    for key in ("signal:last_update:alpha_baseline", "signal:last_update:mean_reversion"):
        redis_db.command("SET", key, "2026-11-21T14:30:00.1+00:00")
    redis_db.command("SET", "backtest:heartbeat:bt-1", "2026-11-21T14:30:00+00:00")
    redis_db.command("SET", "backtest:progress:bt-1", '{"pct": 40}')
    assert [row["key"] for row in await read(redis_db, "signal.updates")] == [
        "signal:last_update:alpha_baseline",
        "signal:last_update:mean_reversion",
    ]
    assert [row["key"] for row in await read(redis_db, "jobs.heartbeats")] == ["backtest:heartbeat:bt-1"]
