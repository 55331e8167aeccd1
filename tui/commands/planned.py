"""Dry runs of every procedure, and real runs of those that are held to one: never in the way of a stop."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final

from msgspec.structs import replace

from backends.config import Config
from backends.engine import Engine, Mode
from backends.model.action import Attest
from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass, Run, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import Weighed, weigh
from backends.procedures.conditions import Holding, filled
from backends.procedures.confirm import PLANNED, REASON, phrase_of, seen_on, typed_wrong
from backends.procedures.sequence_runner import acts
from tui.commands.at_terminal import AtTerminal, is_there
from tui.commands.dry_report import DryReport, is_soon, objections
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.progress import conclude, follow, not_begun, present, say
from tui.commands.run_options import RunOptions, params_of
from tui.commands.session import engine_of
from tui.commands.verdict import of_run

ASKED: Final = 15.0
"""Seconds for every source to answer once before something is decided."""

LONGEST: Final = 1800.0
"""Seconds to wait for a verdict; every step has its own, much shorter deadline."""

MARGIN: Final = 2.0
"""Seconds to look longer than demanded: the engine's own look began a little later than ours."""


def dry_run(config: Config, stack: Stack, procedure: Procedure, options: RunOptions) -> ExitCode:
    """Print what would be done, what stands against it, and the hash a real run is held to.

    VERIFIED when it could start now, PRECONDITION when it would be refused.
    """
    params = params_of(procedure, options)
    engine, changed = begun(config, stack, observe=True)
    try:
        engine.wait_answered(ASKED, stack.id)
        intent = intent_of(engine, stack, procedure, options, params)
        engine.submit(intent)
        run = follow(engine, intent.id, changed, ASKED, quiet=True)
        if run is None or run.verdict is not Verdict.DRY_RUN:
            conclude(run, procedure, stack, ASKED, as_json=options.as_json)
            return of_run(run, engine.mode)
        weighed = _weighed(engine, stack, procedure, params)
        is_asked = procedure.needs_approval and not stack.is_single_operator and engine.mode is not Mode.WATCH
        is_told = len(intent.reason.strip()) >= REASON
        may_ask = is_asked and is_told and not objections(run, weighed)
        report = DryReport(
            stack, procedure, run, engine.board(stack.id), engine.clock.now(),
            weighed=weighed,
            phrase=phrase_of(procedure, stack, params),
            approval=_ask(engine, procedure, intent, run) if may_ask else None,
            lacks_reason=is_asked and not is_told,
        )  # fmt: skip
    finally:
        engine.stop(grace=0.0)
    present(report.json() if options.as_json else report.text())
    return ExitCode.PRECONDITION if report.blockers else ExitCode.VERIFIED


def run_planned(config: Config, stack: Stack, procedure: Procedure, options: RunOptions) -> ExitCode:
    """Run what is no stop, held to a dry run where its class demands it; print the verdict."""
    params = params_of(procedure, options)
    _complete(stack, procedure, options, params)
    leave = threading.Event()
    heed_signals(procedure.risk, leave)
    engine, changed = begun(config, stack, observe=not config.watch)
    intent: Intent | None = None
    final: Run | None = None
    try:
        if engine.mode is Mode.ARMED:
            engine.wait_answered(ASKED, stack.id)
            asked = intent_of(engine, stack, procedure, options, params)
            is_in_vain = asked.plan is not None and not engine.is_shown(asked.plan)
            if not is_in_vain and not any(typed_wrong(asked, procedure, stack, {})):
                hold(engine, stack, procedure, params, leave, say if not options.as_json else silent)
        if not leave.is_set():
            intent = intent_of(engine, stack, procedure, options, params)
            engine.submit(intent)
            person, promised = AtTerminal() if is_there() else None, _promised(procedure, options)
            attend = Attendant(engine, stack, procedure, promised, leave, person)
            final = follow(engine, intent.id, changed, LONGEST, quiet=options.as_json, look=attend)
    finally:
        if intent is not None and (final is None or final.verdict is None):
            # Sends nothing more, and reads back what was sent.
            engine.interrupt(stack.id, intent.id)
        engine.stop()
    if intent is None:
        not_begun("Interrupted before anything was sent.", as_json=options.as_json)
        return ExitCode.PRECONDITION
    final = engine.run(intent.id) or final
    conclude(final, procedure, stack, LONGEST, as_json=options.as_json)
    if final is not None and final.verdict is Verdict.REFUSED and engine.mode is Mode.ARMED:
        return ExitCode.CONFLICT if _drifted(final, options) else ExitCode.PRECONDITION
    return of_run(final, engine.mode)


def heed_signals(risk: RiskClass, leave: threading.Event) -> None:
    """Set ``leave`` when this process is told to end. A lost line ends a restore alone, and not even that for
    whoever asked to be spared it, as nohup does.
    """
    ends = [signal.SIGINT, signal.SIGTERM]
    if risk is RiskClass.RESTORE and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    else:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in ends:
        signal.signal(number, lambda _number, _frame: leave.set())


class Attendant:
    """Stands by a run: gives the confirmations that were promised, asks ``person`` for the others, and lets
    go when told to leave."""

    def __init__(
        self,
        engine: Engine,
        stack: Stack,
        procedure: Procedure,
        attests: Iterable[str],
        leave: threading.Event,
        person: AtTerminal | None = None,
    ) -> None:
        self._engine = engine
        self._stack = stack
        self._texts = {s.id: s.action.text for s in procedure.steps if isinstance(s.action, Attest)}
        self._promised = set(attests)
        self._given = set[str]()
        self._leave = leave
        self._person = person

    def __call__(self, run: Run) -> bool:
        step = run.awaits
        if step is not None and step not in self._given:
            is_promised = step in self._promised
            if is_promised or (self._person is not None and self._person.confirms(step, self._texts[step])):
                self._given.add(step)
                self._engine.attest(self._stack.id, run.operation, step, is_promised=is_promised)
        return not self._leave.is_set()


