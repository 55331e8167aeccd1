"""A room that halts trading on a real Redis and is killed, by SIGKILL, at one point of its choice.

Run as a program: folder, URL of the Redis, point. The points are the boundaries of a run's steps.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.engine import Engine, Mode
from backends.journal.chain_file import ChainFile
from backends.model.action import Action
from backends.model.intent import Intent
from backends.model.procedure import Receipt, Step
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.writers.redis import RedisEffector
from tests.building import KILL, redis_source, stack
from tests.sim.world import HALT, KIM, RUNG_1

POINTS = (
    "before intent", "after intent", "before act", "after act", "before step", "after step",
    "before outcome", "after outcome",
)  # fmt: skip


def redis_stack(url: str) -> Stack:
    """One switch in one Redis, one way to it."""
    plain = stack()
    gates = tuple(gate for gate in plain.gates if gate.fact == KILL.id)
    return replace(
        plain, sources={"redis": redis_source(url)}, services=(), facts={KILL.id: KILL}, gates=gates,
        echoes=(), alarms=(), procedures={"halt": replace(HALT, steps=(RUNG_1,))},
    )  # fmt: skip


def die(here: str, point: str) -> None:
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()


def main(folder: Path, url: str, point: str) -> None:
    append, act = ChainFile.append, RedisEffector.act

    def dying_append(self: ChainFile, body: Mapping[str, Any], is_synced: bool) -> None:
        die(f"before {body['kind']}", point)
        append(self, body, is_synced)
        die(f"after {body['kind']}", point)

    async def dying_act(
        self: RedisEffector, action: Action, values: Mapping[str, Any], step: Step
    ) -> Receipt:
        die("before act", point)
        receipt = await act(self, action, values, step)
        die("after act", point)
        return receipt

    ChainFile.append = dying_append  # type: ignore[method-assign]  # this process is made to die in it
    RedisEffector.act = dying_act  # type: ignore[method-assign]  # likewise
    engine = Engine([redis_stack(url)], Mode.ARMED, folder, KIM, observe=False)
    done = threading.Event()

    def look() -> None:
        run = engine.run("op-4711")
        if run is not None and run.verdict is not None:
            done.set()

    engine.subscribe(look)
    engine.start()
    engine.submit(Intent("op-4711", "tiny", "halt", KIM, SafeText("crash test"), seen=0, via="cli"))
    done.wait(20)
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
