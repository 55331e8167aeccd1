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

TRIP = Step(
    "trip", "Trip the breaker",
    RedisTransition("redis", "circuit_breaker:state", "state", ("OPEN",), "TRIPPED"),
    (Proof(BREAKER.id, ("TRIPPED",)),),
)  # fmt: skip


def redis_stack(url: str) -> Stack:
    """One switch in one Redis, one way to it; and a procedure that closes that and another, in turn."""
    plain = stack()
    gates = tuple(gate for gate in plain.gates if gate.fact == KILL.id)
    halt = replace(HALT, steps=(RUNG_1,))
    both = replace(HALT, id="both", risk=RiskClass.ROUTINE, steps=(RUNG_1, TRIP))
    return replace(
        plain, sources={"redis": redis_source(url)}, services=(), gates=gates,
        facts={KILL.id: KILL, BREAKER.id: BREAKER},
        echoes=(), alarms=(), procedures={"halt": halt, "both": both},
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
    engine.submit(Intent("op-4711", "tiny", procedure, KIM, SafeText("crash test"), seen=0, via="screen"))
    done.wait(20)
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
