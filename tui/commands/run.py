"""``controlroom run``: one procedure by the engine's ordinary path, without a screen or a terminal.

A stop starts at once and asks nothing. Everything else, and every dry run, is ``tui.commands.planned``.
"""

from __future__ import annotations

import signal
import threading
import uuid
from difflib import get_close_matches

from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass, Run, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.stop_runner import QUIET
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.output import complain
from tui.commands.progress import conclude, follow, say, tell_step, watch
from tui.commands.run_options import RunOptions, params_of
from tui.commands.session import Session, choose, engine_of
from tui.commands.verdict import is_proved, of_run

LONGEST = 30.0
"""Seconds to wait for a stop's verdict; every step has its own, much shorter deadline."""

WATCHED = QUIET + 1.5
"""Seconds after a verdict in which the engine may take it back: its looks take a moment each."""

NO_REASON = "no reason given"

_UNHEARD = (
    signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT,
    # What holds a process where it stands: Ctrl+Z, and a terminal that takes nothing from the background.
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip


def run(session: Session, procedure: str | None, wanted: str | None, options: RunOptions) -> ExitCode:
    """Run the procedure and print its steps as they go, then the verdict; or print its dry run.

    A stop is then watched for some seconds, unless the options say otherwise: the status is that of the end.
    """
    config = session.config(stop=wanted or "")
    stack = only(choose(config, wanted))
    what = _procedure(stack, procedure)
    if config.wrong and (options.is_dry or what.risk is not RiskClass.STOP):
        raise UsageError(config.wrong[0])
    if options.is_dry:
        from tui.commands.planned import dry_run

        return dry_run(config, stack, what, options)
    if what.risk is not RiskClass.STOP:
        from tui.commands.planned import run_planned

        return run_planned(config, stack, what, options)
    params = params_of(what, options)
    # From here on nothing short of SIGKILL keeps the stop from its end; it is bounded by its deadlines.
    for number in _UNHEARD:
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
    for wrong in config.wrong:
        complain(f"the stop goes without this: {wrong}")
        engine.record("without", stack.id, what.id, f"the stop goes without this: {wrong}")
    first = follow(engine, intent.id, changed, LONGEST, quiet=options.as_json)
    if not options.as_json:
        conclude(first, what, stack, LONGEST, as_json=False)
    final = first
    if options.watches and first is not None and first.verdict not in (None, Verdict.REFUSED):
        final = watch(engine, first, changed, WATCHED)
        if not options.as_json:
            _tell_end(first, final, what, stack)
    # A verdict that was taken back is followed by the ways that were left out; that is waited for.
    engine.stop()
    last = engine.run(intent.id) or final
    if options.as_json:
        conclude(last, what, stack, LONGEST, as_json=True)
    elif last is not None:
        _tell_more(final, last)
        if final is None or last.verdict is not final.verdict:
            conclude(last, what, stack, LONGEST, as_json=False)
    return of_run(last, engine.mode)


def _tell_more(known: Run | None, last: Run) -> None:
    """The steps that have come further since."""
    states = {} if known is None else {was.step: was.state for was in known.steps}
    for result in last.steps:
        if result.state is not states.get(result.step, StepState.PENDING):
            tell_step(result)


def _tell_end(first: Run, final: Run, what: Procedure, stack: Stack) -> None:
    """Whether the verdict still is what it was."""
    if final.verdict is not first.verdict:
        conclude(final, what, stack, LONGEST, as_json=False)
    elif is_proved(final):
        say(f"It stood for {QUIET:.0f} s.")
    else:
        say(f"Tried for {QUIET:.0f} s more; no better.")


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
        close = get_close_matches(ident, stack.procedures, 1)
        meant = f"; did you mean {close[0]}?" if close else f"; it has {known}"
        raise UsageError(f"{stack.id} has no procedure {ident!r}{meant}")
    return found
