"""How a command writes to standard output, whoever reads it or has stopped to."""

from __future__ import annotations

import codecs
import json
import os
import sys
from contextlib import suppress
from typing import Any


def answer(text: str) -> None:
    """Print what was asked for. A reader that has seen enough, as ``head``, changes no status; a full disk
    raises OSError: the answer is not there.
    """
    try:
        write(text)
    except BrokenPipeError:
        write_no_more()


def document(data: Any) -> str:
    """Data as JSON in UTF-8: where standard output writes otherwise, in the signs that both have."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    return json.dumps(data, indent=2, ensure_ascii=not is_utf8, allow_nan=False)


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
