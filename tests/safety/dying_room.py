"""A room that runs a procedure on a real Redis and is killed, by SIGKILL, at one point of its choice.

Run as a program: folder, URL of the Redis, procedure, point. The points are the boundaries of a run's steps.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.chain_file import ChainFile
from backends.model.action import Action, RedisTransition
from backends.model.intent import Intent
from backends.model.procedure import Proof, Receipt, RiskClass, Step
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.writers.redis import RedisEffector
from tests.building import BREAKER, KILL, redis_source, stack
from tests.sim.world import HALT, KIM, RUNG_1

POINTS = (
    "before intent 1", "after intent 1", "before act 1", "after act 1", "before step 1", "after step 1",
    "before outcome 1", "after outcome 1",
)  # fmt: skip
SECOND = ("before act 2", "after act 2", "before outcome 1")
"""The points that a procedure of two steps has besides."""

TURNS = tuple(risk for risk in RiskClass if risk is not RiskClass.STOP)
"""The classes whose steps come one after the other; the stack has a procedure named for each."""


def _patient(step: Step) -> Step:
    """With time for a busy machine: it is never sent again, and how soon it is done is not what is tested."""
    return replace(step, connect=5.0, deadline=5.0)


def _turn(id: str, fact: str, key: str, before: str, after: str) -> Step:
    do = RedisTransition("redis", key, "state", (before,), after)
    return _patient(Step(id, f"Make it {after}", do, (Proof(fact, (after,)),)))


TRIP = _turn("trip", BREAKER.id, "circuit_breaker:state", "OPEN", "TRIPPED")
REFUSED = _turn("refused", KILL.id, "kill_switch:state", "NEVER", "ENGAGED")
RESUME = (
    _turn("resume", KILL.id, "kill_switch:state", "ENGAGED", "ACTIVE"),
    _turn("reset", BREAKER.id, "circuit_breaker:state", "TRIPPED", "OPEN"),
)


def redis_stack(url: str) -> Stack:
    """One switch in one Redis with one way to it, and another switch: the second way of a halt whose first is
    refused. For each other class a procedure turns both, one after the other: a restore back, the rest off.
    """
    plain = stack()
    gates = tuple(gate for gate in plain.gates if gate.fact == KILL.id)
    halts = (replace(HALT, steps=(RUNG_1,)), replace(HALT, id="by-the-second", steps=(REFUSED, TRIP)))
    both = (
        replace(
            HALT, id=risk.value, risk=risk, phrase="" if risk is RiskClass.ROUTINE else "GO",
            steps=RESUME if risk is RiskClass.RESTORE else (_patient(RUNG_1), TRIP),
        )
        for risk in TURNS
    )  # fmt: skip
    return replace(
        plain, sources={"redis": redis_source(url)}, services=(), gates=gates,
        facts={KILL.id: KILL, BREAKER.id: BREAKER},
        echoes=(), alarms=(), procedures={each.id: each for each in (*halts, *both)},
    )  # fmt: skip


def main(folder: Path, url: str, procedure: str, point: str) -> None:
    met: Counter[str] = Counter()

    def die(here: str) -> None:
        met[here] += 1
        if f"{here} {met[here]}" == point:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()

    append, act = ChainFile.append, RedisEffector.act

    def dying_append(self: ChainFile, body: Mapping[str, Any], is_synced: bool) -> None:
        die(f"before {body['kind']}")
        append(self, body, is_synced)
        die(f"after {body['kind']}")

    async def dying_act(
        self: RedisEffector, action: Action, values: Mapping[str, Any], step: Step
    ) -> Receipt:
        die("before act")
        receipt = await act(self, action, values, step)
        die("after act")
        return receipt

    ChainFile.append = dying_append  # type: ignore[method-assign]  # this process is made to die in it
    RedisEffector.act = dying_act  # type: ignore[method-assign]  # it is made to die in it
    engine = Engine([redis_stack(url)], Mode.ARMED, folder, KIM, observe=False)
    done = threading.Event()

    def look() -> None:
        run = engine.run("op-4711")
        if run is not None and run.verdict is not None:
            done.set()

    engine.subscribe(look)
    engine.start()
    reason = SafeText("killed at a point of its choice")
    engine.submit(Intent("op-4711", "tiny", procedure, KIM, reason, seen=0, via="screen", phrase="GO"))
    done.wait(20)
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
