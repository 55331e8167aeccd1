"""The end of the program when it fails: where, never with which values, and no core file."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import threading
import traceback
from types import TracebackType

from backends.journal.redact import Redactor
from backends.model.safetext import SafeText
from tui.commands.exitcode import ExitCode

SECRETS = Redactor()
"""What is masked in the message of a crash; the configuration's secrets are registered as it is read."""


def harden() -> None:
    """No core dumps, every uncaught exception is printed without variables or messages of others, and a sign
    that the terminal's encoding lacks is written otherwise: it must not end the process that stops trading.
    Nor must a stream that whoever started us has closed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Each takes the lowest number that is free, its own: no journal and no connection gets it.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 # for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # One byte: none does not hold back what the kernel pipes to a program (systemd-coredump, apport), and
    # this does. Nor does it write a file of one byte. Where none is the most, none it stays.
    for most in (1, 0):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (most, most))
            break
    sys.excepthook = report
    threading.excepthook = lambda args: report(args.exc_type, args.exc_value, args.exc_traceback)


def report(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """To stderr: the places the exception passed, its type and its message without secrets."""
    lines = [
        "controlroom: a fault in the program. What it was doing may be half done: `controlroom status` tells."
    ]
    for frame in traceback.extract_tb(trace):
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    lines.append(f"  {kind.__module__}.{kind.__qualname__}: {SECRETS.text(str(error))}")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("\n".join(SafeText(line) for line in lines) + "\n")


def crashed(error: BaseException) -> ExitCode:
    """Report and give the exit status of a crash."""
    report(type(error), error, error.__traceback__)
    return ExitCode.FAULT
