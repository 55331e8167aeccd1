"""What lifts a halt is compared in Redis with the newest entry that was seen: one that came since stays."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

import backends.writers.redis as writer
from backends.model.action import RedisUnit, RedisWrite
from backends.model.procedure import Receipt, ReceiptKind
from backends.stacks.loader import built_in, load_stack
from tests.contract.test_redis_write_writer import act, body, write
from tests.servers.redis import RedisServer

STREAM, HISTORY = "stream.bot_shutdown", "mode:history"
VALUES: dict[str, Any] = {"word": "paper", "mode": "halt", "unix": 1_768_212_345}


def halt(server: RedisServer, reason: str) -> str:
    """A halt of another host; its id."""
    added = body(server.command("XADD", STREAM, "*", "priority", "SAFETY", "reason", reason))
    assert added is not None
    return added.decode()


def halts(server: RedisServer) -> int:
    return int(server.command("XLEN", STREAM)[1:])


def lifting(stack: str, procedure: str, step: str) -> Any:
    """What that step of a resume does."""
    steps = load_stack(built_in()[stack]).procedures[procedure].steps
    action = next(each.action for each in steps if each.id == step)
    assert isinstance(action, (RedisWrite, RedisUnit))
    return action


RESUME = lifting("claire-de-binare", "resume", "stream")


async def test_the_halt_that_was_seen_is_deleted_and_a_newer_one_is_not(redis_db: RedisServer) -> None:
    seen = halt(redis_db, "drawdown")
    newer = halt(redis_db, "another host")
    receipt = await act(redis_db, RESUME, halt_id=seen)
    assert receipt.kind is ReceiptKind.FAILED
    assert "another newest entry than was seen: nothing was changed" in receipt.text
    assert halts(redis_db) == 2
    receipt = await act(redis_db, RESUME, halt_id=newer)
    assert receipt.kind is ReceiptKind.DONE and "another host" in str(receipt.before)
    assert halts(redis_db) == 0


async def test_a_halt_between_the_look_and_the_deletion_keeps_it(
    redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, ask = halt(redis_db, "drawdown"), writer._ask

    async def late(link: Any, commands: Any, is_announced: bool = False) -> list[Any]:
        if commands[0] == ["MULTI"]:
            halt(redis_db, "another host")
        return await ask(link, commands, is_announced)

    monkeypatch.setattr(writer, "_ask", late)
    receipt = await act(redis_db, RESUME, halt_id=seen)
    assert receipt.kind is ReceiptKind.FAILED and "by somebody else meanwhile" in receipt.text
    assert halts(redis_db) == 2


async def test_whoever_halts_while_a_resume_deletes_is_never_wiped(redis_db: RedisServer) -> None:
    random, deleted = Random(7), 0
    for number in range(600):
        redis_db.command("DEL", STREAM)
        seen = halt(redis_db, "seen")

        async def resume(seen: str) -> Receipt:
            await asyncio.sleep(random.uniform(0, 0.02))
            return await act(redis_db, RESUME, halt_id=seen)

        async def another() -> str:
            await asyncio.sleep(random.uniform(0, 0.02))
            return await asyncio.to_thread(halt, redis_db, "another host")

        receipt, newer = await asyncio.gather(resume(seen), another())
        kept = redis_db.command("XREVRANGE", STREAM, "+", "-")
        assert newer.encode() in kept, (number, receipt.text)
        deleted += receipt.kind is ReceiptKind.DONE
        assert (halts(redis_db) == 1) is (receipt.kind is ReceiptKind.DONE)
        if number >= 59 and deleted:
            break  # on a busy machine it takes longer until a resume is first
    assert deleted, "none was ever first"


@pytest.mark.parametrize("procedure", ["resume-paper", "resume-auto"])
async def test_a_halt_that_was_ordered_again_stands_though_the_word_is_the_same(
    redis_db: RedisServer, procedure: str
) -> None:
    resume = lifting("trading-bot", procedure, "mode")
    redis_db.command("SET", "mode", "halt")
    seen = '{"timestamp": 1768212000, "mode": "halt", "source": "slack_bot"}'
    redis_db.command("LPUSH", HISTORY, seen)
    redis_db.command("LPUSH", HISTORY, seen.replace("2000", "2040"))
    receipt = await act(redis_db, resume, **VALUES, told=seen)
    assert receipt.kind is ReceiptKind.FAILED and "another newest entry" in receipt.text
    assert body(redis_db.command("GET", "mode")) == b"halt"
    receipt = await act(redis_db, resume, **VALUES, told=seen.replace("2000", "2040"))
    assert receipt.kind is ReceiptKind.DONE
    assert body(redis_db.command("GET", "mode")) == (b"auto" if procedure == "resume-auto" else b"paper")


async def test_where_nobody_ever_told_only_an_empty_history_is_what_was_seen(redis_db: RedisServer) -> None:
    """Reconciliation halts without an entry."""
    resume = lifting("trading-bot", "resume-auto", "mode")
    redis_db.command("SET", "mode", "halt")
    assert (await act(redis_db, resume, **VALUES, told="")).kind is ReceiptKind.DONE
    redis_db.command("SET", "mode", "halt")
    assert (await act(redis_db, resume, **VALUES, told="")).kind is ReceiptKind.FAILED


async def test_what_has_no_entries_has_no_newest(redis_db: RedisServer) -> None:
    redis_db.command("SET", "k", "text")
    assert (await act(redis_db, write("del", if_newest="1-0"))).kind is ReceiptKind.FAILED
    assert (await act(redis_db, write("lpush", value="x", if_newest=""))).kind is ReceiptKind.FAILED
    assert body(redis_db.command("GET", "k")) == b"text"
    receipt = await act(redis_db, write("set", value="x", if_newest="1-0"))
    assert receipt.kind is ReceiptKind.FAILED and "newest entry" in receipt.text
