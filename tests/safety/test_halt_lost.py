"""A lost halt is put back by an armed room within five seconds; a room that watches writes nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.verify import read, verify
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

KEY = "kill_switch:state"
HALTED = {
    "state": "ENGAGED", "engaged_at": "2026-01-05T10:00:00.000000+00:00", "engaged_by": "kim",
    "engagement_reason": "x", "disengaged_at": None, "disengaged_by": None, "engagement_count_today": 1,
}  # fmt: skip
WITHIN = 5.0
SOON = 20.0
"""For what only has to happen, on a machine that may be busy; what is promised in time is tested alone."""
MANY = 7
"""Tries in vain, after which a source is asked as seldom as it ever is."""


def the_switch(url: str) -> Stack:
    """The shipped kill switch, by its first rung, and nothing else of the platform."""
    whole = load_stack(built_in()["trading-platform"])
    halt = whole.procedures["halt"]
    return replace(
        whole, sources={"redis": replace(whole.sources["redis"], url=url)}, services=(), echoes=(), alarms=(),
        facts={name: fact for name, fact in whole.facts.items() if name.startswith("kill.")},
        gates=whole.gates[:1], environment_facts=(),
        procedures={"halt": replace(halt, steps=halt.steps[:1], shows=(), quiet=None)},
    )  # fmt: skip


@contextmanager
def room(folder: Path, server: RedisServer, mode: Mode = Mode.ARMED) -> Iterator[Engine]:
    """A room that has seen the halt."""
    server.command("SET", KEY, json.dumps(HALTED))
    stack = the_switch(server.url)
    engine = Engine([stack], mode, folder, KIM, is_room=True)
    engine.start()
    try:
        assert engine.wait_asked(stack.id, 20.0)
        yield engine
    finally:
        engine.stop()


def alarms(engine: Engine) -> dict[str, str]:
    (stack,) = engine.stacks
    return {each.id: str(each.title) for each in engine.board(stack.id).alarms}


def is_engaged(server: RedisServer) -> bool:
    return b"ENGAGED" in server.command("GET", KEY)


def records(folder: Path) -> list[dict[str, Any]]:
    return [record for record in read(folder / "journal") if record["kind"] in ("intent", "outcome")]


# What the platform's own class makes of a key that is gone, and what an older copy of the store holds.
FRESH = {"state": "ACTIVE", "engaged_at": None, "disengaged_at": None, "disengaged_by": None}
OLDER = {**HALTED, "state": "ACTIVE", "engaged_at": "2026-01-04T09:00:00.000000+00:00",
         "disengaged_at": "2026-01-04T09:30:00.000000+00:00", "disengaged_by": "lee"}  # fmt: skip
OLDER_HALT = {**HALTED, "engaged_at": "2026-01-04T09:00:00.000000+00:00"}


@pytest.mark.alone
@pytest.mark.parametrize(
    "loss",
    [("FLUSHALL",), ("SET", KEY, json.dumps(FRESH)), ("SET", KEY, json.dumps(OLDER))],
    ids=["everything is gone", "made anew by a service that started", "an older copy took over"],
)
def test_a_lost_halt_is_critical_put_back_and_on_record(
    tmp_path: Path, redis_db: RedisServer, loss: tuple[str, ...]
) -> None:
    with room(tmp_path, redis_db) as engine:
        redis_db.command(*loss)
        wait_until(lambda: is_engaged(redis_db), WITHIN)
        wait_until(lambda: "in force again" in alarms(engine).get("trading:halt-lost", ""), WITHIN)
        (stack,) = engine.stacks
        assert [run.procedure for run in engine.board(stack.id).runs] == ["halt"]
        engine.acknowledge_resume(stack.id)
        wait_until(lambda: "trading:halt-lost" not in alarms(engine), WITHIN)
    begun, ended = records(tmp_path)
    assert (begun["kind"], begun["session"]["via"], begun["procedure"]) == ("intent", "room", "halt")
    assert "put back by the room" in begun["reason"]
    assert ended["verdict"] == "VERIFIED"
    assert verify(tmp_path / "journal").damage is None


@pytest.mark.alone
def test_a_store_that_hung_for_long_and_lost_its_data_is_seen_as_soon_as_it_answers(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """However often it was asked in vain, it is asked again before anybody could trade for long."""
    with room(tmp_path, redis_db) as engine:
        (stack,) = engine.stacks

        def failures() -> int:
            return engine.board(stack.id).sources["redis"].failures

        redis_db.pause()
        try:
            with socket.create_connection(("127.0.0.1", redis_db.port), WITHIN) as link:
                link.sendall(b"FLUSHALL\r\n")  # the first thing it does when it goes on
                wait_until(lambda: failures() >= MANY, 40.0, "many tries in vain")
                redis_db.resume()
                wait_until(lambda: is_engaged(redis_db), WITHIN)
        finally:
            redis_db.resume()
        wait_until(lambda: "in force again" in alarms(engine).get("trading:halt-lost", ""), WITHIN)


@pytest.mark.alone
def test_an_older_halt_that_came_back_is_renewed(tmp_path: Path, redis_db: RedisServer) -> None:
    with room(tmp_path, redis_db):
        redis_db.command("SET", KEY, json.dumps(OLDER_HALT))
        wait_until(lambda: OLDER_HALT["engaged_at"].encode() not in redis_db.command("GET", KEY), WITHIN)
        assert is_engaged(redis_db)


def test_a_release_by_another_tool_is_told_and_not_overruled(tmp_path: Path, redis_db: RedisServer) -> None:
    with room(tmp_path, redis_db) as engine:
        released = {**HALTED, "state": "ACTIVE", "disengaged_at": "2026-01-05T11:00:00.000000+00:00"}
        redis_db.command("SET", KEY, json.dumps(released))
        wait_until(lambda: "trading:resumed" in alarms(engine), SOON)
        time.sleep(WITHIN)  # as long as it would have taken
        assert not is_engaged(redis_db)
        assert "trading:halt-lost" not in alarms(engine)
    assert records(tmp_path) == []


def test_a_room_that_watches_tells_it_and_writes_nothing(tmp_path: Path, redis_db: RedisServer) -> None:
    with room(tmp_path, redis_db, Mode.WATCH) as engine:
        redis_db.command("DEL", KEY)
        wait_until(lambda: "HALT LOST" in alarms(engine).get("trading:halt-lost", ""), SOON)
        time.sleep(WITHIN)  # as long as it would have taken
        assert redis_db.command("EXISTS", KEY).strip().endswith(b"0")
    assert [record["kind"] for record in read(tmp_path / "journal") if record["kind"] != "session"] == []
