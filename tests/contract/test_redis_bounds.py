"""A poll of Redis is one pipeline of reads, and no value however large is taken in."""

from __future__ import annotations

import json

import pytest
import redis

from backends.model.fact import Broken, Found, ValueType
from backends.model.query import RedisQuery
from backends.model.safetext import SafeText
from backends.stacks.loader import built_in, load_stack
from tests.contract.faulty import Faulty, redis_commands
from tests.contract.redis_reading import COUNT, INT, TABLE, fact, fill, reading, value, why
from tests.servers.redis import RedisServer

BIG = 64 * 1024 * 1024


async def test_a_scan_gives_up_on_a_key_space_too_large_rather_than_count_a_part_of_it(
    redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_db.command("EVAL", "for n = 1, 9000 do redis.call('SET', 'filler:' .. n, '') end", "0")
    redis_db.command("SET", "wanted:1", "x")
    assert await value(redis_db, fact("scan", "wanted:*", COUNT)) == 1
    assert await value(redis_db, fact("scan", "unwanted:*", COUNT)) == 0
    monkeypatch.setattr("backends.readers.redis_several.SCAN_ROUNDS", 1)
    assert "keys to look through" in await why(redis_db.port, fact("scan", "wanted:*", COUNT))


async def test_fifty_facts_are_one_round_trip_without_a_write_and_the_connection_is_kept(
    redis_db: RedisServer,
) -> None:
    fill(redis_db)
    asked = [fact("get", "state", pick=f"m{number}") for number in range(20)]
    asked += [fact("get", f"key:{number}") for number in range(30)]
    asked += [
        fact("llen", "list", COUNT),
        fact("ttl", "state", INT),
        fact("info", "server", field="redis_mode"),
    ]
    asked += [fact("scan", "price:*", COUNT), fact("exists", "state", ValueType.BOOL)]
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        first = await reader.read(asked)
        assert redis_commands(bytes(door.sent))[0][0] == b"GETRANGE", "nothing goes before the first question"
        door.forget()
        assert await reader.read(asked) == first
        sent = redis_commands(bytes(door.sent))
        assert (door.bursts, door.connections) == (1, 0)
    assert len(first) == len(asked)
    assert [words[1] for words in sent if words[0] == b"GETRANGE"].count(b"state") == 1
    assert {words[0] for words in sent} == {
        b"GETRANGE", b"TYPE", b"LLEN", b"TTL", b"INFO", b"SCAN", b"EXISTS",
    }  # fmt: skip


async def test_no_read_of_any_kind_writes_or_asks_for_all_keys(redis_db: RedisServer) -> None:
    fill(redis_db)
    kinds = [
        ("get", "state"), ("strlen", "state"), ("hget", "hash"), ("hgetall", "hash"), ("hlen", "hash"),
        ("llen", "list"), ("lrange", "list"), ("scard", "set"), ("zcard", "zset"), ("zrange", "zset"),
        ("zrevrange", "zset"), ("xlen", "stream"), ("xany", "stream"), ("xrevrange", "stream"),
        ("xsince", "stream"),
        ("exists", "k"), ("ttl", "k"), ("pttl", "k"), ("type", "k"), ("scan", "*"), ("info", "memory"),
        ("time", ""),
    ]  # fmt: skip
    asked = [fact(op, key, TABLE, field="qty" if op == "hget" else None) for op, key in kinds]
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        await reader.read(asked)
        sent = redis_commands(bytes(door.sent))
        assert door.bursts == 2
    flags = {words[0]: _flags(redis_db, words[0].decode()) for words in sent}
    assert len(flags) > 15
    assert all("write" not in said for said in flags.values())
    assert b"KEYS" not in flags
    assert "write" in _flags(redis_db, "SET"), "the check itself can see a write"


async def test_all_facts_of_a_built_in_stack_are_two_round_trips_at_the_most(redis_db: RedisServer) -> None:
    """Sizes and values first; then the entries of collections whose size is known by then."""
    redis_db.command("RPUSH", "kill_switch:history", '{"event":"ENGAGED"}')
    for file in built_in().values():
        asked = [each for each in load_stack(file).facts.values() if isinstance(each.query, RedisQuery)]
        async with Faulty(redis_db.port) as door, reading(door.port) as reader:
            assert len(await reader.read(asked)) == len(asked)
            assert door.bursts <= 2
            sent = {words[0].decode() for words in redis_commands(bytes(door.sent))}
        assert all("write" not in _flags(redis_db, command) for command in sent)
        assert "KEYS" not in sent


def _flags(server: RedisServer, command: str) -> list[str]:
    """What the server itself says of a command: ``readonly``, ``write``, …"""
    with redis.Redis(port=server.port) as client:
        client.response_callbacks.clear()
        (said,) = client.execute_command("COMMAND", "INFO", command)
    return [flag.decode() for flag in said[2]]


async def test_more_than_two_hundred_commands_go_in_several_pipelines(redis_db: RedisServer) -> None:
    for number in range(250):
        redis_db.command("SET", f"k{number}", str(number))
    asked = [fact("get", f"k{number}", INT) for number in range(250)]
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        found = await reader.read(asked)
        assert door.bursts == 3
    assert [found[each.id] for each in asked] == [Found(number) for number in range(250)]


@pytest.mark.parametrize("kind", ["string", "hash", "list", "set of fields", "sorted set", "stream"])
async def test_a_huge_value_is_refused_and_hardly_any_of_it_crosses_the_wire(
    redis_db: RedisServer, kind: str
) -> None:
    redis_db.command("SET", "kill", "ACTIVE")
    huge = "x" * 8_000_000
    asked = {
        "string": fact("get", "huge"),
        "hash": fact("hget", "huge", field="f"),
        "list": fact("lrange", "huge", TABLE, start=-5),
        "set of fields": fact("hgetall", "huge", TABLE),
        "sorted set": fact("zrevrange", "huge", TABLE, stop=5),
        "stream": fact("xrevrange", "huge", TABLE, stop=5),
    }[kind]
    if kind == "string":
        redis_db.command("SETRANGE", "huge", str(BIG), "x")
    else:
        redis_db.command(
            *{
                "hash": ("HSET", "huge", "f", huge),
                "list": ("RPUSH", "huge", huge),
                "set of fields": ("HSET", "huge", "f", huge),
                "sorted set": ("ZADD", "huge", "1", huge),
                "stream": ("XADD", "huge", "*", "f", huge),
            }[kind]
        )
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        found = await reader.read([asked, fact("get", "kill")])
        assert door.received < 70_000
    refused = found[asked.id]
    assert isinstance(refused, Broken)
    assert "KiB allowed" in refused.why
    assert found[fact("get", "kill").id] == Found("ACTIVE")
    if kind == "string":
        assert refused.why == f"value is {BIG + 1:,} bytes, 64 KiB allowed"


async def test_a_huge_entry_hidden_among_small_ones_is_cut_off_and_harms_no_other_fact(
    redis_db: RedisServer,
) -> None:
    redis_db.command("SET", "kill", "ACTIVE")
    for _ in range(12):
        redis_db.command("RPUSH", "history", *["small"] * 500)
    redis_db.command("RPUSH", "history", "x" * 30_000_000)
    redis_db.command("HSET", "hash", "qty", "5")
    asked = [fact("lrange", "history", start=-1), fact("get", "kill"), fact("hget", "hash", INT, field="qty")]
    async with Faulty(redis_db.port) as door, reading(door.port) as reader:
        found = await reader.read(asked)
        # What is on its way when the connection closes still fills the buffers of both sides.
        assert door.received < 24_000_000
        assert await reader.read(asked) == found
    assert found[asked[0].id] == Broken(SafeText("answer is far larger than allowed"))
    assert [found[asked[1].id], found[asked[2].id]] == [Found("ACTIVE"), Found(5)]


async def test_a_value_of_exactly_the_limit_is_read_and_one_byte_more_is_not(redis_db: RedisServer) -> None:
    redis_db.command("SET", "fits", json.dumps({"s": "x" * (65536 - 9)}))
    redis_db.command("SET", "not", json.dumps({"s": "x" * (65536 - 8)}))
    assert str(await value(redis_db, fact("get", "fits", pick="s"))).startswith("xxx")
    assert await why(redis_db.port, fact("get", "not", pick="s")) == "value is 65,537 bytes, 64 KiB allowed"
