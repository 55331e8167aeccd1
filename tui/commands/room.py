"""``controlroom`` and ``controlroom watch``: the screen on a running engine."""

from __future__ import annotations

import os
import sys

from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.session import Session, choose, engine_of

_TOO_DUMB = ("", "dumb", "unknown")


def open_room(session: Session, wanted: str | None = None) -> int:
    """Show the room until the operator leaves; the exit status, which is not zero after a crash."""
    config = session.config()
    stacks = choose(config, wanted)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the room needs a terminal; without one use `controlroom status` or `controlroom run halt`"
        )
    if os.environ.get("TERM", "") in _TOO_DUMB:
        raise UsageError(
            f"TERM={os.environ.get('TERM', '')} cannot show the room; set TERM, or use `controlroom status`"
            " or `controlroom run halt`"
        )
    from tui.app import ControlRoom

    engine = engine_of(config, stacks)
    app = ControlRoom(engine, theme=config.theme, demo_control=config.demo_control)
    engine.start()
    engine.welcome(config.digest)
    try:
        app.run()
    finally:
        engine.stop()
    return ExitCode.FAILED if app.return_code is None else app.return_code
