"""``controlroom`` and ``controlroom watch``: the screen on a running engine."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from backends.engine import Engine
from backends.model.procedure import RiskClass, Verdict
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.progress import say
from tui.commands.session import Session, choose, engine_of
from tui.desk import fate

SWITCH = 0.001
"""Seconds a busy thread may keep the others waiting. Between a key and its effect three threads take turns,
and Python's five milliseconds each time are what a flood of logs would cost a stop."""

_ARENA_MAX = -8
"""glibc's name for the heaps that threads may have."""

_TOO_DUMB = ("", "dumb", "unknown")


def open_room(session: Session, wanted: str | None = None) -> int:
    """Show the room until the operator leaves; the exit status, which is not zero after a crash."""
    config = session.config()
    stacks = choose(config, wanted)
    need_terminal()
    get_ready()
    from backends.journal.drills import DrillBook
    from tui.app import ControlRoom

    engine = engine_of(config, stacks, is_room=True)

    def begin() -> None:
        share_heap()
        engine.start()
        engine.welcome(config.digest)

    app = ControlRoom(
        engine,
        theme=config.theme,
        demo_control=config.demo_control,
        drills=DrillBook(config.state_dir),
        on_first_frame=begin,
    )
    try:
        app.run()
    finally:
        for text in (*let_end(engine), *left_undone(engine)):
            say(text)
    return ExitCode.FAULT if app.return_code is None else app.return_code


def need_terminal() -> None:
    """UsageError where the room cannot be shown."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the room needs a terminal; without one use `controlroom status` or `controlroom run halt`"
        )
    if os.environ.get("TERM", "") in _TOO_DUMB:
        raise UsageError(
            f"TERM={os.environ.get('TERM', '')} cannot show the room; set TERM, or use `controlroom status`"
            " or `controlroom run halt`"
        )


def get_ready() -> None:
    """Make this process one that shows a room."""
    gc.disable()  # until the room stands: start-up makes much and drops little
    sys.setswitchinterval(SWITCH)


def share_heap() -> None:
    """Have all threads that begin from now on share one heap, where the C library can: with one for each,
    what the engine's many leave unused is one or two megabytes."""
    with suppress(ImportError, AttributeError, OSError, TypeError):
        import ctypes  # not before the first frame, and not in every Python

        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def let_end(engine: Engine) -> list[str]:
    """Stop the engine, which waits for what is under way and was confirmed; the verdicts of that, in words.
    Whoever waits for it at a prompt is told so, and may end with Ctrl+C what is no stop."""
    waited = engine.at_work()
    for run in waited:
        ends = "" if run.risk is RiskClass.STOP else " (Ctrl+C: send nothing more)"
        say(f"{run.stack}: {run.title} is running and {fate(run)}{ends}")
    try:
        engine.stop()
    except KeyboardInterrupt:
        for run in waited:
            engine.interrupt(run.stack, run.operation)
        engine.stop()
    ended = (engine.run(run.operation) or run for run in waited)
    return [f"{run.stack}: {run.title}: {run.sentence or 'no verdict'}" for run in ended]


def left_undone(engine: Engine) -> list[str]:
    """For each stop whose newest run here was not proved: that, and the commands, to be copied."""
    lines: list[str] = []
    for stack in engine.stacks:
        stops = [run for run in engine.board(stack.id).runs if run.risk is RiskClass.STOP and not run.room]
        newest = {run.procedure: run for run in reversed(stops)}
        for run in newest.values():
            procedure = stack.procedures.get(run.procedure)
            if procedure is not None and run.verdict not in (Verdict.VERIFIED, Verdict.ALREADY):
                lines += [f"{stack.id}: {procedure.title} was not proved.", procedure.fallback]
    return lines
