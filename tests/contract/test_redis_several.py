"""Reads of several keys at once, of streams' groups and of the server itself."""

from __future__ import annotations

import json
import socket
import time

import pytest

from backends.model.fact import Absent, Broken, Fact, Table, ValueType
from tests.contract.faulty import Faulty, redis_commands
from tests.contract.redis_reading import COUNT, INT, TABLE, fact, read_one, reading, value, why
from tests.servers.redis import RedisServer

ALERT = "alert:{}"


def fill(server: RedisServer) -> None:
    server.command("SADD", "active", "a1", "a2", "a3", "ghost")
    server.command("SADD", "p1", "a1", "ghost", "old")
    server.command("SET", "alert:a1", json.dumps({"priority": "P1", "resolved_at": None}))
    server.command("SET", "alert:a2", json.dumps({"priority": "P2", "resolved_at": "2026-03-01T10:00:00Z"}))
    server.command("SET", "alert:a3", '{"priority": "P1", "resolved')
    server.command("HSET", "pos:AAPL", "qty", "5")
    server.command("HSET", "pos:MSFT", "qty", "7", "side", "long")
    server.command("XGROUP", "CREATE", "stream", "workers", "0", "MKSTREAM")
    server.command("XADD", "stream", "1-0", "symbol", "AAPL")
    server.command("XREADGROUP", "GROUP", "workers", "one", "STREAMS", "stream", ">")


async def rows(server: RedisServer, asked: Fact) -> list[dict[str, str]]:
    table: Table = await value(server, asked)
    assert table.total == len(table.rows)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


async def test_a_set_is_read_with_the_documents_of_its_members_and_ghosts_are_seen(
    redis_db: RedisServer,
) -> None:
    fill(redis_db)
    found = {row["member"]: row for row in await rows(redis_db, fact("each", "active", TABLE, field=ALERT))}
    assert {name: row["document"] for name, row in found.items()} == {
        "a1": "yes", "a2": "yes", "a3": "unreadable", "ghost": "none",
    }  # fmt: skip
    assert (found["a1"]["priority"], found["a1"]["resolved_at"]) == ("P1", "–")
    assert found["a2"]["resolved_at"] == "2026-03-01T10:00:00Z"
    assert found["ghost"]["priority"] == "–"


async def test_sets_are_listed_and_intersected(redis_db: RedisServer) -> None:
    fill(redis_db)
    assert [row["value"] for row in await rows(redis_db, fact("smembers", "p1", TABLE))] == [
        "a1",
        "ghost",
        "old",
    ]
    assert [row["value"] for row in await rows(redis_db, fact("sinter", "active p1", TABLE))] == [
        "a1",
        "ghost",
    ]


async def test_every_key_of_a_pattern_is_a_row(redis_db: RedisServer) -> None:
    fill(redis_db)
    redis_db.command("SET", "health:okx", json.dumps({"status": "connected", "lag_ms": 41}))
    redis_db.command("SET", "health:plain", "word")
    found = await rows(redis_db, fact("scan_get", "health:*", TABLE))
    assert found == [
        {"key": "health:okx", "status": "connected", "lag_ms": "41", "value": "–"},
        {"key": "health:plain", "status": "–", "lag_ms": "–", "value": "word"},
    ]
    assert await rows(redis_db, fact("scan_hash", "pos:*", TABLE)) == [
        {"key": "pos:AAPL", "qty": "5", "side": "–"},
        {"key": "pos:MSFT", "qty": "7", "side": "long"},
    ]


async def test_groups_and_consumers_of_a_stream(redis_db: RedisServer) -> None:
    fill(redis_db)
    (group,) = await rows(redis_db, fact("groups", "stream", TABLE))
    assert (group["name"], group["consumers"], group["pending"]) == ("workers", "1", "1")
    (consumer,) = await rows(redis_db, fact("consumers", "stream", TABLE, field="workers"))
    assert (consumer["name"], consumer["pending"]) == ("one", "1")
    assert int(consumer["idle"]) < 60_000


async def test_subscribers_are_counted_and_named(redis_db: RedisServer) -> None:
    assert await value(redis_db, fact("numsub", "updates", INT)) == 0
    with socket.create_connection(("127.0.0.1", redis_db.port), 2.0) as link:
        link.sendall(b"CLIENT SETNAME worker\r\nSUBSCRIBE updates\r\n")
        while b"updates" not in link.recv(4096):
            pass
        assert await value(redis_db, fact("numsub", "updates", INT)) == 1
        (client,) = await rows(redis_db, fact("clients", "", TABLE))
        assert (client["name"], client["sub"]) == ("worker", "1")
        assert client["addr"] == "127.0.0.1:" + str(link.getsockname()[1])


