"""``controlroom demo``: the simulated stack in a process of its own, and the room on it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from tui.commands.exitcode import UsageError
from tui.commands.room import open_room
from tui.commands.session import Session

GRACE = 10.0
"""Seconds the demo may take to put its servers away."""

_PR_SET_PDEATHSIG = 1


def demo(session: Session, stack: str, options: Sequence[str], *, headless: bool) -> int:
    """Run the room on the demo; headless, become the demo itself. ``options`` go to ``backends.demo``."""
    argv = [sys.executable, "-m", "backends.demo", stack, *options]
    if headless:
        os.execv(sys.executable, argv)  # noqa: S606 # our own interpreter on our own module
    with demo_world(argv) as config:
        return open_room(replace(session, config_path=config, is_demo=True), stack)


@contextmanager
def demo_world(argv: Sequence[str]) -> Iterator[Path]:
    """The path of the config file of a running demo, which ends with the block."""
    sys.stderr.write("Starting the demo: Redis, PostgreSQL, the services and their containers…\n")
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(  # noqa: S603 # our own interpreter on our own module
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            # Not the terminal's business: Ctrl+C and hang-ups are for the room, which ends it in order.
            start_new_session=True,
            # One prepared system call and no lock: harmless, and no thread runs yet.
            preexec_fn=_end_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        try:
            yield _config_of(child, complaints)
        finally:
            child.terminate()
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _config_of(child: subprocess.Popen[bytes], complaints: IO[bytes]) -> Path:
    line = b"" if child.stdout is None else child.stdout.readline()
    if not line:
        child.wait(GRACE)
        complaints.seek(0)
        told = complaints.read()[-2000:].decode("utf-8", "replace").strip()
        raise UsageError(f"the demo did not start: {told or f'it ended with {child.returncode}'}")
    return Path(json.loads(line)["config"])


def _end_with_parent() -> Callable[[], None]:
    """The kernel ends the demo when the room is killed, so that no server is left behind."""
    prctl = ctypes.CDLL(None).prctl
    number = int(signal.SIGTERM)

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask_kernel
