"""The minute that a halt must last is one of the monotonic clock, in a room on a real Redis."""

from __future__ import annotations

import json
import time
from pathlib import Path

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.action import RedisTransition
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

AT = fact("kill.at", "kill_switch:state", ValueType.TIME, pick="at")
RELEASE = Step(
    "release", "Release",
    RedisTransition("redis", "kill_switch:state", "state", ("ENGAGED",), "ACTIVE"),
    (Proof(KILL.id, ("ACTIVE",)),),
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


def resumed(folder: Path, server: RedisServer) -> Run:
    """What comes of a resume in a room that has just been opened."""
    engine = Engine([stack(server)], Mode.ARMED, folder, identify())
    engine.start()
    try:
        assert engine.wait_asked("tiny", 10.0)
        reason, phrase = SafeText("all clear, ticket OPS-7"), "RESUME tiny"
        engine.submit(
            Intent("op-1", "tiny", "resume", engine.operator, reason, seen=0, via="screen", phrase=phrase)
        )
        wait_until(lambda: (run := engine.run("op-1")) is not None and run.verdict is not None, 20.0)
        run = engine.run("op-1")
        assert run is not None
        return run
    finally:
        engine.stop()


def test_a_halt_that_is_old_by_the_clock_alone_is_not_resumed_until_this_host_has_seen_its_minute(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """Which is how it looks when the clock of a host with its own Redis is set forward."""
    halted = {"state": "ENGAGED", "at": time.time() - 3600.0}
    redis_db.command("SET", "kill_switch:state", json.dumps(halted))
    run = resumed(tmp_path, redis_db)
    assert run.verdict is Verdict.REFUSED
    assert "The halt is younger than 60 s (this room has watched it for only " in run.sentence
    assert " of 60 s; its own time, 360" in run.sentence
    a_room_was_open(tmp_path, ago=61.0)
    assert resumed(tmp_path, redis_db).verdict is Verdict.VERIFIED