def begun(config: Config, stack: Stack, *, observe: bool) -> tuple[Engine, threading.Event]:
    """An engine on the stack, started, and what it sets at every change."""
    engine = engine_of(config, (stack,), observe=observe)
    changed = threading.Event()
    engine.subscribe(changed.set)
    engine.start()
    return engine, changed


def _complete(stack: Stack, procedure: Procedure, options: RunOptions, params: dict[str, str]) -> None:
    """UsageError when something that has to be typed is missing; what is wrong with it the engine says."""
    again = f"controlroom run {procedure.id} --stack {stack.id} --dry-run"
    for param in procedure.params:
        if param.name not in params:
            how = f"--param-file {param.name}=PATH" if param.is_secret else f"--param {param.name}=VALUE"
            raise UsageError(f"{procedure.id} needs {how}")
    if procedure.risk in PLANNED and options.plan is None:
        raise UsageError(f"{procedure.id} needs the plan of a dry run: {again}, then --plan HASH")
    phrase = phrase_of(procedure, stack, params)
    if phrase is not None and options.confirm is None:
        raise UsageError(f"confirm by --confirm with exactly this: {phrase}")
    if procedure.risk is RiskClass.MARKET and procedure.challenge is not None and options.confirm is None:
        label = stack.facts[procedure.challenge].label
        raise UsageError(f"confirm by --confirm with the value that {label} has now; the dry run shows it")
    if procedure.needs_approval and not stack.is_single_operator and options.approval is None:
        raise UsageError(f"{procedure.id} needs a second person: {again} gives a code, then --approval CODE")
    waits = {step.id: step.action.text for step in procedure.steps if isinstance(step.action, Attest)}
    for name, text in waits.items():
        if name not in options.attests and not is_there():
            raise UsageError(f"it waits for a person to confirm: {text} Confirm by --attest {name}")


def _promised(procedure: Procedure, options: RunOptions) -> set[str]:
    """The steps that are confirmed beforehand. At a terminal none that follows what acts: only then there is
    something to look at, and somebody there to do it."""
    begun = takewhile(lambda step: not acts(step), procedure.steps)
    may_be = {step.id for step in (begun if is_there() else procedure.steps)}
    return may_be & {*options.attests}


def intent_of(
    engine: Engine, stack: Stack, procedure: Procedure, options: RunOptions, params: dict[str, str]
) -> Intent:
    """What the options ask for, with what is known now; the board must have been observed."""
    readings = engine.board(stack.id).readings
    is_market = procedure.risk is RiskClass.MARKET
    return Intent(
        id=str(uuid.uuid4()),
        stack=stack.id,
        procedure=procedure.id,
        operator=engine.operator,
        reason=SafeText(options.reason, 400),
        seen=engine.board(stack.id).seq,
        via="cli",
        params=params,
        challenge=options.confirm if is_market else None,
        phrase=None if is_market else options.confirm,
        plan=None if options.is_dry else options.plan,
        # The plan's hash covers these values: what is read now is what the dry run showed, or it is refused.
        shown=seen_on(procedure, stack, readings),
        approval=options.approval,
        is_dry=options.is_dry,
    )


def _weighed(
    engine: Engine, stack: Stack, procedure: Procedure, params: dict[str, str]
) -> tuple[Weighed, ...]:
    readings, now = engine.board(stack.id).readings, engine.clock.now()
    conditions = (filled(each, params) for each in procedure.requires)
    return tuple(weigh(each, stack.facts.get(each.fact), readings.get(each.fact), now) for each in conditions)


def hold(
    engine: Engine,
    stack: Stack,
    procedure: Procedure,
    params: dict[str, str],
    leave: threading.Event,
    tell: Callable[[str], None],
) -> None:
    """Observe until the preconditions have held, and stood, as long as demanded; at once when waiting alone
    does not help."""
    until = procedure.held_for + MARGIN if procedure.held_for > 0 else 0.0
    holding, told = Holding(), float("-inf")
    while not leave.is_set():
        weighed, now = _weighed(engine, stack, procedure, params), engine.clock.now()
        holding.note(procedure.id, weighed, now)
        lacks = max((each.lacks or 0.0 for each in weighed), default=0.0)
        left = max(until - holding.held(procedure.id, now), lacks)
        if left <= 0 or not all(map(is_soon, weighed)):
            return
        if told == float("-inf"):
            tell(f"Observing for {left:.0f} s that everything stays well; Ctrl+C leaves, nothing was sent.")
            told = time.monotonic()
        elif time.monotonic() - told >= 5.0:
            told = time.monotonic()
            tell(f"  waiting: {left:.0f} s to go, all {len(weighed)} preconditions well")
        leave.wait(0.5)


def _ask(engine: Engine, procedure: Procedure, intent: Intent, run: Run) -> str:
    """Ask a second person for this very plan and reason; the request's code."""
    secret = {param.name for param in procedure.params if param.is_secret}
    public = {name: value for name, value in intent.params.items() if name not in secret}
    try:
        return engine.approvals().request(replace(intent, params=public), run.plan).code
    except OSError as error:
        raise UsageError(f"the second person cannot be asked: {error.strerror}") from None


def _drifted(run: Run, options: RunOptions) -> bool:
    """Whether the situation is another one than that of the plan."""
    return bool(options.plan and run.plan and run.plan != options.plan)


def silent(_text: str) -> None:
    """Tell nobody."""
    return
