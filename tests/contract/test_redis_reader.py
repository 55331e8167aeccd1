"""Redis is read in one bounded pipeline a poll, and whatever goes wrong is said in plain words."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress

import pytest

from backends.model.fact import Absent, Broken, Fact, Found, SourceError, Table, ValueType
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers.redis import RedisFactReader
from tests.clock import FakeClock
from tests.contract.faulty import Fault, Faulty
from tests.contract.redis_reading import (
    COUNT,
    INT,
    TABLE,
    fact,
    failure,
    fill,
    read_one,
    reading,
    source,
    value,
    why,
)  # fmt: skip
from tests.servers.redis import RedisServer, start_redis


async def test_every_kind_of_read_gives_its_value(redis_db: RedisServer) -> None:
    fill(redis_db)
    assert await value(redis_db, fact("get", "state", pick="state")) == "ACTIVE"
    assert await value(redis_db, fact("get", "number", INT)) == 150
    assert await value(redis_db, fact("strlen", "number", INT)) == 3
    assert await value(redis_db, fact("hget", "hash", INT, field="qty")) == 5
    assert await value(redis_db, fact("hlen", "hash", COUNT)) == 2
    assert await value(redis_db, fact("hgetall", "hash", INT, pick="qty")) == 5
    assert await value(redis_db, fact("llen", "list", COUNT)) == 2
    assert await value(redis_db, fact("lrange", "list", pick="event", start=-1)) == "DISENGAGED"
    assert await value(redis_db, fact("scard", "set", COUNT)) == 3
    assert await value(redis_db, fact("zcard", "zset", COUNT)) == 2
    assert await value(redis_db, fact("zrange", "zset", stop=0)) == "old"
    assert await value(redis_db, fact("zrevrange", "zset", stop=0)) == "new"
    assert await value(redis_db, fact("xlen", "stream", COUNT)) == 2
    assert await value(redis_db, fact("xrevrange", "stream", pick="symbol", stop=0)) == "MSFT"
    assert await value(redis_db, fact("xsince", "stream", COUNT, start=60)) == 0
    assert await value(redis_db, fact("exists", "state", ValueType.BOOL)) is True
    assert await value(redis_db, fact("exists", "nothing", ValueType.BOOL)) is False
    assert 290 < await value(redis_db, fact("ttl", "leased", INT)) <= 300
    assert 290_000 < await value(redis_db, fact("pttl", "leased", INT)) <= 300_000
    assert await value(redis_db, fact("ttl", "state", INT)) == -1
    assert await value(redis_db, fact("type", "zset")) == "zset"
    assert await value(redis_db, fact("scan", r"quarantine:\*:*", COUNT)) == 1
    assert await value(redis_db, fact("info", "server", field="arch_bits")) == "64"


async def test_collections_become_tables_that_say_how_many_there_are(redis_db: RedisServer) -> None:
    fill(redis_db)
    history: Table = await value(redis_db, fact("lrange", "list", TABLE, start=-1))
    assert (history.columns, history.rows, history.total) == (("event",), (("DISENGAGED",),), 2)
    newest: Table = await value(redis_db, fact("xrevrange", "stream", TABLE, stop=0))
    assert (newest.columns, newest.rows, newest.total) == (("id", "symbol"), (("2-0", "MSFT"),), 2)
    keys: Table = await value(redis_db, fact("scan", "quarantine:*", TABLE))
    assert keys.rows == (("quarantine:*:AAPL",),)


async def test_of_a_stream_the_newest_entry_of_each_writer_is_kept(redis_db: RedisServer) -> None:
    for bot, state in (("bot1", "running"), ("bot3", "running"), ("bot1", "hard_stop")):
        said = json.dumps({"bot": bot, "state": state, "at": 1790000000000})
        redis_db.command("XADD", "market", "*", "payload", said)
    redis_db.command("XADD", "market", "*", "payload", '{"bot": "bot1", "state": "run')  # cut off: nobody's
    asked = fact("xlatest", "market", TABLE, pick="payload", field="payload.bot", stop=9)
    table: Table = await value(redis_db, asked)
    assert table.columns == ("bot", "state", "at") and table.total == 2
    assert [row[:2] for row in table.rows] == [("bot1", "hard_stop"), ("bot3", "running")]
    one = fact("xrevrange", "market", pick="[payload.bot=bot3].payload.state", stop=9)
    assert await value(redis_db, one) == "running"
    nothing = fact("xlatest", "none", TABLE, field="payload.bot", stop=9)
    assert await read_one(redis_db.port, nothing) == Absent()


@pytest.mark.parametrize(
    "asked",
    [
        fact("get", "no"), fact("strlen", "no", INT), fact("hget", "no", field="f"),
        fact("hlen", "no", COUNT), fact("hget", "hash", field="no"), fact("hgetall", "no", TABLE),
        fact("llen", "no", COUNT),
        fact("lrange", "no", TABLE, start=-5), fact("scard", "no", COUNT), fact("zcard", "no", COUNT),
        fact("zrange", "no", TABLE, stop=5), fact("zrevrange", "no", TABLE, stop=5),
        fact("xlen", "no", COUNT), fact("xrevrange", "no", TABLE, stop=5), fact("ttl", "no", INT),
        fact("xsince", "no", COUNT, start=60), fact("pttl", "no", INT),
        fact("type", "no"), fact("info", "server", field="no"), fact("lrange", "list", start=7, stop=7),
        fact("get", "state", pick="by"),
    ],
    ids=lambda asked: asked.id,
)  # fmt: skip
async def test_what_is_not_there_is_missing_and_neither_zero_nor_blank(
    redis_db: RedisServer, asked: Fact
) -> None:
    fill(redis_db)
    assert await read_one(redis_db.port, asked) == Absent()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (fact("get", "empty"), "is empty, text expected"),
        (fact("get", "empty", pick="state"), "is empty"),
        (fact("hget", "hash", field="note"), "is empty, text expected"),
        (fact("get", "list"), "is a list, string expected"),
        (fact("get", "zset"), "is a sorted set, string expected"),
        (fact("strlen", "hash", INT), "is a hash, string expected"),
        (fact("hget", "number", field="f"), "is a string, hash expected"),
        (fact("hgetall", "number", TABLE), "is a string, hash expected"),
        (fact("llen", "stream", COUNT), "is a stream, list expected"),
        (fact("lrange", "zset", TABLE, start=-5), "is a sorted set, list expected"),
        (fact("scard", "number", COUNT), "is a string, set expected"),
        (fact("zrevrange", "list", TABLE, stop=5), "is a list, sorted set expected"),
        (fact("xrevrange", "set", TABLE, stop=5), "is a set, stream expected"),
        (fact("get", "number", pick="state"), "is a number, an object with 'state' expected"),
        (fact("get", "state", INT, pick="state"), "is 'ACTIVE', a number expected"),
        (fact("info", "nonsense", field="f"), "there is no INFO section 'nonsense'"),
        (fact("flushall", "x"), "'flushall' is no read this room knows"),
    ],
    ids=lambda part: part.id if isinstance(part, Fact) else "",
)
async def test_what_is_not_as_expected_is_broken_with_the_reason(
    redis_db: RedisServer, asked: Fact, reason: str
) -> None:
    fill(redis_db)
    assert await why(redis_db.port, asked) == reason


@pytest.mark.alone
async def test_a_server_that_hangs_fails_the_source_in_time_and_is_read_again_when_it_recovers(
    redis_db: RedisServer,
) -> None:
    redis_db.command("SET", "k", "v")
    asked = [fact("get", "k")]
    async with Faulty(redis_db.port) as door, reading(door.port, deadline=0.4) as reader:
        await reader.read(asked)
        door.fault = Fault.HANG
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0\.36 s"):
            await reader.read(asked)
        assert time.monotonic() - started < 0.4
        door.fault = Fault.NONE
        assert (await reader.read(asked))[asked[0].id] == Found("v")


async def test_a_cancelled_read_never_hands_its_answer_to_the_next_one(redis_db: RedisServer) -> None:
    redis_db.command("SET", "a", "old")
    redis_db.command("SET", "b", "new")
    async with reading(redis_db.port) as reader:
        await reader.read([fact("get", "a")])
        redis_db.pause()
        task = asyncio.create_task(reader.read([fact("get", "a")]))
        with suppress(TimeoutError):
            await asyncio.wait_for(task, 0.1)
        assert task.cancelled()
        redis_db.resume()
        assert (await reader.read([fact("get", "b")]))[fact("get", "b").id] == Found("new")


async def test_a_connection_the_server_closed_is_made_anew_without_a_failed_poll(
    redis_db: RedisServer,
) -> None:
    redis_db.command("SET", "k", "v")
    async with reading(redis_db.port) as reader:
        await reader.read([fact("get", "k")])
        redis_db.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        # The server is done with it: one turn of the loop is enough to hear of it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await reader.read([fact("get", "k")]))[fact("get", "k").id] == Found("v")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.GARBAGE, "does not answer as a Redis server"), (Fault.CLOSE, "closed the connection")],
)
async def test_a_server_of_another_kind_is_named_as_such(fault: Fault, reason: str) -> None:
    async with Faulty(fault=fault) as door:
        assert await failure(door.port) == f"127.0.0.1:{door.port} {reason}"


async def test_a_closed_port_an_unknown_host_and_a_wrong_database_are_told_apart(
    redis_db: RedisServer,
) -> None:
    assert await failure(1) == "127.0.0.1:1 refuses the connection: nothing listens there"
    assert "has no database of that number" in await failure(redis_db.port, db=99)
    for url, reason in [("redis://no.invalid/0", "is not known here"), ("http://x", "is not one of a Redis")]:
        reader = RedisFactReader(Source("r", SourceKind.REDIS, "R", url, 1.0, 1.0))
        with pytest.raises(SourceError, match=reason):
            await reader.read([fact("get", "k")])
        await reader.close()


async def test_refused_credentials_are_said_in_plain_words_and_never_shown() -> None:
    server = start_redis("--requirepass", "s3cret-canary-0123456789")
    try:
        assert "wants a password and none is configured" in await failure(server.port)
        wrong = await failure(server.port, password=Secret("wr0ng-canary-0123456789"))
        assert "refuses the password" in wrong
        assert "canary" not in wrong
        right = Secret("s3cret-canary-0123456789")
        assert await read_one(server.port, fact("get", "k"), password=right, db=1) == Absent()
    finally:
        server.stop()


async def test_a_user_that_may_read_only_some_keys_breaks_only_the_other_facts(redis_db: RedisServer) -> None:
    redis_db.command("SET", "open:k", "v")
    redis_db.command("ACL", "SETUSER", "wall", "on", ">pw", "~open:*", "+@read", "-@dangerous")
    try:
        asked = [fact("get", "open:k"), fact("get", "shut:k"), fact("info", "server", field="x")]
        async with reading(redis_db.port, username="wall", password=Secret("pw")) as reader:
            found = list((await reader.read(asked)).values())
    finally:
        redis_db.command("ACL", "DELUSER", "wall")
    assert found[0] == Found("v")
    assert [str(each.why) for each in found[1:] if isinstance(each, Broken)] == [
        "not permitted: GETRANGE",
        "not permitted: INFO",
    ]


async def test_the_servers_clock_is_compared_with_the_rooms(redis_db: RedisServer) -> None:
    room = FakeClock(wall=time.time() - 3.0)
    reader = RedisFactReader(source(redis_db.port), clock=room)
    skew, clock = fact("time", "", ValueType.FLOAT), fact("time", "", ValueType.TIME)
    found = await reader.read([skew, clock])
    await reader.close()
    ahead, at = found[skew.id], found[clock.id]
    assert isinstance(ahead, Found) and isinstance(at, Found)
    assert float(str(ahead.value)) == pytest.approx(3.0, abs=1.0)
    assert float(str(at.value)) == pytest.approx(time.time(), abs=2.0)
