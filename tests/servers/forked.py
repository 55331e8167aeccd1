"""Commands of the program, each in a fork of a process that has loaded what they need.

What they load is the same for all and takes longer than most of them do. How a process begins, what others
see of it and what it loads are matters for a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Final

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.servers.loaded"])


def prepare() -> None:
    """Begin what is forked. An app in this process takes its streams away, and it cannot begin without."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()


def run_forked(
    arguments: Sequence[str], env: Mapping[str, str], folder: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """The ended ``controlroom ARGUMENTS``, run in ``folder`` without a terminal; TimeoutExpired when it
    went on for longer than ``seconds``."""
    with tempfile.TemporaryDirectory() as home:
        said = [Path(home) / "stdout", Path(home) / "stderr"]
        process = _CONTEXT.Process(target=_begin, args=(list(arguments), dict(env), folder, said))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), seconds, *(each.read_bytes() for each in said))
        texts = [each.read_text() for each in said]
        return subprocess.CompletedProcess(list(arguments), process.exitcode, *texts)


def _begin(arguments: list[str], env: dict[str, str], folder: Path, said: list[Path]) -> None:
    from tui.cli import program  # loaded there, and not where the tests run

    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, name in enumerate([Path(os.devnull), *said]):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["controlroom", *arguments]
    program()
