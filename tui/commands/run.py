"""``controlroom run``: one stop procedure by the engine's ordinary path, without a screen or a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import uuid
from typing import Any

from backends.engine import Engine, Mode
from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass, Run, StepState
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.session import Session, choose, engine_of
from tui.commands.verdict import of_run

LONGEST = 30.0
"""Seconds to wait for a verdict; every step has its own, much shorter deadline."""

NO_REASON = "no reason given"


def run(session: Session, procedure: str, wanted: str | None, reason: str, *, as_json: bool) -> ExitCode:
    """Run the procedure and print its steps as they go, then the verdict."""
    config = session.config()
    stack = _only(choose(config, wanted))
    what = _stop_procedure(stack, procedure)
    if what is None:
        _say(f"{stack.id}: {procedure} is not a stop; the command line runs only what stops trading")
        return ExitCode.FORBIDDEN
    # From here on nothing short of SIGKILL keeps the stop from its end; it is bounded by its deadlines.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    engine = engine_of(config, (stack,), observe=False)
    changed = threading.Event()
    engine.subscribe(changed.set)
    engine.start()
    intent = Intent(
        id=str(uuid.uuid4()),
        stack=stack.id,
        procedure=what.id,
        operator=engine.operator,
        reason=SafeText(reason or NO_REASON, 400),
        seen=0,
        via="cli",
    )
    engine.submit(intent)
    final = _follow(engine, intent.id, changed, quiet=as_json)
    engine.stop()
    _conclude(final, what, stack, as_json=as_json)
    return of_run(final, engine.mode)


def _only(stacks: tuple[Stack, ...]) -> Stack:
    if len(stacks) > 1:
        raise UsageError(f"say which stack: --stack {' or '.join(stack.id for stack in stacks)}")
    return stacks[0]


def _stop_procedure(stack: Stack, ident: str) -> Procedure | None:
    """The procedure if it is a stop, None if it is another class; UsageError when there is none."""
    found = stack.procedures.get(ident)
    if found is None:
        known = ", ".join(p.id for p in stack.procedures.values() if p.risk is RiskClass.STOP) or "none"
        raise UsageError(f"{stack.id} has no procedure {ident!r}; it can stop by: {known}")
    return found if found.risk is RiskClass.STOP else None


def _follow(engine: Engine, operation: str, changed: threading.Event, *, quiet: bool) -> Run | None:
    """Print each step's changes until the verdict; the run as it stands when the wait ends."""
    deadline = time.monotonic() + LONGEST
    shown: dict[str, StepState] = {}
    while True:
        current = engine.run(operation)
        if current is not None and not quiet:
            for result in current.steps:
                if shown.get(result.step, StepState.PENDING) is not result.state:
                    shown[result.step] = result.state
                    receipt = "" if result.receipt is None else str(result.receipt.text)
                    detail = str(result.evidence or receipt)
                    _say(f"  {result.state.value:<13}{result.title}{f': {detail}' if detail else ''}")
        if current is not None and current.verdict is not None:
            return current
        left = deadline - time.monotonic()
        if left <= 0:
            return current
        changed.wait(min(left, 0.1))
        changed.clear()


def _conclude(run: Run | None, procedure: Procedure, stack: Stack, *, as_json: bool) -> None:
    if as_json:
        _say(json.dumps(run_data(run), indent=2, ensure_ascii=False))
        return
    if run is None or run.verdict is None:
        _say(f"NO VERDICT within {LONGEST:.0f} s: trading on {stack.id} may go on.")
    else:
        _say(f"{run.verdict.value}: {run.sentence}")
        if run.journal_degraded:
            _say("The journal could not be written; the stop went ahead without it.")
    if of_run(run, Mode.ARMED) not in (ExitCode.VERIFIED, ExitCode.FALLBACK):
        _say(f"By hand: {procedure.fallback}")


def run_data(run: Run | None) -> dict[str, Any]:
    """A run as plain data; its verdict is null when none was reached."""
    if run is None:
        return {"verdict": None, "steps": []}
    return {
        "operation": run.operation,
        "stack": run.stack,
        "procedure": run.procedure,
        "verdict": None if run.verdict is None else run.verdict.value,
        "sentence": str(run.sentence),
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


def _say(line: str) -> None:
    """Print if there is still somebody to read it; a stop does not depend on that."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        # Nobody reads any more. What is still buffered must not fail again at exit and spoil its status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
