"""The kill switch's transition, on a real Redis, field for field as the platform keeps it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import HttpCall, RedisTransition
from backends.model.clock import Instant
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.model.substitution import values_of
from backends.stacks.loader import built_in, load_stack
from backends.writers.redis import RedisEffector
from tests.contract.faulty import Fault, Faulty, redis_commands
from tests.servers.redis import RedisServer, start_redis
from tests.sim.world import intent

STATE, HISTORY = "kill_switch:state", "kill_switch:history"
SHIPPED = load_stack(built_in()["trading-platform"]).procedures["halt"].steps[0]
ACTION = SHIPPED.action
HALT = replace(SHIPPED, connect=5.0, deadline=5.0)
"""With time for a busy machine, where the time is not what is tested."""
NOW = Instant(1.0, 1_795_269_785.118233)
VALUES = {**values_of(intent(), NOW), "reason": "halt test", "details": {"ticket": "OPS-7"}}
FRESH = {
    "state": "ACTIVE", "engaged_at": None, "engaged_by": None, "engagement_reason": None,
    "disengaged_at": None, "disengaged_by": None, "engagement_count_today": 0,
}  # fmt: skip
ENGAGED = {
    "state": "ENGAGED", "engaged_at": "2026-11-21T14:03:05.118233+00:00", "engaged_by": "kim",
    "engagement_reason": "halt test", "engagement_details": {"ticket": "OPS-7"},
    "disengaged_at": None, "disengaged_by": None, "engagement_count_today": 1,
}  # fmt: skip
ENTRY = {
    "event": "ENGAGED", "timestamp": "2026-11-21T14:03:05.118233+00:00", "operator": "kim",
    "reason": "halt test", "details": {"ticket": "OPS-7"},
}  # fmt: skip


def source(port: int, db: int = 0, **more: Any) -> Source:
    url = f"redis://127.0.0.1:{port}/{db}"
    return Source("redis", SourceKind.REDIS, "Redis", url, every=1.0, deadline=0.5, **more)


@asynccontextmanager
async def writing(port: int, **more: Any) -> AsyncIterator[RedisEffector]:
    effector = RedisEffector(source(port, **more))
    try:
        yield effector
    finally:
        await effector.close()


async def engage(server: RedisServer, step: Step = HALT, **values: Any) -> Receipt:
    async with writing(server.port) as effector:
        return await effector.act(step.action, {**VALUES, **values}, step)


def body(reply: bytes) -> bytes:
    """The text of a bulk reply; empty for a missing key."""
    return b"" if reply.startswith(b"$-1") else reply.split(b"\r\n", 1)[1].removesuffix(b"\r\n")


def state(server: RedisServer) -> Any:
    return json.loads(body(server.command("GET", STATE)))


def history(server: RedisServer) -> list[Any]:
    count = int(server.command("LLEN", HISTORY)[1:].strip())
    return [json.loads(body(server.command("LINDEX", HISTORY, str(n)))) for n in range(count)]


def put(server: RedisServer, value: Any) -> None:
    server.command("SET", STATE, value if isinstance(value, str) else json.dumps(value))


def variant(**changes: Any) -> Step:
    assert isinstance(ACTION, RedisTransition)
    return replace(HALT, action=replace(ACTION, **changes))


async def test_engaging_writes_exactly_what_the_platform_would_have(redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.DONE
    assert state(redis_db) == ENGAGED
    assert history(redis_db) == [ENTRY]
    assert json.loads(receipt.before or "") == FRESH
    assert json.loads(receipt.after or "") == ENGAGED
    assert (receipt.by, receipt.since) == ("kim", "2026-11-21T14:03:05.118233+00:00")


async def test_what_an_earlier_cycle_left_behind_survives(redis_db: RedisServer) -> None:
    put(
        redis_db, {**FRESH, "disengagement_notes": "all clear", "engagement_count_today": 4, "x": {"n": None}}
    )
    await engage(redis_db, details=None)
    assert state(redis_db) == {
        **ENGAGED, "engagement_details": None, "engagement_count_today": 5,
        "disengagement_notes": "all clear", "x": {"n": None},
    }  # fmt: skip


async def test_a_key_that_expires_does_not_after_it_is_engaged(redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    redis_db.command("EXPIRE", STATE, "100")
    await engage(redis_db)
    assert redis_db.command("PTTL", STATE) == b":-1\r\n"


async def test_nor_does_one_that_was_engaged_already_or_by_this_very_operation(redis_db: RedisServer) -> None:
    put(redis_db, {**ENGAGED, "engaged_by": "lee", "engaged_at": "2026-11-21T14:00:00.000001+00:00"})
    for kind in (ReceiptKind.ALREADY, ReceiptKind.DONE):
        redis_db.command("EXPIRE", STATE, "100")
        assert (await engage(redis_db)).kind is kind
        assert redis_db.command("PTTL", STATE) == b":-1\r\n"
        put(redis_db, ENGAGED)


@pytest.mark.parametrize("times", range(1, 6))
async def test_repeating_one_operation_is_the_same_as_doing_it_once(
    redis_db: RedisServer, times: int
) -> None:
    put(redis_db, FRESH)
    kinds = [(await engage(redis_db)).kind for _ in range(times)]
    assert set(kinds) == {ReceiptKind.DONE}
    assert state(redis_db) == ENGAGED
    assert history(redis_db) == [ENTRY]


async def test_already_engaged_names_who_did_it_first_and_changes_only_since_when_it_stands(
    redis_db: RedisServer,
) -> None:
    earlier = {**ENGAGED, "engaged_by": "lee", "engaged_at": "2026-11-21T14:00:00.000001+00:00"}
    put(redis_db, earlier)
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.ALREADY
    assert receipt.text == "ENGAGED already, by lee since 2026-11-21T14:00:00.000001+00:00"
    assert state(redis_db) == {**earlier, "engaged_at": ENGAGED["engaged_at"]}
    assert history(redis_db) == []


async def test_two_consoles_at_once_both_succeed_and_one_of_them_did_it(redis_db: RedisServer) -> None:
    for round_ in range(50):
        put(redis_db, FRESH)
        redis_db.command("DEL", HISTORY)
        kim, lee = await asyncio.gather(
            engage(redis_db, operator="kim", now=f"{round_}-kim"),
            engage(redis_db, operator="lee", now=f"{round_}-lee"),
        )
        assert {kim.kind, lee.kind} == {ReceiptKind.DONE, ReceiptKind.ALREADY}
        assert kim.by == lee.by == state(redis_db)["engaged_by"]
        assert [entry["operator"] for entry in history(redis_db)] == [kim.by]
        assert state(redis_db)["engagement_count_today"] == 1


@pytest.mark.parametrize(
    "held", [None, "TRIPPED", "{}", "[]", '{"state": 7}', "{'state': 'ACTIVE'}", "\xff", ""]
)
async def test_a_missing_or_malformed_state_is_written_whole_and_halted(
    redis_db: RedisServer, held: str | None
) -> None:
    if held is not None:
        put(redis_db, held)
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.DONE
    assert "written whole" in receipt.text
    assert state(redis_db) == ENGAGED
    assert history(redis_db) == [ENTRY]


@pytest.mark.parametrize("held", [None, "TRIPPED", "{}"])
async def test_without_leave_to_create_a_missing_or_malformed_state_is_refused(
    redis_db: RedisServer, held: str | None
) -> None:
    if held is not None:
        put(redis_db, held)
    receipt = await engage(redis_db, variant(create=None))
    assert receipt.kind is ReceiptKind.FAILED
    assert STATE in receipt.text
    assert body(redis_db.command("GET", STATE)) == (held or "").encode()
    assert history(redis_db) == []


async def test_a_change_starts_only_from_the_states_it_names(redis_db: RedisServer) -> None:
    put(redis_db, {**FRESH, "state": "PAUSED"})
    refused = await engage(redis_db, variant(allowed_from=("ACTIVE",)))
    assert refused.kind is ReceiptKind.FAILED
    assert "PAUSED" in refused.text
    assert state(redis_db)["state"] == "PAUSED"
    # The shipped halt starts from anything.
    assert (await engage(redis_db)).kind is ReceiptKind.DONE
    assert state(redis_db) == ENGAGED


async def test_a_key_of_another_type_is_left_alone_and_named(redis_db: RedisServer) -> None:
    redis_db.command("RPUSH", STATE, "x")
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.FAILED
    assert f"{STATE} holds a list" in receipt.text
    assert redis_db.command("LLEN", STATE) == b":1\r\n"


async def test_a_history_that_cannot_be_written_does_not_keep_the_switch_from_engaging(
    redis_db: RedisServer,
) -> None:
    put(redis_db, FRESH)
    redis_db.command("SET", HISTORY, "not a list")
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.DONE
    assert "the history was not written" in receipt.text
    assert state(redis_db) == ENGAGED


async def test_the_history_keeps_its_newest_thousand(redis_db: RedisServer) -> None:
    redis_db.command("EVAL", f"for n = 1, 1200 do redis.call('RPUSH', '{HISTORY}', '{{}}') end", "0")
    put(redis_db, FRESH)
    await engage(redis_db)
    assert redis_db.command("LLEN", HISTORY) == b":1000\r\n"
    assert json.loads(body(redis_db.command("LINDEX", HISTORY, "-1"))) == ENTRY


async def test_reasons_in_any_script_or_form_are_stored_as_typed(redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    reason = SafeText('größer "Verlust" \\ ]] $now 取消 {}')
    await engage(redis_db, reason=str(reason))
    assert state(redis_db)["engagement_reason"] == reason
    assert history(redis_db)[0]["reason"] == reason
    assert "größer".encode() in body(redis_db.command("GET", STATE))
    assert "größer".encode() in body(redis_db.command("LINDEX", HISTORY, "0"))


async def test_a_huge_value_is_never_decoded_inside_redis(redis_db: RedisServer) -> None:
    redis_db.command("EVAL", f"redis.call('SET', '{STATE}', string.rep('[', 20000000))", "0")
    receipt = await engage(redis_db)
    assert receipt.kind is ReceiptKind.DONE
    assert len(receipt.before or "") < 1000
    assert state(redis_db) == ENGAGED


async def test_only_the_configured_database_is_touched(redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    async with writing(redis_db.port, db=3) as effector:
        assert (await effector.act(ACTION, VALUES, HALT)).kind is ReceiptKind.DONE
    assert state(redis_db) == FRESH


@pytest.mark.alone
async def test_a_hanging_redis_is_unknown_in_time_and_answers_again_later(redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    async with writing(redis_db.port) as effector:
        await effector.warm()
        redis_db.pause()
        began = time.monotonic()
        receipt = await effector.act(ACTION, VALUES, SHIPPED)
        assert time.monotonic() - began == pytest.approx(SHIPPED.deadline, abs=0.1)
        assert (receipt.kind, receipt.text) == (ReceiptKind.UNKNOWN, "no answer within 500 ms")
        redis_db.resume()
        # What was sent may have arrived: the retry finds its own work done, once.
        assert (await effector.act(ACTION, VALUES, HALT)).kind is ReceiptKind.DONE
    assert state(redis_db) == ENGAGED
    assert history(redis_db) == [ENTRY]


async def test_a_warm_connection_that_died_is_replaced_within_the_call() -> None:
    server = start_redis()
    try:
        async with Faulty(server.port) as door, writing(door.port) as effector:
            await effector.warm()
            put(server, FRESH)
            server.command("CLIENT", "KILL", "TYPE", "normal")
            assert (await effector.act(ACTION, VALUES, HALT)).kind is ReceiptKind.DONE
            assert door.connections == 2
        assert history(server) == [ENTRY]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.HANG, ReceiptKind.UNKNOWN),
        (Fault.CLOSE, ReceiptKind.UNKNOWN),
        (Fault.GARBAGE, ReceiptKind.UNKNOWN),
    ],
)
async def test_an_answer_that_does_not_come_or_makes_no_sense_is_unknown(
    fault: Fault, kind: ReceiptKind
) -> None:
    step = replace(SHIPPED, connect=5.0) if fault is Fault.HANG else HALT
    async with Faulty(None, fault) as door, writing(door.port) as effector:
        receipt = await effector.act(ACTION, VALUES, step)
        assert receipt.kind is kind, receipt.text


async def test_nobody_listening_means_nothing_happened() -> None:
    async with writing(1) as effector:
        await effector.warm()
        receipt = await effector.act(ACTION, VALUES, HALT)
    assert receipt.kind is ReceiptKind.FAILED
    assert "nothing was sent" in receipt.text


async def test_a_warm_stop_is_one_command_in_one_round_trip(redis_db: RedisServer) -> None:
    async with Faulty(redis_db.port) as door, writing(door.port) as effector:
        await effector.warm()
        door.forget()
        await effector.act(ACTION, VALUES, HALT)
        assert [words[0] for words in redis_commands(bytes(door.sent))] == [b"EVAL"]
        assert (door.bursts, door.connections) == (1, 0)


async def test_a_password_is_used_and_never_told() -> None:
    server = start_redis("--requirepass", "canary-password-4711")
    try:
        async with writing(server.port, password=Secret("canary-password-4711")) as effector:
            assert (await effector.act(ACTION, VALUES, HALT)).kind is ReceiptKind.DONE
        for wrong in ({}, {"password": Secret("canary-wrong-0815")}):
            async with writing(server.port, **wrong) as effector:
                receipt = await effector.act(ACTION, VALUES, HALT)
                assert receipt.kind is ReceiptKind.FAILED
                assert "canary" not in str(receipt)
    finally:
        server.stop()


async def test_a_step_of_another_kind_or_without_its_values_fails_before_anything_is_sent() -> None:
    async with Faulty(None, Fault.HANG) as door, writing(door.port) as effector:
        other = await effector.act(HttpCall("redis", "POST", "/"), VALUES, HALT)
        lacking = await effector.act(ACTION, {}, HALT)
        assert {other.kind, lacking.kind} == {ReceiptKind.FAILED}
        assert "has no value" in lacking.text
        assert door.connections == 0
