"""What is published and stored nowhere: heard by the room itself, and never called silence before it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, Table
from backends.model.query import RedisQuery
from backends.model.secret import Secret
from backends.readers.redis import RedisFactReader
from tests.clock import FakeClock
from tests.contract.redis_reading import COUNT, INT, TABLE, source
from tests.servers.redis import RedisServer

WINDOW = 900.0
ALERTS = Fact("all", "A", "g", "redis", RedisQuery("heard", "alerts", minutes=15.0), TABLE)
CRITICAL = Fact(
    "critical", "C", "g", "redis", RedisQuery("heard", "alerts", minutes=15.0), COUNT,
    where={"level": "CRITICAL"},
)  # fmt: skip
SUBSCRIBED = Fact("subscribed", "S", "g", "redis", RedisQuery("numsub", "alerts"), INT)


def says(server: RedisServer, level: str) -> None:
    server.command("PUBLISH", "alerts", json.dumps({"type": "alert", "level": level, "code": "RISK_LIMIT"}))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def reader(redis_db: RedisServer, clock: FakeClock) -> AsyncIterator[RedisFactReader]:
    made = RedisFactReader(source(redis_db.port, deadline=2.0), clock)
    yield made
    await made.close()


async def look(reader: RedisFactReader) -> tuple[Finding, Finding]:
    found = await reader.read([ALERTS, CRITICAL])
    return found["all"], found["critical"]


async def silence(reader: RedisFactReader, clock: FakeClock) -> None:
    """Until it has listened for the whole time."""
    await look(reader)
    clock.advance(WINDOW)


async def test_silence_is_known_only_after_it_was_listened_to_for_all_of_the_time(
    reader: RedisFactReader, clock: FakeClock
) -> None:
    assert await look(reader) == (Absent(), Absent())
    clock.advance(WINDOW - 1)
    assert await look(reader) == (Absent(), Absent())
    clock.advance(1)
    assert await look(reader) == (Found(Table((), (), 0)), Found(0))


async def test_what_is_said_is_known_at_once_and_for_all_of_the_time(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await look(reader)
    says(redis_db, "WARNING")
    says(redis_db, "CRITICAL")
    heard, critical = await look(reader)
    assert isinstance(heard, Found) and isinstance(heard.value, Table)
    assert [row[1] for row in heard.value.rows] == ["WARNING", "CRITICAL"]
    assert critical == Found(1)
    clock.advance(WINDOW - 1)
    assert (await look(reader))[1] == Found(1)
    clock.advance(2)
    assert await look(reader) == (Found(Table((), (), 0)), Found(0))


async def test_none_of_a_kind_is_not_known_before_all_of_the_time_was_listened_to(
    redis_db: RedisServer, reader: RedisFactReader
) -> None:
    await look(reader)
    says(redis_db, "WARNING")
    assert (await look(reader))[1] == Absent()


async def test_who_listens_is_not_counted_among_the_subscribers(
    redis_db: RedisServer, reader: RedisFactReader
) -> None:
    """A room that hears must not hide that nobody else does."""
    await look(reader)
    assert await reader.read([SUBSCRIBED]) == {"subscribed": Found(0)}


async def test_after_a_broken_connection_it_listens_anew(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    redis_db.command("CLIENT", "KILL", "TYPE", "pubsub")
    says(redis_db, "CRITICAL")
    assert all(isinstance(each, Broken) for each in await look(reader))
    assert await look(reader) == (Absent(), Absent())


async def test_what_was_heard_before_a_broken_connection_stays_heard(
    redis_db: RedisServer, reader: RedisFactReader
) -> None:
    await look(reader)
    says(redis_db, "CRITICAL")
    assert (await look(reader))[1] == Found(1)
    redis_db.command("CLIENT", "KILL", "TYPE", "pubsub")
    await look(reader)
    assert (await look(reader))[1] == Found(1)


async def test_who_is_flooded_does_not_take_it_in_and_does_not_know(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    for _ in range(3):
        redis_db.command("PUBLISH", "alerts", "x" * (1 << 20))
    assert all(isinstance(each, Broken) for each in await look(reader))
    assert await look(reader) == (Absent(), Absent())


async def test_who_may_not_listen_says_so_and_reads_the_rest(redis_db: RedisServer, clock: FakeClock) -> None:
    redis_db.command("ACL", "SETUSER", "deaf", "reset", "on", ">pw", "~*", "&*", "+@all", "-psubscribe")
    reader = RedisFactReader(source(redis_db.port, username="deaf", password=Secret("pw")), clock)
    try:
        found = await reader.read([ALERTS, SUBSCRIBED])
    finally:
        await reader.close()
        redis_db.command("ACL", "DELUSER", "deaf")
    assert found["subscribed"] == Found(0)
    refused = found["all"]
    assert isinstance(refused, Broken) and "PSUBSCRIBE" in refused.why
