"""``controlroom drill``: a procedure for practice, in a demo world of its own, timed and kept on record."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends import VERSION
from backends.config import Config
from backends.engine import Engine, Mode
from backends.journal.drills import RECORDS
from backends.journal.identity import identify
from backends.model.procedure import Procedure, RiskClass, Run
from backends.model.stack import Stack
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of
from backends.state_folder import open_file
from tui.commands.demo import demo_world
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.planned import ASKED, LONGEST, Attendant, begun, hold, intent_of, silent
from tui.commands.progress import conclude, follow, say
from tui.commands.room import need_terminal
from tui.commands.run_options import RunOptions, params_of
from tui.commands.session import Session, choose
from tui.commands.verdict import of_run


class Took(Struct, frozen=True):
    """A run that was practised; all times in seconds, ``confirmed`` of the engine's clock."""

    run: Run | None
    confirmed: float
    to_dialog: float | None = None
    """From the room's first frame to the dialog; None without a screen."""
    in_dialog: float | None = None
    """From the dialog to the confirmation."""


PRACTICE: Final = "drill in a demo world"


class Drill(Struct, frozen=True):
    """What to practise, and against which troubles."""

    stack: str
    procedure: str
    faults: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Procedures to be done before, untimed: most need a halt."""
    params: tuple[str, ...] = ()
    as_json: bool = False
    variant: str | None = None
    """The stack's generation; None for the one its file describes by itself."""
    on_screen: bool = False
    """A person practises in the room itself, against the clock."""


def practise(session: Session, wanted: Drill) -> ExitCode:
    """Run it in a fresh demo, print and record how long it took; the status is that of the run."""
    home = session.config()
    if home.watch:
        say("REFUSED: this room only watches")
        return ExitCode.FORBIDDEN
    if wanted.on_screen:
        need_terminal()
        if wanted.first or wanted.params or wanted.as_json:
            raise UsageError("--screen goes without --first, --param and --json: you do it yourself")
    options = [word for name in wanted.faults for word in ("--fault", name)]
    if wanted.variant is not None:
        options += ["--variant", wanted.variant]
    with demo_world([sys.executable, "-m", "backends.demo", wanted.stack, *options]) as path:
        config = replace(session, config_path=path, is_demo=True).config()
        # There is nobody else to ask in a demo.
        stack = replace(choose(config, wanted.stack)[0], is_single_operator=True)
        procedures = [_procedure(stack, name) for name in (*wanted.first, wanted.procedure)]
        if wanted.on_screen:
            from tui.commands.drill_screen import by_hand

            held = by_hand(config, stack, procedures[-1], home.state_dir)
            if isinstance(held, ExitCode):
                say(f"{wanted.procedure} was not run to a verdict: no drill is on record")
                return held
            took = held
        else:
            took = _by_itself(config, stack, procedures, wanted)
    run = took.run
    record = _record(wanted, procedures[-1], took)
    conclude(run, procedures[-1], stack, LONGEST, as_json=wanted.as_json)
    _keep(home.state_dir / RECORDS, record)
    if not wanted.as_json:
        say(f"Drill: {_in_words(record)}; kept in {home.state_dir / RECORDS}")
    return of_run(run, Mode.ARMED)


def _by_itself(config: Config, stack: Stack, procedures: Sequence[Procedure], wanted: Drill) -> Took:
    """The last of them, done without a screen."""
    engine, changed = begun(config, stack, observe=True)
    runs: list[Took] = []
    try:
        engine.wait_answered(ASKED, stack.id)
        for procedure in procedures:
            runs.append(_once(engine, changed, stack, procedure, wanted))
    finally:
        engine.stop()
    return runs[-1]


def _in_words(record: Mapping[str, Any]) -> str:
    """How long each part took."""
    verdict = "never" if record["seconds"] is None else f"{record['seconds']:.2f} s"
    if record["to_dialog"] is None:
        return f"from the decision to the verdict {verdict}"
    return (
        f"the dialog after {record['to_dialog']:.1f} s, confirmed {record['in_dialog']:.1f} s later,"
        f" from there to the verdict {verdict}"
    )


def _once(
    engine: Engine, changed: threading.Event, stack: Stack, procedure: Procedure, wanted: Drill
) -> Took:
    is_last = procedure.id == wanted.procedure
    attests = tuple(step.id for step in procedure.steps)
    options = RunOptions(PRACTICE, wanted.params if is_last else (), attests=attests, is_dry=True)
    params, leave = params_of(procedure, options), threading.Event()
    if procedure.risk is not RiskClass.STOP:
        hold(engine, stack, procedure, params, leave, say if not wanted.as_json else silent)
        dry = intent_of(engine, stack, procedure, options, params)
        engine.submit(dry)
        plan = follow(engine, dry.id, changed, ASKED, quiet=True)
        typed = phrase_of(procedure, stack, params) or _live(engine, stack, procedure)
        options = replace(options, plan=plan.plan if plan is not None else None, confirm=typed)
    intent = intent_of(engine, stack, procedure, replace(options, is_dry=False), params)
    decided = engine.clock.now().mono
    engine.submit(intent)
    attend = Attendant(engine, stack, procedure, attests, leave)
    run = follow(engine, intent.id, changed, LONGEST, quiet=wanted.as_json, look=attend)
    return Took(run, decided)


def _live(engine: Engine, stack: Stack, procedure: Procedure) -> str | None:
    reading = engine.board(stack.id).readings.get(procedure.challenge or "")
    return None if reading is None or reading.value is None else word_of(reading.value)


def _procedure(stack: Stack, ident: str) -> Procedure:
    if ident not in stack.procedures:
        raise UsageError(f"{stack.id} has no procedure {ident!r}; it has {', '.join(stack.procedures)}")
    return stack.procedures[ident]


def _record(wanted: Drill, procedure: Procedure, took: Took) -> dict[str, Any]:
    run = took.run
    ended = None if run is None else run.ended
    return {
        "at": None if run is None else run.started.iso(),
        "stack": wanted.stack,
        "procedure": procedure.id,
        "class": procedure.risk.value,
        "faults": list(wanted.faults),
        "verdict": None if run is None or run.verdict is None else run.verdict.value,
        "rung": None if run is None else run.rung,
        "seconds": None if ended is None else round(ended.mono - took.confirmed, 3),
        "to_dialog": took.to_dialog,
        "in_dialog": took.in_dialog,
        "operator": identify().user,
        "version": VERSION,
    }


def _keep(file: Path, record: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = open_file(file, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(handle, "ab") as out:
            out.write(json.dumps(record).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UsageError(f"the drill could not be recorded in {file}: {error.strerror}") from None
