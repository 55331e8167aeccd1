"""The minute that a halt must last is one of the monotonic clock, in a room on a real Redis."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.action import RedisTransition
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.fact import ValueType
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Proof, RiskClass, Run, Step, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tests.building import KILL, fact
from tests.safety.dying_room import redis_stack
from tests.servers.earlier import a_room_was_open
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer

SWITCH = "kill_switch:state"
AT = fact("kill.at", "kill_switch:state", ValueType.TIME, pick="at")
RELEASE = Step(
    "release", "Release",
    RedisTransition("redis", "kill_switch:state", "state", ("ENGAGED",), "ACTIVE"),
    (Proof(KILL.id, ("ACTIVE",)),), connect=5.0, deadline=5.0,
)  # fmt: skip
RESUME = Procedure(
    "resume", "Resume", RiskClass.RESTORE, "Allows trading.", (), "by hand", (RELEASE,),
    requires=(Condition("long", "kill.at", "The halt is younger than 60 s", min_age=60.0),),
)  # fmt: skip


def stack(server: RedisServer) -> Stack:
    plain = redis_stack(server.url)
    return replace(
        plain,
        facts={**plain.facts, AT.id: AT},
        procedures={**plain.procedures, "resume": RESUME},
    )


@contextmanager
def opened(folder: Path, stack: Stack) -> Iterator[Engine]:
    """A room that has just been opened."""
    engine = Engine([stack], Mode.ARMED, folder, identify())
    engine.start()
    try:
        assert engine.wait_asked("tiny", 10.0)
        yield engine
    finally:
        engine.stop()


def ordered(engine: Engine, procedure: str) -> Run:
    """What comes of it."""
    ident, why = str(uuid.uuid4()), SafeText("all clear, ticket OPS-7")
    phrase = "RESUME tiny" if procedure == "resume" else None
    engine.submit(Intent(ident, "tiny", procedure, engine.operator, why, seen=0, via="screen", phrase=phrase))
    wait_until(lambda: (run := engine.run(ident)) is not None and run.verdict is not None, 20.0)
    run = engine.run(ident)
    assert run is not None
    return run


def resumed(folder: Path, server: RedisServer) -> Run:
    """What comes of a resume in a room that has just been opened."""
    with opened(folder, stack(server)) as engine:
        return ordered(engine, "resume")


def test_a_halt_that_is_old_by_the_clock_alone_is_not_resumed_until_this_host_has_seen_its_minute(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """Which is how it looks when the clock of a host with its own Redis is set forward."""
    halted = {"state": "ENGAGED", "at": time.time() - 3600.0}
    redis_db.command("SET", SWITCH, json.dumps(halted))
    run = resumed(tmp_path, redis_db)
    assert run.verdict is Verdict.REFUSED
    assert "The halt is younger than 60 s (this room has watched it for only " in run.sentence
    assert " of 60 s; its own time, 360" in run.sentence
    a_room_was_open(tmp_path, ago=61.0)
    assert resumed(tmp_path, redis_db).verdict is Verdict.VERIFIED


def test_a_halt_of_which_nothing_says_since_when_must_be_seen_to_stand_and_a_second_one_too(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """Five seconds of it, in place of sixty."""
    long = Condition("long", KILL.id, "It is too young", equals=("ENGAGED",), unchanged_for=5.0)
    spec = stack(redis_db)
    told = replace(spec, procedures={**spec.procedures, "resume": replace(RESUME, requires=(long,))})
    a_room_was_open(tmp_path, ago=600.0)
    redis_db.command("SET", SWITCH, json.dumps({"state": "ENGAGED"}))
    with opened(tmp_path, told) as engine:
        at_once = ordered(engine, "resume")
        assert at_once.verdict is Verdict.REFUSED
        assert "reads ENGAGED, seen so by this room, and no stop since, for only " in at_once.sentence

        def old_again(since: Instant) -> None:
            """Wait until a board made after that says so."""

            def is_so() -> bool:
                reading = engine.board("tiny").readings[KILL.id]
                is_new = reading.received.mono > since.mono
                return is_new and (reading.unchanged_at_least or 0.0) >= 5.0

            wait_until(is_so, 20.0)

        old_again(at_once.started)
        second = ordered(engine, "halt")
        assert second.verdict in (Verdict.VERIFIED, Verdict.ALREADY), second.sentence
        assert second.ended is not None
        assert ordered(engine, "resume").verdict is Verdict.REFUSED
        old_again(second.ended)
        assert ordered(engine, "resume").verdict is Verdict.VERIFIED
