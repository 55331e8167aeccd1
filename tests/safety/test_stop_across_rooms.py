"""A stop pressed in another process ends a restore that is half done here, on a real Redis and journal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.model.action import Attest, RedisTransition
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Proof, RiskClass, Run, Step, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tests.building import BREAKER, KILL
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

ROOT = Path(__file__).parents[2]


def switch(name: str, key: str, fact: str, come_from: str, to: str) -> Step:
    """A step that compares nothing but the state, so that nothing but the rule can hold it back."""
    action = RedisTransition("redis", key, "state", (come_from,), to)
    return Step(name, f"Put {fact} to {to}", action, (Proof(fact, (to,)),), connect=5.0, deadline=5.0)


RESET = switch("reset", "circuit_breaker:state", BREAKER.id, "TRIPPED", "OPEN")
RELEASE = switch("release", "kill_switch:state", KILL.id, "ENGAGED", "ACTIVE")
ASK = Step("ask", "Ask the desk", Attest("The desk agrees"), (), deadline=60.0)


def stack(server: RedisServer, *steps: Step) -> Stack:
    plain = redis_stack(server.url)
    resume = Procedure("resume", "Resume", RiskClass.RESTORE, "Allows trading.", (), "by hand", steps)
    return replace(plain, procedures={**plain.procedures, "resume": resume})


def state(server: RedisServer, key: str) -> str:
    return str(json.loads(server.command("GET", key).split(b"\r\n")[1])["state"])


def resume(folder: Path, server: RedisServer, meanwhile: Callable[[], None], *steps: Step) -> Run:
    """Resume here until somebody is asked; then let something happen elsewhere, and wait for the verdict."""
    server.command("SET", "kill_switch:state", json.dumps({"state": "ENGAGED"}))
    server.command("SET", "circuit_breaker:state", json.dumps({"state": "TRIPPED"}))
    engine = Engine([stack(server, *steps)], Mode.ARMED, folder, KIM)
    engine.start()
    try:
        assert engine.wait_asked("tiny", 10.0)
        reason, phrase = SafeText("all clear, ticket OPS-7"), "RESUME tiny"
        engine.submit(Intent("op-1", "tiny", "resume", KIM, reason, seen=0, via="screen", phrase=phrase))

        def run() -> Run | None:
            return engine.run("op-1")

        wait_until(lambda: (it := run()) is not None and (it.awaits or it.verdict) is not None, 20.0)
        it = run()
        assert it is not None and it.awaits == "ask", it
        meanwhile()
        engine.attest("tiny", "op-1", "ask")
        wait_until(lambda: (it := run()) is not None and it.verdict is not None, 20.0)
        it = run()
        assert it is not None
        return it
    finally:
        engine.stop()


def test_a_halt_in_another_process_ends_a_resume_here_and_nothing_is_released(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    def halt() -> None:
        told = ("-m", "tests.safety.dying_room", str(tmp_path), redis_db.url, "halt", "never")
        subprocess.run([sys.executable, *told], cwd=ROOT, timeout=60, check=True)

    run = resume(tmp_path, redis_db, halt, RESET, ASK, RELEASE)
    assert run.verdict is Verdict.PARTIAL, run.sentence
    assert "Halt trading was pressed meanwhile by kim on /dev/pts/3" in run.sentence
    assert [step.state for step in run.steps][::2] == [StepState.VERIFIED, StepState.SKIPPED]
    assert state(redis_db, "kill_switch:state") == "ENGAGED"


def test_a_switch_thrown_by_hand_after_the_release_ends_what_is_left_of_the_resume(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    def throw() -> None:
        redis_db.command("SET", "kill_switch:state", json.dumps({"state": "ENGAGED"}))

    run = resume(tmp_path, redis_db, throw, RELEASE, ASK, RESET)
    assert run.verdict is Verdict.PARTIAL, run.sentence
    assert "ENGAGED again: halted meanwhile by somebody else" in run.sentence
    assert run.steps[2].state is StepState.SKIPPED
    assert (state(redis_db, "kill_switch:state"), state(redis_db, "circuit_breaker:state")) == (
        "ENGAGED", "TRIPPED",
    )  # fmt: skip
