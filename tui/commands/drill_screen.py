"""A drill on the screen: a person sees the trouble in the room itself, decides, confirms; the clock runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backends.config import Config
from backends.journal.drills import DrillBook
from backends.model.procedure import Procedure
from backends.model.stack import Stack
from tui.app import ControlRoom
from tui.commands.drill import Took
from tui.commands.exitcode import ExitCode
from tui.commands.progress import say
from tui.commands.room import get_ready, let_end
from tui.commands.session import engine_of
from tui.desk import Desk

TOLD_FOR: Final = 60.0
"""Seconds the room says what is practised."""


def by_hand(config: Config, stack: Stack, procedure: Procedure, state: Path) -> Took | ExitCode:
    """Show the room until the operator leaves; the first run of the procedure and how long each part of it
    took, or the status of a room that crashed or was left without one. ``state`` holds the records of earlier
    drills."""
    get_ready()
    engine = engine_of(config, (stack,), is_room=True)
    desk, seen = Desk(engine.operator), engine.clock.now()

    def begin() -> None:
        nonlocal seen
        engine.start()
        seen = engine.clock.now()
        app.say(f"DRILL of {procedure.id}, timed from now; press q to end it", "state-warn", TOLD_FOR)

    app = ControlRoom(
        engine,
        theme=config.theme,
        demo_control=config.demo_control,
        desk=desk,
        drills=DrillBook(state),
        on_first_frame=begin,
    )
    try:
        app.run()
    finally:
        for text in let_end(engine):
            say(text)
    runs = [run for run in engine.board(stack.id).runs if run.procedure == procedure.id and not run.room]
    run = min(runs, key=lambda run: run.started.mono, default=None)
    asked = None if run is None else desk.when_asked(run)
    if app.return_code:
        return ExitCode.FAULT
    if run is None or asked is None:
        return ExitCode.PRECONDITION
    return Took(
        run, run.started.mono, round(asked.mono - seen.mono, 3), round(run.started.mono - asked.mono, 3)
    )
