"""What Claire de Binare's keys may hold that is easily misread: its own facts, on a real Redis."""

from __future__ import annotations

from typing import Any

import pytest

from backends.model.fact import Absent, Broken, Finding, Found
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.contract.redis_reading import reading
from tests.servers.redis import RedisServer

HALT = "stream.bot_shutdown"
DECISIONS = "stream.allocation_decisions"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["claire-de-binare"])


async def find(server: RedisServer, stack: Stack, *names: str) -> list[Finding]:
    async with reading(server.port) as reader:
        found = await reader.read([stack.facts[name] for name in names])
        return [found[name] for name in names]


async def test_a_halt_that_is_no_stream_halts_nobody_and_is_named(
    redis_db: RedisServer, stack: Stack
) -> None:
    assert await find(redis_db, stack, "halt.stream", "halt.type") == [Found(False), Absent()]
    redis_db.command("SET", HALT, "by hand")
    stream, kind, entries = await find(redis_db, stack, "halt.stream", "halt.type", "halt.entries")
    assert stream == entries == Broken(SafeText("is a string, stream expected"))
    assert kind == Found(SafeText("string"))
    redis_db.command("DEL", HALT)
    redis_db.command("XADD", HALT, "*", "ts", "1768600000", "reason", "drill", "priority", "SAFETY")
    assert await find(redis_db, stack, "halt.stream", "halt.type", "halt.entries") == [
        Found(True), Found(SafeText("stream")), Found(1),
    ]  # fmt: skip
    (demand,) = stack.diagnoses["halt-type"].demands
    assert (demand.fact, demand.differs) == ("halt.type", ("stream",))


async def test_a_halt_whose_entries_were_removed_one_by_one_is_none(
    redis_db: RedisServer, stack: Stack
) -> None:
    """Redis keeps the stream, and whoever starts now reads nothing in it: it would trade."""
    redis_db.command("XADD", HALT, "1-1", "ts", "1768600000", "reason", "drill", "priority", "SAFETY")
    assert await find(redis_db, stack, "halt.stream") == [Found(True)]
    redis_db.command("XDEL", HALT, "1-1")
    assert redis_db.command("EXISTS", HALT) == b":1\r\n"
    assert await find(redis_db, stack, "halt.stream") == [Found(False)]


@pytest.mark.parametrize(
    ("fields", "pct", "is_open", "is_free"),
    [
        ({"allocation_pct": "0.020000", "cooldown_until": ""}, Found(0.02), Found(1), Found(1)),
        ({"allocation_pct": "0.000000", "cooldown_until": ""}, Found(0.0), Found(0), Found(1)),
        ({"allocation_pct": "0.020000", "cooldown_until": "1768860000"}, Found(0.02), Found(1), Found(0)),
        ({"allocation_pct": "np.float64(0.02)", "cooldown_until": ""}, Found(0.02), Found(1), Found(1)),
        ({"allocation_pct": "nan", "cooldown_until": ""}, Broken, Broken, Found(1)),
        ({"reason": "operator_pause"}, Broken, Broken, Broken),
    ],
)
async def test_the_newest_allocation_alone_says_whether_risk_lets_anything_through(
    redis_db: RedisServer, stack: Stack, fields: dict[str, str], pct: Any, is_open: Any, is_free: Any
) -> None:
    redis_db.command("XADD", DECISIONS, "*", "strategy_id", "paper", "allocation_pct", "0.500000")
    flat = [word for pair in fields.items() for word in pair]
    redis_db.command("XADD", DECISIONS, "*", "ts", "1", "strategy_id", "paper", *flat)
    said = await find(redis_db, stack, "allocation.pct", "allocation.open", "allocation.free")
    for found, expected in zip(said, (pct, is_open, is_free), strict=True):
        assert isinstance(found, Broken) if expected is Broken else found == expected
