"""A command asks once more what failed at its first look, when everything is still being loaded."""

from __future__ import annotations

from pathlib import Path

from backends.engine import Engine, Mode
from backends.model.reading import Outcome
from tests.safety.dying_room import redis_stack
from tests.servers.redis import RedisServer
from tests.sim.world import KIM


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
        assert engine.wait_answered("tiny", 10.0)
        assert engine.board("tiny").readings["kill.state"].outcome is Outcome.OK
    finally:
        redis_db.resume()
        engine.stop(grace=0.0)
