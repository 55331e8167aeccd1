"""Several stacks in one engine: what one of them does not answer costs the others nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.model.reading import Outcome
from backends.model.stack import Source, Stack
from backends.stacks.loader import built_in, load_stack
from tests.safety.dying_room import redis_stack
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

WATCHED = 6.0
"""Seconds the pace is looked at."""


@contextmanager
def hanging(stack: Stack) -> Iterator[Stack]:
    """The stack with every server taking connections and never saying a word."""
    with ExitStack() as open_:

        def mute(source: Source) -> Source:
            server = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
            scheme = "tcp" if source.kind.value == "docker" else source.url.partition(":")[0]
            path = "/0" if scheme == "redis" else "/x" if scheme == "postgresql" else ""
            return replace(source, url=f"{scheme}://127.0.0.1:{server.getsockname()[1]}{path}")

        silent = {
            name: source if source.kind.value in ("files", "host", "room") else mute(source)
            for name, source in stack.sources.items()
        }
        yield replace(stack, sources=silent)


@pytest.fixture
def engine(redis_db: RedisServer, tmp_path: Path) -> Iterator[Engine]:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    with hanging(load_stack(built_in()["trading-platform"])) as silent:
        engine = Engine([silent, redis_stack(redis_db.url)], Mode.WATCH, tmp_path, KIM)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(grace=0.0)


@pytest.mark.alone
def test_a_stack_whose_servers_all_hang_does_not_slow_another(engine: Engine) -> None:
    assert engine.wait_asked("tiny", 10.0)
    oldest, answers = 0.0, set()
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        reading = engine.board("tiny").readings["kill.state"]
        assert reading.outcome is Outcome.OK
        answers.add(reading.received.mono)
        oldest = max(oldest, reading.age(engine.clock.now()))
        time.sleep(0.02)
    # It is asked every second; on a busy machine an answer may come late, but none is left out for long.
    assert len(answers) >= WATCHED - 2
    assert oldest < 2.0
    silent = engine.board("trading-platform")
    polled = [it for it in silent.readings.values() if it.source not in ("checkout", "host", "room")]
    assert polled and not any(it.outcome is Outcome.OK for it in polled)
