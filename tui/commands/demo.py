"""``controlroom demo``: simulated stacks, each in a process of its own, and the room on them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from msgspec.structs import replace

from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.room import open_room
from tui.commands.session import Session

GRACE = 10.0
"""Seconds the demo may take to put its servers away."""

_DEMO: Final = (sys.executable, "-m", "backends.demo")

_PR_SET_PDEATHSIG = 1


def demo(session: Session, stack: str, options: Sequence[str], *, headless: bool) -> int:
    """Run the room on the demo; headless, become the demo itself. ``options`` go to ``backends.demo``."""
    argv = [*_DEMO, stack, *options]
    if headless:
        os.execv(sys.executable, argv)  # noqa: S606 # our own interpreter on our own module
    with demo_world(argv) as config:
        return open_room(replace(session, config_path=config, is_demo=True), stack)


def demo_all(session: Session, options: Sequence[str], *, headless: bool) -> int:
    """Run the room on every stack that can be simulated, each in a process of its own.

    Headless, print one line with a list, an object a stack as a single demo prints it and ``together``,
    the config file with all of them, and serve until SIGTERM.
    """
    from backends.demo.world import STACKS

    with (
        _worlds([[*_DEMO, stack, *options] for stack in STACKS]) as told,
        tempfile.TemporaryDirectory(prefix="controlroom-demos-") as folder,
    ):
        config = Path(folder) / "config.toml"
        config.touch(mode=0o600)
        texts = [Path(about["config"]).read_text() for about in told]
        config.write_text(merged(texts, Path(folder) / "state"))
        if not headless:
            return open_room(replace(session, config_path=config, is_demo=True))
        sys.stdout.write(json.dumps([{**about, "together": str(config)} for about in told]) + "\n")
        sys.stdout.flush()
        _wait_for_end()
        return ExitCode.VERIFIED


def merged(configs: Sequence[str], state: Path) -> str:
    """One config file of several demos': their stacks, and one place for the room's own state."""
    stacks = [text[text.index("[stack.") :].strip() for text in configs]
    return "\n\n".join([f"[room]\nstate_dir = {json.dumps(str(state))}", *stacks]) + "\n"


@contextmanager
def demo_world(argv: Sequence[str]) -> Iterator[Path]:
    """The path of the config file of a running demo, which ends with the block."""
    with _worlds([argv]) as told:
        yield Path(told[0]["config"])


@contextmanager
def _worlds(argvs: Sequence[Sequence[str]]) -> Iterator[list[dict[str, Any]]]:
    """What each running demo told of itself; all are started at once, and end with the block."""
    sys.stderr.write("Starting the demo: Redis, PostgreSQL, the services and their containers…\n")
    with ExitStack() as running:
        started = [running.enter_context(_process(argv)) for argv in argvs]
        yield [_told(child, complaints) for child, complaints in started]
        # Asked before they are waited for, so that all end at once.
        for child, _ in started:
            child.terminate()


@contextmanager
def _process(argv: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
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
            yield child, complaints
        finally:
            child.terminate()
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _told(child: subprocess.Popen[bytes], complaints: IO[bytes]) -> dict[str, Any]:
    line = b"" if child.stdout is None else child.stdout.readline()
    if not line:
        child.wait(GRACE)
        complaints.seek(0)
        told = complaints.read()[-2000:].decode("utf-8", "replace").strip()
        raise UsageError(f"the demo did not start: {told or f'it ended with {child.returncode}'}")
    return dict(json.loads(line))


def _wait_for_end() -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def _end_with_parent() -> Callable[[], None]:
    """The kernel ends the demo when the room is killed, so that no server is left behind."""
    prctl = ctypes.CDLL(None).prctl
    number = int(signal.SIGTERM)

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask_kernel
