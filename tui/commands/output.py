"""How a command writes to standard output, whoever reads it or has stopped to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def answer(text: str) -> None:
    """Print what was asked for. A reader that has seen enough, as ``head``, changes no status; a full disk
    raises OSError: the answer is not there.
    """
    try:
        write(text)
    except BrokenPipeError:
        write_no_more()


def write(text: str) -> None:
    """Print at once. Raises OSError."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_no_more() -> None:
    """Nobody reads any more. What is still buffered must not fail again at exit and spoil its status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """One line on standard error, if there is still somebody to read it."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"controlroom: {text}\n")
        sys.stderr.flush()
