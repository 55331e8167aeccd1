"""What is published and stored nowhere: heard by the room itself, and never called silence before it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio.client import PubSub

from backends.model.fact import NONE, Absent, Broken, Fact, Finding, Found, Table
from backends.model.query import RedisQuery
from backends.model.secret import Secret
from backends.model.stack import Source
from backends.readers import extract, redis
from backends.readers.coerce import parse_json
from backends.readers.extract import ROW_LIMIT
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
    made = RedisFactReader(source(redis_db.port), clock)
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


async def test_one_of_a_kind_is_not_pushed_out_by_many_of_another(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    says(redis_db, "CRITICAL")
    for _ in range(ROW_LIMIT + 50):
        says(redis_db, "WARNING")
    heard, critical = await look(reader)
    assert critical == Found(1)
    assert isinstance(heard, Found) and isinstance(heard.value, Table)
    assert (len(heard.value.rows), heard.value.total) == (ROW_LIMIT, ROW_LIMIT + 51)
    clock.advance(WINDOW + 2)
    assert await look(reader) == (Found(Table((), (), 0)), Found(0))


async def test_more_than_can_be_kept_are_still_counted(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await look(reader)
    for _ in range(ROW_LIMIT + 50):
        says(redis_db, "CRITICAL")
    assert (await look(reader))[1] == Found(ROW_LIMIT + 50)
    for _ in range(10):
        clock.advance(1.0)
        await look(reader)
    assert (await look(reader))[1] == Found(ROW_LIMIT + 50)


async def test_a_poll_that_is_called_off_loses_nothing_of_what_was_said(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silence(reader, clock)
    says(redis_db, "CRITICAL")
    taken, get_message = asyncio.Event(), PubSub.get_message

    async def stuck(self: PubSub, **more: Any) -> Any:
        got = await get_message(self, **more)
        if got is not None and got["type"] == "pmessage":
            taken.set()
        elif taken.is_set():
            await asyncio.Event().wait()
        return got

    with monkeypatch.context() as patched:
        patched.setattr(PubSub, "get_message", stuck)
        poll = asyncio.create_task(look(reader))
        await taken.wait()
        poll.cancel()
        await asyncio.wait({poll})
        assert poll.cancelled()
        # Whoever ends the hearing as well.
        await reader.close()
    assert (await look(reader))[1] == Found(1)
    clock.advance(WINDOW + 1)
    assert await look(reader) == (Found(Table((), (), 0)), Found(0))


async def test_of_a_large_message_little_is_kept_and_it_is_not_taken_for_another_kind(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    said = {"type": "alert", "list": [1] * 250_000, "level": "CRITICAL"}
    redis_db.command("PUBLISH", "alerts", json.dumps(said))
    says(redis_db, "WARNING")
    heard, critical = await look(reader)
    assert isinstance(heard, Found) and isinstance(heard.value, Table)
    assert heard.value.total == 2
    assert isinstance(critical, Broken) and "nobody can say" in critical.why
    says(redis_db, "CRITICAL")
    assert (await look(reader))[1] == Found(1)


async def test_large_messages_are_parsed_once_and_only_in_part(
    redis_db: RedisServer, reader: RedisFactReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []

    def counted(raw: bytes) -> Any:
        parsed.append(len(raw))
        return parse_json(raw)

    monkeypatch.setattr(extract, "parse_json", counted)
    await look(reader)
    redis_db.command("PUBLISH", "alerts", json.dumps({"list": [1] * 250_000}))
    for _ in range(3):
        await look(reader)
    assert len(parsed) == 1 and parsed[0] <= 4096


async def test_what_is_kept_of_many_long_messages_is_bounded_in_bytes_too(
    redis_db: RedisServer, reader: RedisFactReader
) -> None:
    await look(reader)
    for _ in range(100):
        redis_db.command("PUBLISH", "alerts", json.dumps({"level": "WARNING", "text": "x" * 4000}))
    heard, _ = await look(reader)
    assert isinstance(heard, Found) and isinstance(heard.value, Table)
    assert heard.value.total == 100
    assert len(heard.value.rows) * 4000 <= 1 << 18


async def test_who_cannot_listen_keeps_the_rest_from_nobody_and_hears_it_later(
    redis_db: RedisServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed, psubscribe = asyncio.Event(), PubSub.psubscribe

    async def stuck(self: PubSub, *names: Any) -> Any:
        await freed.wait()
        return await psubscribe(self, *names)

    monkeypatch.setattr(PubSub, "psubscribe", stuck)
    deadline = 8.0
    reader = RedisFactReader(source(redis_db.port, deadline=deadline), clock)
    try:
        began = asyncio.get_running_loop().time()
        found = await reader.read([SUBSCRIBED, ALERTS])
        assert asyncio.get_running_loop().time() - began < deadline / 2
        assert found["subscribed"] == Found(0)
        assert isinstance(found["all"], Broken)
        freed.set()
        assert await look(reader) == (Absent(), Absent())
    finally:
        await reader.close()


async def test_a_fault_of_the_ear_fails_nothing_else(
    redis_db: RedisServer, reader: RedisFactReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(self: PubSub, *names: Any) -> None:
        raise AttributeError("a fault of the library")

    monkeypatch.setattr(PubSub, "psubscribe", faulty)
    found = await reader.read([SUBSCRIBED, ALERTS])
    assert found["subscribed"] == Found(0)
    assert isinstance(found["all"], Broken)


async def test_after_a_failover_what_was_heard_stays_heard_and_silence_is_unknown_again(
    redis_db: RedisServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = source(redis_db.port)

    async def master(asked: Source, seconds: float) -> Source:
        return named

    monkeypatch.setattr(redis, "master", master)
    reader = RedisFactReader(replace(named, url="redis+sentinel://127.0.0.1:1/m/0"), clock)
    try:
        await silence(reader, clock)
        says(redis_db, "WARNING")
        heard, critical = await look(reader)
        assert critical == Found(0)
        named = replace(named, url=named.url.replace("127.0.0.1", "localhost"))
        assert await look(reader) == (heard, Absent())
    finally:
        await reader.close()


async def test_what_is_no_alert_hides_none_and_stands_beside_them(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    redis_db.command("PUBLISH", "alerts", "hello")
    critical = (await look(reader))[1]
    assert isinstance(critical, Broken) and "no column level" in critical.why
    says(redis_db, "WARNING")
    heard, critical = await look(reader)
    assert critical == Found(0)
    assert isinstance(heard, Found) and isinstance(heard.value, Table)
    assert heard.value.columns == ("value", "type", "level", "code")
    assert [row[0] for row in heard.value.rows] == ["hello", NONE]
    says(redis_db, "CRITICAL")
    assert (await look(reader))[1] == Found(1)


async def test_an_alert_that_is_no_proper_json_is_not_taken_for_a_harmless_one(
    redis_db: RedisServer, reader: RedisFactReader, clock: FakeClock
) -> None:
    await silence(reader, clock)
    says(redis_db, "WARNING")
    redis_db.command("PUBLISH", "alerts", '{"level": "CRITICAL", "exposure": NaN}')
    assert isinstance((await look(reader))[1], Broken)


async def test_members_of_another_message_do_not_hide_the_level(
    redis_db: RedisServer, reader: RedisFactReader
) -> None:
    await look(reader)
    redis_db.command("PUBLISH", "alerts", json.dumps({f"m{number}": number for number in range(30)}))
    says(redis_db, "CRITICAL")
    assert (await look(reader))[1] == Found(1)


async def test_in_a_cluster_it_says_that_it_does_not_listen(clock: FakeClock) -> None:
    reader = RedisFactReader(replace(source(1), url="redis+cluster://127.0.0.1:1"), clock)
    try:
        refused = (await look(reader))[1]
    finally:
        await reader.close()
    assert isinstance(refused, Broken) and "cluster" in refused.why


async def test_the_time_it_has_listened_begins_when_it_is_heard_and_not_when_it_calls(
    redis_db: RedisServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    psubscribe = PubSub.psubscribe

    async def slow(self: PubSub, *names: Any) -> Any:
        clock.advance(10.0)
        return await psubscribe(self, *names)

    monkeypatch.setattr(PubSub, "psubscribe", slow)
    reader = RedisFactReader(source(redis_db.port), clock)
    try:
        await look(reader)
        clock.advance(WINDOW - 1)
        assert await look(reader) == (Absent(), Absent())
    finally:
        await reader.close()


async def test_who_is_closed_while_it_listens_leaves_nothing_running(
    redis_db: RedisServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(self: PubSub, *names: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(PubSub, "psubscribe", stuck)
    reader = RedisFactReader(source(redis_db.port, deadline=1.0), clock)
    before = asyncio.all_tasks()
    await look(reader)
    assert asyncio.all_tasks() > before
    await reader.close()
    assert asyncio.all_tasks() == before
