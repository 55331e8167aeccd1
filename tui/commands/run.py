"""``controlroom run``: one procedure by the engine's ordinary path, without a screen or a terminal.

A stop starts at once and asks nothing. Everything else, and every dry run, is ``tui.commands.planned``.
"""

from __future__ import annotations

import signal
import threading
import uuid

from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.progress import conclude, follow
from tui.commands.run_options import RunOptions, params_of
from tui.commands.session import Session, choose, engine_of
from tui.commands.verdict import of_run

LONGEST = 30.0
"""Seconds to wait for a stop's verdict; every step has its own, much shorter deadline."""

NO_REASON = "no reason given"


def run(session: Session, procedure: str | None, wanted: str | None, options: RunOptions) -> ExitCode:
    """Run the procedure and print its steps as they go, then the verdict; or print its dry run."""
    config = session.config()
    stack = only(choose(config, wanted))
    what = _procedure(stack, procedure)
    if options.is_dry:
        from tui.commands.planned import dry_run

        return dry_run(config, stack, what, options)
    if what.risk is not RiskClass.STOP:
        from tui.commands.planned import run_planned

        return run_planned(config, stack, what, options)
    params = params_of(what, options)
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
        reason=SafeText(options.reason or NO_REASON, 400),
        seen=0,
        via="cli",
        params=params,
    )
    engine.submit(intent)
    final = follow(engine, intent.id, changed, LONGEST, quiet=options.as_json)
    engine.stop()
    conclude(final, what, stack, LONGEST, as_json=options.as_json)
    return of_run(final, engine.mode)


def only(stacks: tuple[Stack, ...]) -> Stack:
    """The one stack; UsageError when it has to be said which."""
    if len(stacks) > 1:
        raise UsageError(f"say which stack: --stack {' or '.join(stack.id for stack in stacks)}")
    return stacks[0]


def _procedure(stack: Stack, ident: str | None) -> Procedure:
    known = ", ".join(stack.procedures) or "none"
    if ident is None:
        raise UsageError(f"say which procedure: {stack.id} has {known}")
    found = stack.procedures.get(ident)
    if found is None:
        raise UsageError(f"{stack.id} has no procedure {ident!r}; it has {known}")
    return found
