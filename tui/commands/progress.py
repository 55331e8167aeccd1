"""How a run is told on standard output: each step as it goes, then the verdict, or all of it as JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from backends.engine import Engine
from backends.model.procedure import Procedure, Run, StepResult, StepState
from backends.model.stack import Stack
from tui.commands.output import answer, document, write, write_no_more
from tui.commands.verdict import is_proved
from tui.crash import SECRETS

_NAMES = (
    "operation", "stack", "procedure", "class", "plan", "verdict", "sentence", "blockers", "rung", "started",
    "ended", "journal_degraded", "steps",
)  # fmt: skip


def follow(
    engine: Engine,
    operation: str,
    changed: threading.Event,
    longest: float,
    *,
    quiet: bool,
    look: Callable[[Run], bool] = lambda _: True,
) -> Run | None:
    """Print each step's changes until the verdict; the run as it stands when the wait ends.

    ``changed`` is set by the engine. ``look`` sees the run as it stands, and says False to end the wait.
    """
    deadline = time.monotonic() + longest
    shown: dict[str, StepState] = {}
    while True:
        current = engine.run(operation)
        if current is not None and not quiet:
            for result in current.steps:
                if shown.get(result.step, StepState.PENDING) is not result.state:
                    shown[result.step] = result.state
                    tell_step(result)
        if current is not None and (current.verdict is not None or not look(current)):
            return current
        left = deadline - time.monotonic()
        if left <= 0:
            return current
        changed.wait(min(left, 0.1))
        changed.clear()


def tell_step(result: StepResult) -> None:
    """How far a step has come, and by what it is known."""
    detail = str(result.evidence or ("" if result.receipt is None else result.receipt.text))
    say(f"  {result.state.value:<13}{result.title}{f': {detail}' if detail else ''}")


def watch(engine: Engine, run: Run, changed: threading.Event, seconds: float) -> Run:
    """The run as it stands after ``seconds``, or as soon as a proved verdict was taken back."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        changed.wait(min(left, 0.1))
        changed.clear()
        newest = engine.run(run.operation) or run
        if is_proved(run) and not is_proved(newest):
            return newest
        run = newest
    return run


def conclude(run: Run | None, procedure: Procedure, stack: Stack, longest: float, *, as_json: bool) -> None:
    """The verdict, and what to do by hand when it is not what was wanted."""
    if as_json:
        say(document(run_data(run)))
        return
    if run is None or run.verdict is None:
        say(f"NO VERDICT within {longest:.0f} s: {procedure.title} on {stack.id} may have been done or not.")
    else:
        verdict, sentence = run.verdict.value, str(run.sentence)
        say(sentence if sentence.startswith(f"{verdict}:") else f"{verdict}: {sentence}")
        if run.journal_degraded:
            say("The journal could not be written; the stop went ahead without it.")
    if run is None or not is_proved(run):
        by_hand = procedure.fallback.strip()
        say(by_hand if by_hand.lower().startswith("by hand") else f"By hand: {by_hand}")


def run_data(run: Run | None, why: str | None = None) -> dict[str, Any]:
    """A run as plain data; its verdict is null when none was reached. Without a run every name is there all
    the same, and ``why`` is its sentence."""
    if run is None:
        return dict.fromkeys(_NAMES) | {"sentence": why, "blockers": [], "steps": []}
    return {
        "operation": run.operation,
        "stack": run.stack,
        "procedure": run.procedure,
        "class": run.risk.value,
        "plan": run.plan,
        "verdict": None if run.verdict is None else run.verdict.value,
        "sentence": str(run.sentence),
        "blockers": [str(each) for each in run.blockers],
        "rung": run.rung,
        "started": run.started.iso(),
        "ended": None if run.ended is None else run.ended.iso(),
        "journal_degraded": run.journal_degraded,
        "steps": [
            {
                "id": result.step,
                "title": result.title,
                "state": result.state.value,
                "receipt": None if result.receipt is None else str(result.receipt.text),
                "evidence": None if result.evidence is None else str(result.evidence),
                "took": result.took,
            }
            for result in run.steps
        ],
    }


def not_begun(why: str, *, as_json: bool) -> None:
    """Nothing was run, and why."""
    say(document(run_data(None, why)) if as_json else why)


def present(text: str) -> None:
    """Print what was asked for, as ``answer`` does, without secrets."""
    answer(SECRETS.text(text))


def say(text: str) -> None:
    """Print if there is still somebody to read it; no run depends on that."""
    try:
        write(SECRETS.text(text))
    except OSError:
        write_no_more()
