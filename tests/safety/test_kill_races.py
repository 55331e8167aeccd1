"""Stop wins every race: a resume never undoes a kill that was pressed after what its operator saw.

Two rooms, each with connections of its own, press and release the shipped kill switch of one real Redis at
the same moment, in every order. ``CONTROLROOM_SOAK=1`` runs ten thousand races, else one thousand.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from backends.model.procedure import Receipt, ReceiptKind
from backends.model.stack import Source, SourceKind
from backends.procedures.sequence_runner import acts
from backends.stacks.loader import built_in, load_stack
from backends.writers.redis import RedisEffector
from tests.servers.redis import RedisServer

RACES = 10_000 if os.environ.get("CONTROLROOM_SOAK") else 1_000
STACK = load_stack(built_in()["trading-platform"])
# With time for a busy machine: who comes first is what is tested, not when.
KILL, RESUME = (
    replace(next(step for step in STACK.procedures[name].steps if acts(step)), connect=5.0, deadline=5.0)
    for name in ("halt", "resume")
)
KEY = "kill_switch:state"


class Room:
    """One console: what it does is what the shipped procedures say."""

    def __init__(self, server: RedisServer, operator: str) -> None:
        source = Source("redis", SourceKind.REDIS, "Redis", server.url, every=1.0, deadline=0.5)
        self.hands = {"kill": RedisEffector(source), "resume": RedisEffector(source)}
        self._operator = operator

    async def kill(self, now: str) -> Receipt:
        return await self.hands["kill"].act(KILL.action, self._values(now), KILL)

    async def resume(self, seen: str, now: str) -> Receipt:
        return await self.hands["resume"].act(RESUME.action, self._values(now) | {"epoch": seen}, RESUME)

    def _values(self, now: str) -> dict[str, Any]:
        return {"now": now, "operator": self._operator, "reason": "race", "details": None, "operation": now}


@asynccontextmanager
async def two_rooms(server: RedisServer) -> AsyncIterator[tuple[Room, Room]]:
    rooms = Room(server, "kim"), Room(server, "lee")
    for room in rooms:
        for hand in room.hands.values():
            await hand.warm()
    try:
        yield rooms
    finally:
        for room in rooms:
            for hand in room.hands.values():
                await hand.close()


class Witness:
    """Sets the scene and looks at it, over a connection of its own."""

    def __init__(self, server: RedisServer) -> None:
        self._link = Redis.from_url(server.url)

    async def close(self) -> None:
        await self._link.aclose()

    async def halted(self, since: str) -> None:
        state = {"state": "ENGAGED", "engaged_at": since, "engaged_by": "max", "engagement_reason": "before"}
        await self._link.set(KEY, json.dumps(state))

    async def released(self) -> None:
        await self._link.set(KEY, json.dumps({"state": "ACTIVE", "engagement_count_today": 0}))

    async def stored(self) -> Any:
        return json.loads(await self._link.get(KEY) or "")


@pytest.fixture
async def witness(redis_db: RedisServer) -> AsyncIterator[Witness]:
    made = Witness(redis_db)
    yield made
    await made.close()


async def late(random: Random, what: Any) -> Receipt:
    """Some turns of the loop later, so that the calls reach Redis in any order."""
    for _ in range(random.randrange(4)):
        await asyncio.sleep(0)
    receipt: Receipt = await what
    return receipt


async def test_after_any_race_with_a_kill_trading_is_off_and_the_newest_kill_stands(
    redis_db: RedisServer, witness: Witness
) -> None:
    random, met = Random(4711), Counter[tuple[str, ...]]()
    async with two_rooms(redis_db) as (kim, lee):
        for race in range(RACES):
            seen = f"2026-11-21T00:00:00.{race:06d}+00:00"
            pressed = f"2026-11-21T01:00:00.{race:06d}+00:00"
            await witness.halted(seen)
            moves = [kim.resume(seen, f"r1-{race}"), lee.resume(seen, f"r2-{race}"), kim.kill(pressed)]
            order = random.sample(range(3), 3)
            done = await asyncio.gather(*(late(random, moves[which]) for which in order))
            receipts = dict(zip(order, done, strict=True))
            now = await witness.stored()
            assert now["state"] == "ENGAGED", (race, receipts)
            assert now["engaged_at"] == pressed, "a later resume must be held against this kill"
            assert receipts[2].kind in (ReceiptKind.DONE, ReceiptKind.ALREADY)
            met[tuple(receipts[which].kind.value for which in range(3))] += 1
    # The races were races: each of these orders came up.
    kinds = {(kill, "done" in resumes) for *resumes, kill in met}
    assert kinds == {("done", True), ("already", False)}, met


async def test_of_two_kills_at_once_one_does_it_and_neither_fails(
    redis_db: RedisServer, witness: Witness
) -> None:
    random = Random(4711)
    async with two_rooms(redis_db) as rooms:
        for race in range(RACES):
            await witness.released()
            times = [f"2026-11-21T01:00:00.{race:06d}+00:00", f"2026-11-21T02:00:00.{race:06d}+00:00"]
            moves = [room.kill(at) for room, at in zip(rooms, times, strict=True)]
            order = random.sample(range(2), 2)
            done = await asyncio.gather(*(late(random, moves[which]) for which in order))
            assert {each.kind for each in done} == {ReceiptKind.DONE, ReceiptKind.ALREADY}, (race, done)
            now = await witness.stored()
            assert (now["state"], now["engagement_count_today"]) == ("ENGAGED", 1)
            assert {now["engaged_by"]} == {str(each.by) for each in done}


async def test_without_a_kill_one_of_two_resumes_does_it(redis_db: RedisServer, witness: Witness) -> None:
    async with two_rooms(redis_db) as (kim, lee):
        for race in range(50):
            await witness.halted(f"seen-{race}")
            one, two = await asyncio.gather(
                kim.resume(f"seen-{race}", f"r1-{race}"), lee.resume(f"seen-{race}", f"r2-{race}")
            )
            assert {one.kind, two.kind} == {ReceiptKind.DONE, ReceiptKind.ALREADY}
            assert (await witness.stored())["state"] == "ACTIVE"


async def test_a_kill_that_finds_it_engaged_still_voids_a_resume_that_was_decided_before(
    redis_db: RedisServer, witness: Witness
) -> None:
    async with two_rooms(redis_db) as (kim, lee):
        await witness.halted("first")
        pressed = await kim.kill("second")
        assert pressed.kind is ReceiptKind.ALREADY
        assert (str(pressed.by), str(pressed.since)) == ("max", "first")
        refused = await lee.resume("first", "r")
        assert refused.kind is ReceiptKind.FAILED
        assert "changed meanwhile" in refused.text
        assert (await witness.stored())["engaged_by"] == "max"
        assert (await lee.resume("second", "r")).kind is ReceiptKind.DONE
