"""A command asks once more what failed at its first look, when everything is still being loaded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.model.reading import Outcome
from tests.safety.dying_room import redis_stack
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

DEADLINE = redis_stack("redis://127.0.0.1:1").sources["redis"].deadline


def test_a_server_that_was_slow_at_first_is_not_reported_as_down(
    redis_db: RedisServer, tmp_path: Path
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    engine = Engine([redis_stack(redis_db.url)], Mode.WATCH, tmp_path, KIM)
    redis_db.pause()
    try:
        engine.start()
        assert engine.wait_asked("tiny", 10.0)
        assert engine.board("tiny").readings["kill.state"].outcome is Outcome.FAILED
        redis_db.resume()
        assert engine.wait_answered(10.0, "tiny")
        assert engine.board("tiny").readings["kill.state"].outcome is Outcome.OK
    finally:
        redis_db.resume()
        engine.stop(grace=0.0)


@pytest.mark.alone
def test_however_many_stacks_are_dead_they_are_asked_once_more_at_the_same_time(
    redis_db: RedisServer, tmp_path: Path
) -> None:
    names = [f"dead-{number}" for number in range(8)]
    stacks = [replace(redis_stack(redis_db.url), id=name) for name in names]
    engine = Engine(stacks, Mode.WATCH, tmp_path, KIM)
    redis_db.pause()
    try:
        engine.start()
        assert all(engine.wait_asked(name, 10.0) for name in names)
        begun = time.monotonic()
        assert engine.wait_answered(60.0, *names)
        assert time.monotonic() - begun < 4 * DEADLINE
    finally:
        redis_db.resume()
        engine.stop(grace=0.0)
