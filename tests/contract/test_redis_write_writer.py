"""Plain writes and units of writes on a real Redis: what is changed, what never is, and what is said."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import RedisUnit, RedisWrite
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import Source, SourceKind
from backends.writers.redis import RedisEffector
from tests.contract.faulty import Fault, Faulty, redis_commands
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer, start_redis

DONE, ALREADY, FAILED, UNKNOWN = (
    ReceiptKind.DONE, ReceiptKind.ALREADY, ReceiptKind.FAILED, ReceiptKind.UNKNOWN,
)  # fmt: skip
VALUES = {"operator": "kim", "reason": "drill", "mode": "LIVE", "details": None, "symbols": ["A", "B"]}


def step(action: RedisWrite | RedisUnit, connect: float = 5.0, deadline: float = 5.0) -> Step:
    """With time for a busy machine, where the time is not what is tested."""
    return Step("s", "Write", action, (), connect=connect, deadline=deadline)


def write(op: str, key: str = "k", **more: Any) -> RedisWrite:
    return RedisWrite("redis", op, key, **more)


def unit(*writes: RedisWrite) -> RedisUnit:
    return RedisUnit("redis", writes)


@asynccontextmanager
async def writing(port: int, **more: Any) -> AsyncIterator[RedisEffector]:
    url = f"redis://127.0.0.1:{port}/0"
    effector = RedisEffector(Source("redis", SourceKind.REDIS, "Redis", url, 1.0, 0.5, **more))
    try:
        yield effector
    finally:
        await effector.close()


async def act(server: RedisServer, action: RedisWrite | RedisUnit, **values: Any) -> Receipt:
    """What became of it."""
    async with writing(server.port) as effector:
        return await effector.act(action, {**VALUES, **values}, step(action))


def body(reply: bytes) -> bytes | None:
    return None if reply.startswith(b"$-1") else reply.split(b"\r\n", 1)[1].removesuffix(b"\r\n")


async def test_set_stores_text_as_it_is_and_anything_else_as_json(redis_db: RedisServer) -> None:
    receipt = await act(redis_db, write("set", value="$mode by $operator"))
    assert (receipt.kind, receipt.before, receipt.after) == (DONE, None, "LIVE by kim")
    assert body(redis_db.command("GET", "k")) == b"LIVE by kim"
    receipt = await act(redis_db, write("set", value={"on": True, "of": "$symbols", "d": "$details"}))
    assert receipt.before == "LIVE by kim"
    assert json.loads(body(redis_db.command("GET", "k")) or b"") == {"on": True, "of": ["A", "B"], "d": None}


async def test_a_key_is_exactly_that_key(redis_db: RedisServer) -> None:
    redis_db.command("MSET", "a1", "x", "a*", "x")
    assert (await act(redis_db, write("del", "a*"))).kind is DONE
    assert redis_db.command("EXISTS", "a1", "a*") == b":1\r\n"
    assert (await act(redis_db, write("del", "a*"))).kind is ALREADY


async def test_a_deleted_stream_leaves_a_copy_of_its_entries(redis_db: RedisServer) -> None:
    for reason in ("drawdown", "operator: fat finger"):
        redis_db.command("XADD", "k", "*", "priority", "SAFETY", "reason", reason)
    receipt = await act(redis_db, write("del"))
    assert receipt.kind is DONE
    assert [entry["reason"] for entry in json.loads(str(receipt.before))] == [
        "operator: fat finger",
        "drawdown",
    ]
    assert redis_db.command("EXISTS", "k") == b":0\r\n"


async def test_hash_fields_are_set_and_deleted(redis_db: RedisServer) -> None:
    fields = {"by": "$operator", "count": 3}
    assert (await act(redis_db, write("hset", fields=fields))).kind is DONE
    assert body(redis_db.command("HGET", "k", "by")) == b"kim"
    assert body(redis_db.command("HGET", "k", "count")) == b"3"
    assert (await act(redis_db, write("hdel", fields={"by": ""}))).kind is DONE
    assert redis_db.command("HKEYS", "k") == b"*1\r\n$5\r\ncount\r\n"
    assert (await act(redis_db, write("hdel", fields={"by": ""}))).kind is ALREADY


async def test_a_stream_and_a_list_grow_and_are_trimmed(redis_db: RedisServer) -> None:
    for count in range(5):
        await act(redis_db, write("rpush", "list", value=f"{count}", max_length=3))
    assert redis_db.command("LRANGE", "list", "0", "-1") == b"*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n"
    for _ in range(300):
        redis_db.command("XADD", "stream", "*", "a", "b")
    receipt = await act(redis_db, write("xadd", "stream", fields={"event": "$reason"}, max_length=10))
    assert receipt.kind is DONE
    assert int(redis_db.command("XLEN", "stream")[1:]) < 300
    assert b"drill" in redis_db.command("XREVRANGE", "stream", "+", "-", "COUNT", "1")


async def test_a_message_that_nobody_hears_did_not_happen(redis_db: RedisServer) -> None:
    heard = write("publish", "orders:halt", value={"by": "$operator"}, min_receivers=1)
    receipt = await act(redis_db, heard)
    assert receipt.kind is FAILED
    assert "heard by 0 subscribers of orders:halt, expected at least 1" in receipt.text
    assert (await act(redis_db, replace(heard, min_receivers=0))).kind is DONE
    with socket.create_connection(("127.0.0.1", redis_db.port), 2.0) as listener:
        listener.sendall(b"SUBSCRIBE orders:halt\r\n")
        assert b"subscribe" in listener.recv(200)
        receipt = await act(redis_db, heard)
        assert (receipt.kind, receipt.text) == (DONE, "heard by 1 subscriber of orders:halt")
        assert b'{"by": "kim"}' in listener.recv(200)
        # One did hear it and may have acted.
        assert (await act(redis_db, replace(heard, min_receivers=2))).kind is UNKNOWN


async def test_a_save_is_started_and_one_that_runs_is_already() -> None:
    server = start_redis()
    try:
        assert (await act(server, write("bgsave", ""))).kind is DONE
        wait_until(lambda: b"rdb_bgsave_in_progress:0" in server.command("INFO", "persistence"), 20, "saved")
        server.command("MSET", *(word for n in range(100) for word in (f"k{n}", "v")))
        # A child that writes slowly: each key takes 50 ms.
        server.command("CONFIG", "SET", "rdb-key-save-delay", "50000")
        assert (await act(server, write("bgsave", ""))).kind is DONE
        assert (await act(server, write("bgsave", ""))).kind is ALREADY
    finally:
        server.stop()


async def test_if_absent_writes_once(redis_db: RedisServer) -> None:
    once = write("set", value="$mode", if_absent=True)
    assert (await act(redis_db, once)).kind is DONE
    receipt = await act(redis_db, once, mode="OTHER")
    assert (receipt.kind, receipt.before) == (ALREADY, "LIVE")
    assert body(redis_db.command("GET", "k")) == b"LIVE"


async def test_compare_and_set_changes_only_what_was_seen(redis_db: RedisServer) -> None:
    swap = write("set", value="LIVE", if_value="PAPER")
    receipt = await act(redis_db, swap)
    assert receipt.kind is FAILED
    assert "k is missing: nothing was changed" in receipt.text
    redis_db.command("SET", "k", "PAPER ")
    receipt = await act(redis_db, swap)
    assert receipt.kind is FAILED
    assert "holds something else than was seen" in receipt.text
    redis_db.command("SET", "k", "PAPER")
    assert (await act(redis_db, swap)).kind is DONE
    assert (await act(redis_db, swap)).kind is ALREADY
    assert body(redis_db.command("GET", "k")) == b"LIVE"
    assert (await act(redis_db, write("del", if_value="PAPER"))).kind is FAILED
    assert (await act(redis_db, write("del", if_value="$mode"))).kind is DONE


async def test_of_many_who_compare_and_set_one_wins(redis_db: RedisServer) -> None:
    redis_db.command("SET", "k", "free")
    swaps = [write("set", value=f"room {n}", if_value="free") for n in range(20)]
    receipts = await asyncio.gather(*(act(redis_db, swap) for swap in swaps))
    winners = [n for n, receipt in enumerate(receipts) if receipt.kind is DONE]
    assert len(winners) == 1
    assert body(redis_db.command("GET", "k")) == f"room {winners[0]}".encode()
    assert {receipt.kind for receipt in receipts} == {DONE, FAILED}


async def test_what_comes_between_looking_and_writing_is_noticed(redis_db: RedisServer) -> None:
    """The look passes, then somebody else writes, then our EXEC arrives."""
    redis_db.command("SET", "k", "free")
    swap = write("set", value="ours", if_value="free")
    async with Faulty(redis_db.port) as door, writing(door.port) as effector:
        real = door._note

        def between(piece: bytes) -> None:
            if b"EXEC" in piece:
                redis_db.command("SET", "k", "theirs")
            real(piece)

        door._note = between  # type: ignore[method-assign]  # the one moment that matters
        receipt = await effector.act(swap, VALUES, step(swap))
    assert (receipt.kind, body(redis_db.command("GET", "k"))) == (FAILED, b"theirs")
    assert "changed by somebody else meanwhile" in receipt.text


@pytest.mark.parametrize(
    ("op", "more"),
    [
        ("set", {"value": "x"}),
        ("hset", {"fields": {"a": "b"}}),
        ("hdel", {"fields": {"a": ""}}),
        ("xadd", {"fields": {"a": "b"}}),
    ],
)
async def test_a_key_of_another_type_is_left_as_it_is(
    redis_db: RedisServer, op: str, more: dict[str, Any]
) -> None:
    redis_db.command("RPUSH", "k", "one")
    receipt = await act(redis_db, write(op, **more))
    assert receipt.kind is FAILED
    assert "k holds a list where a" in receipt.text
    assert redis_db.command("LRANGE", "k", "0", "-1") == b"*1\r\n$3\r\none\r\n"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (write("set"), "needs a value"),
        (write("set", "", value="x"), "needs a key"),
        (write("set", value="$nobody"), "$nobody"),
        (write("hset"), "needs fields"),
        (write("flushall"), "cannot do 'flushall'"),
        (write("hset", fields={"a": "b"}, if_value="x"), "cannot depend"),
        (write("publish", value="x", if_absent=True), "cannot depend"),
        (write("bgsave", "k"), "takes no key"),
        (unit(), "no writes"),
        (unit(write("set", value="x"), write("bgsave", "")), "BGSAVE"),
    ],
)
async def test_a_write_that_makes_no_sense_is_not_sent(action: Any, words: str) -> None:
    async with Faulty() as door, writing(door.port) as effector:
        receipt = await effector.act(action, VALUES, step(action))
        assert receipt.kind is FAILED
        assert words in receipt.text
        assert door.connections == 0


async def test_a_unit_writes_everything_in_one_transaction(redis_db: RedisServer) -> None:
    whole = unit(
        write("set", "mode", value="$mode", if_value="PAPER"),
        write("hset", "who", fields={"by": "$operator"}),
        write("rpush", "history", value={"event": "$reason"}, max_length=5),
        write("del", "pending"),
    )
    redis_db.command("SET", "mode", "PAPER")
    async with Faulty(redis_db.port) as door, writing(door.port) as effector:
        receipt = await effector.act(whole, VALUES, step(whole))
        names = [command[0] for command in redis_commands(door.sent)]
    assert receipt.kind is DONE, receipt.text
    assert names[-7:] == [b"MULTI", b"SET", b"HSET", b"RPUSH", b"LTRIM", b"DEL", b"EXEC"]
    assert body(redis_db.command("GET", "mode")) == b"LIVE"
    assert redis_db.command("LLEN", "history") == b":1\r\n"


@pytest.mark.parametrize("spoiled", ["guard", "type", "absent"])
async def test_a_unit_with_one_unmet_condition_writes_nothing(redis_db: RedisServer, spoiled: str) -> None:
    whole = unit(
        write("set", "first", value="x"),
        write("set", "mode", value="LIVE", if_value="PAPER"),
        write("hset", "who", fields={"by": "$operator"}),
        write("set", "once", value="x", if_absent=True),
    )
    redis_db.command("SET", "mode", "OTHER" if spoiled == "guard" else "PAPER")
    if spoiled == "type":
        redis_db.command("SET", "who", "text")
    if spoiled == "absent":
        redis_db.command("SET", "once", "there")
    receipt = await act(redis_db, whole)
    assert receipt.kind is FAILED
    assert redis_db.command("EXISTS", "first") == b":0\r\n"


async def test_a_unit_is_written_without_its_record_where_that_has_no_place(redis_db: RedisServer) -> None:
    whole = unit(
        write("set", "mode", value="halt"),
        write("set", "why", value="operator"),
        write("lpush", "history", value="halt", max_length=5, is_record=True),
    )
    redis_db.command("SET", "history", "text")
    receipt = await act(redis_db, whole)
    assert receipt.kind is DONE
    assert receipt.text.endswith("not recorded: history holds a string where a list is expected")
    assert body(redis_db.command("GET", "mode")) == b"halt"
    assert body(redis_db.command("GET", "history")) == b"text"


async def test_a_unit_of_which_one_command_is_forbidden_writes_nothing(redis_db: RedisServer) -> None:
    redis_db.command("ACL", "SETUSER", "half", "on", "nopass", "~*", "+@all", "-hset")
    whole = unit(write("set", "first", value="x"), write("hset", "who", fields={"by": "x"}))
    try:
        async with writing(redis_db.port, username="half") as effector:
            receipt = await effector.act(whole, VALUES, step(whole))
    finally:
        redis_db.command("ACL", "DELUSER", "half")
    assert receipt.kind is FAILED
    assert "no permissions" in receipt.text
    assert redis_db.command("EXISTS", "first") == b":0\r\n"


@pytest.mark.alone
async def test_a_hang_before_the_write_is_a_failure_and_after_it_is_not(redis_db: RedisServer) -> None:
    push = write("rpush", value="x")
    async with Faulty(redis_db.port) as door, writing(door.port) as effector:
        await effector.warm()
        for held, kind in ((b"WATCH", FAILED), (b"EXEC", UNKNOWN)):
            door.hold(held)
            began = time.monotonic()
            receipt = await effector.act(push, VALUES, step(push, connect=0.25, deadline=0.5))
            assert time.monotonic() - began < 0.9
            assert receipt.kind is kind, receipt.text
            assert "no answer within 500 ms" in receipt.text


async def test_a_lost_answer_is_not_asked_for_twice(redis_db: RedisServer) -> None:
    """A list would hold the entry twice. The look before it may be repeated, over a new connection."""
    push = write("rpush", value="x")
    async with Faulty(redis_db.port) as door, writing(door.port) as effector:
        await effector.warm()
        real = door._note

        def lose(piece: bytes) -> None:
            if b"EXEC" in piece:
                redis_db.command("RPUSH", "k", "x")  # it arrived, and its answer did not
                door.fault = Fault.CLOSE
            real(piece)

        door._note = lose  # type: ignore[method-assign]  # the one moment that matters
        receipt = await effector.act(push, VALUES, step(push))
        assert receipt.kind is UNKNOWN, receipt.text
        assert door.sent.count(b"EXEC") == 1


async def test_a_warm_connection_that_died_is_replaced_before_anything_is_written(
    redis_db: RedisServer,
) -> None:
    push = write("rpush", value="x")
    async with writing(redis_db.port) as effector:
        await effector.warm()
        redis_db.command("CLIENT", "KILL", "TYPE", "normal")
        assert (await effector.act(push, VALUES, step(push))).kind is DONE
    assert redis_db.command("LLEN", "k") == b":1\r\n"


async def test_nobody_there_means_nothing_happened() -> None:
    push = write("rpush", value="x")
    async with writing(1) as effector:
        receipt = await effector.act(push, VALUES, step(push))
    assert receipt.kind is FAILED
    assert "nothing was sent" in receipt.text
