"""Members of sets, ends of lists, and an alert resolved with all its indexes in one transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends.model.action import RedisUnit, RedisWrite
from backends.writers.redis import RedisEffector
from tests.contract.faulty import Faulty
from tests.contract.test_redis_write_writer import (
    ALREADY,
    DONE,
    FAILED,
    act,
    body,
    step,
    unit,
    write,
    writing,
)
from tests.servers.redis import RedisServer

NOW = {"now": "2026-03-01T10:02:30.500000+00:00", "utc": "2026-03-01T10:02:30.500000Z", "id": "a1"}
ALERT = {
    "alert_id": "a1", "priority": "P2", "trigger_value": "3.40",
    "triggered_at": "2026-03-01T10:00:00.250000Z", "resolved_at": None, "duration_seconds": None,
    "context": {"seen": "é"}, "resolution_type": None, "resolution_value": None,
}  # fmt: skip


def resolve() -> RedisUnit:
    patch = write(
        "json", "alert:$id",
        fields={"resolved_at": "$utc", "resolution_type": "manual", "context.note": "$reason",
                "resolution_value": None},
        elapsed={"duration_seconds": "triggered_at"}, if_null=("resolved_at",),
    )  # fmt: skip
    sets = ("alerts:active", "alerts:by_priority:P1", "alerts:by_priority:P2")
    return unit(patch, *(write("srem", name, value="$id") for name in sets))


def stored(server: RedisServer, key: str = "alert:a1") -> Any:
    return json.loads(body(server.command("GET", key)) or b"null")


async def test_an_alert_is_resolved_with_all_its_indexes_and_nothing_else_of_it_changes(
    redis_db: RedisServer,
) -> None:
    redis_db.command("SET", "alert:a1", json.dumps(ALERT))
    redis_db.command("SADD", "alerts:active", "a1", "a2")
    redis_db.command("SADD", "alerts:by_priority:P2", "a1")
    receipt = await act(redis_db, resolve(), **NOW)
    assert receipt.kind is DONE, receipt
    assert stored(redis_db) == {
        **ALERT, "resolved_at": "2026-03-01T10:02:30.500000Z", "resolution_type": "manual",
        "duration_seconds": 150, "context": {"seen": "é", "note": "drill"},
    }  # fmt: skip
    assert redis_db.command("SMEMBERS", "alerts:active") == b"*1\r\n$2\r\na2\r\n"
    assert redis_db.command("EXISTS", "alerts:by_priority:P2") == b":0\r\n"
    assert redis_db.command("TTL", "alert:a1") == b":-1\r\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            json.dumps(ALERT | {"resolved_at": "2026-03-01T10:01:00Z"}),
            "resolved_at is 2026-03-01T10:01:00Z already",
        ),
        ('{"alert_id": "a1", "resolved', "holds no JSON"),
        ('{"a": 1, "a": 2}', "holds no JSON"),
        ("[1]", "holds no JSON object"),
        (json.dumps(ALERT | {"triggered_at": "yesterday"}), "triggered_at says no time"),
        (json.dumps(ALERT | {"context": None}), "context is no object"),
        (None, "alert:a1 is missing"),
        ("x" * 70_000, "too large to change"),
    ],
)
async def test_an_alert_that_is_not_as_expected_is_left_alone_with_its_indexes(
    redis_db: RedisServer, text: str | None, why: str
) -> None:
    if text is not None:
        redis_db.command("SET", "alert:a1", text)
    redis_db.command("SADD", "alerts:active", "a1")
    before = redis_db.command("GET", "alert:a1")
    receipt = await act(redis_db, resolve(), **NOW)
    assert (receipt.kind, why in receipt.text) == (FAILED, True), receipt
    assert redis_db.command("GET", "alert:a1") == before
    assert redis_db.command("SISMEMBER", "alerts:active", "a1") == b":1\r\n"


async def test_an_alert_the_detector_resolves_meanwhile_is_not_overwritten(redis_db: RedisServer) -> None:
    redis_db.command("SET", "alert:a1", json.dumps(ALERT))
    theirs = json.dumps(ALERT | {"resolved_at": "2026-03-01T10:02:00Z", "resolution_type": "auto"})

    class Slow(RedisEffector):
        async def _write(self, link: Any, is_announced: bool, writes: Any, wanted: Any) -> Any:
            real = writes.objection

            def late(replies: Any) -> Any:
                found = real(replies)
                redis_db.command("SET", "alert:a1", theirs)
                return found

            writes.objection = late
            return await super()._write(link, is_announced, writes, wanted)

    async with writing(redis_db.port) as other:
        effector = Slow(other._source)
        receipt = await effector.act(resolve(), {"reason": "drill", **NOW}, step(resolve()))
        await effector.close()
    assert (receipt.kind, "changed by somebody else" in receipt.text) == (FAILED, True)
    assert stored(redis_db)["resolution_type"] == "auto"


async def test_members_of_sets_come_and_go(redis_db: RedisServer) -> None:
    assert (await act(redis_db, write("sadd", value=["a", "b"]))).kind is DONE
    assert (await act(redis_db, write("sadd", value="a"))).kind is ALREADY
    assert (await act(redis_db, write("srem", value="a"))).kind is DONE
    assert (await act(redis_db, write("srem", value="a"))).kind is ALREADY
    assert redis_db.command("SMEMBERS", "k") == b"*1\r\n$1\r\nb\r\n"
    redis_db.command("ZADD", "z", "1", "a")
    assert (await act(redis_db, write("zrem", "z", value="a"))).kind is DONE
    assert (await act(redis_db, write("zrem", "z", value="a"))).kind is ALREADY
    redis_db.command("SET", "text", "x")
    refused = await act(redis_db, write("srem", "text", value="a"))
    assert (refused.kind, refused.text) == (FAILED, "text holds a string where a set is expected")


async def test_a_list_grows_at_its_head_and_keeps_the_first(redis_db: RedisServer) -> None:
    for count in range(5):
        await act(redis_db, write("lpush", "list", value=f"{count}", max_length=3))
    assert redis_db.command("LRANGE", "list", "0", "-1") == b"*3\r\n$1\r\n4\r\n$1\r\n3\r\n$1\r\n2\r\n"
    assert (await act(redis_db, write("ltrim", "list", max_length=1))).kind is DONE
    assert redis_db.command("LRANGE", "list", "0", "-1") == b"*1\r\n$1\r\n4\r\n"


async def test_a_database_is_emptied_alone_and_only_that_one(redis_db: RedisServer) -> None:
    redis_db.command("SET", "k", "v")
    refused = await act(redis_db, unit(write("flushdb", ""), write("set", value="x")))
    assert refused.text == "FLUSHDB cannot be one of several writes"
    assert redis_db.command("DBSIZE") == b":1\r\n"
    assert (await act(redis_db, write("flushdb", ""))).kind is DONE
    assert redis_db.command("DBSIZE") == b":0\r\n"


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (write("srem"), "srem needs a member"),
        (write("ltrim"), "ltrim needs max_length"),
        (write("json"), "json needs fields"),
        (write("flushdb", "k"), "flushdb takes no key"),
    ],
    ids=lambda part: part.op if isinstance(part, RedisWrite) else "",
)
async def test_writes_that_make_no_sense_are_not_sent(
    redis_db: RedisServer, action: RedisWrite, why: str
) -> None:
    async with Faulty(redis_db.port) as door:
        async with writing(door.port) as effector:
            receipt = await effector.act(action, {}, step(action))
        assert (receipt.kind, why in receipt.text, door.sent) == (FAILED, True, b"")