async def test_the_server_itself_answers(redis_db: RedisServer) -> None:
    fill(redis_db)
    assert await value(redis_db, fact("ping", "")) == "PONG"
    assert await value(redis_db, fact("dbsize", "", INT)) == 8
    assert await value(redis_db, fact("lastsave", "", ValueType.TIME)) == pytest.approx(time.time(), abs=3600)


@pytest.mark.parametrize(
    "asked",
    [
        fact("smembers", "no", TABLE), fact("groups", "no", TABLE), fact("consumers", "no", TABLE, field="g"),
        fact("consumers", "stream", TABLE, field="no"),
    ],
    ids=lambda asked: asked.id,
)  # fmt: skip
async def test_what_is_not_there_is_missing(redis_db: RedisServer, asked: Fact) -> None:
    fill(redis_db)
    assert await read_one(redis_db.port, asked) == Absent()


@pytest.mark.parametrize(
    "asked",
    [
        fact("sinter", "active no", COUNT), fact("each", "no", COUNT, field=ALERT),
        fact("scan_get", "no:*", COUNT), fact("scan_hash", "no:*", COUNT),
    ],
    ids=lambda asked: asked.id,
)  # fmt: skip
async def test_none_of_many_is_a_true_zero(redis_db: RedisServer, asked: Fact) -> None:
    fill(redis_db)
    assert await value(redis_db, asked) == 0


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (fact("smembers", "stream", TABLE), "is a stream, set expected"),
        (fact("sinter", "active stream", TABLE), "is a stream, set expected"),
        (fact("each", "pos:AAPL", TABLE, field=ALERT), "is a hash, set expected"),
        (fact("each", "active", TABLE, field="pos:AAPL{}"), None),
        (fact("scan_get", "pos:*", TABLE), "'pos:AAPL' is no string"),
        (fact("scan_hash", "alert:*", TABLE), "'alert:a1' is no hash"),
        (fact("groups", "active", TABLE), "is a set, stream expected"),
    ],
    ids=lambda part: part.id if isinstance(part, Fact) else "",
)
async def test_a_key_of_another_type_is_named_and_never_an_empty_table(
    redis_db: RedisServer, asked: Fact, reason: str | None
) -> None:
    fill(redis_db)
    if reason is None:
        assert [row["document"] for row in await rows(redis_db, asked)] == ["none"] * 4
    else:
        assert await why(redis_db.port, asked) == reason


@pytest.mark.parametrize(
    "asked",
    [
        fact("each", "big", TABLE, field="doc:{}"), fact("scan_get", "doc:*", TABLE),
        fact("smembers", "wide", TABLE), fact("sinter", "wide wide", TABLE), fact("scan_hash", "h:*", TABLE),
    ],
    ids=lambda asked: asked.id,
)  # fmt: skip
async def test_what_is_too_much_is_refused_before_it_crosses_the_wire(
    redis_db: RedisServer, asked: Fact
) -> None:
    for number in range(60):
        redis_db.command("SADD", "big", str(number))
        redis_db.command("SET", f"doc:{number}", "x" * 60_000)
        redis_db.command("HSET", f"h:{number}", "f", "x" * 60_000)
    redis_db.command("SADD", "wide", *[str(number) for number in range(1001)])
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        found = (await reader.read([asked]))[asked.id]
        assert isinstance(found, Broken)
        assert door.received < 70_000


async def test_none_of_these_reads_writes(redis_db: RedisServer) -> None:
    fill(redis_db)
    asked = [
        fact("each", "active", TABLE, field=ALERT), fact("sinter", "active p1", TABLE),
        fact("smembers", "p1", TABLE), fact("scan_get", "alert:*", TABLE), fact("scan_hash", "pos:*", TABLE),
        fact("groups", "stream", TABLE), fact("consumers", "stream", TABLE, field="workers"),
        fact("numsub", "c", INT), fact("clients", "", TABLE), fact("ping", ""), fact("dbsize", "", INT),
    ]  # fmt: skip
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        await reader.read(asked)
        assert door.bursts <= 4
        names = {words[0] for words in redis_commands(bytes(door.sent))}
    assert names == {
        b"SCARD", b"MEMORY", b"TYPE", b"SMEMBERS", b"STRLEN", b"GETRANGE", b"SINTER", b"SCAN", b"HLEN",
        b"HGETALL", b"XINFO", b"PUBSUB", b"CLIENT", b"PING", b"DBSIZE",
    }  # fmt: skip
