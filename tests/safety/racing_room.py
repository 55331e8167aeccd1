"""A room of its own process that halts, or resumes, the shipped kill switch of one Redis when it is told to.

Run as a program: folder, URL of the Redis. Each line it hears is a procedure, an operation and the epoch that
its operator has seen; it answers with the operation and its verdict.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.model.intent import Intent
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures import stop_runner
from backends.stacks.loader import built_in, load_stack
from tests.building import redis_source
from tests.contract.hurry import hurried
from tests.sim.world import KIM

GATE = "kill.state"
FACTS = (GATE, "kill.at", "kill.epoch")


def racing_stack(url: str) -> Stack:
    """Of trading-platform what its kill switch in Redis needs: the halt by its first way, and the resume."""
    whole = load_stack(built_in()["trading-platform"])
    halt, resume = whole.procedures["halt"], hurried(whole.procedures["resume"])
    # With time for a busy machine: who comes first is what is tested, not when.
    release = replace(
        resume.steps[-1], proof=tuple(each for each in resume.steps[-1].proof if each.fact in FACTS),
        connect=5.0, deadline=5.0,
    )  # fmt: skip
    return replace(
        whole, sources={"redis": redis_source(url)}, services=(), echoes=(), alarms=(), checks={},
        checklists={}, diagnoses={},
        facts={name: whole.facts[name] for name in FACTS},
        gates=tuple(gate for gate in whole.gates if gate.fact == GATE),
        procedures={
            "halt": replace(halt, steps=halt.steps[:1], quiet="", shows=()),
            "resume": replace(
                resume, steps=(release,), shows=(), needs_approval=False,
                requires=tuple(each for each in resume.requires if each.fact in FACTS),
            ),
        },
    )  # fmt: skip


def main(folder: Path, url: str) -> None:
    stop_runner.QUIET = 0.0  # type: ignore[misc]  # the next race begins when this one is decided
    stack = racing_stack(url)
    engine = Engine([stack], Mode.ARMED, folder, KIM, observe=False)
    changed = threading.Event()
    engine.subscribe(changed.set)
    engine.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        procedure, operation, epoch = line.split()
        phrase = f"RESUME {stack.id}" if procedure == "resume" else None
        engine.submit(
            Intent(
                operation, stack.id, procedure, KIM, SafeText("a race, once more"), 0, "screen",
                phrase=phrase, shown={"epoch": epoch},
            )
        )  # fmt: skip
        while (run := engine.run(operation)) is None or run.verdict is None:
            changed.wait(1.0)
            changed.clear()
        sys.stdout.write(f"{operation} {run.verdict.name} {run.sentence}\n")
        sys.stdout.flush()
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
