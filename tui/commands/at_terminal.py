"""Whoever sits at the terminal of a command, asked while it runs."""

from __future__ import annotations

import os
import sys
import termios
import threading
from contextlib import suppress


class AtTerminal:
    """Asks for one step at a time. What was typed before it was asked confirms nothing."""

    def __init__(self) -> None:
        self._asked = ""
        self._typed: list[str] = []

    def confirms(self, step: str, text: str) -> bool:
        """Whether they have typed its name since it was asked; asks the first time. Returns at once."""
        if step != self._asked:
            is_first, self._asked = not self._asked, step
            with suppress(OSError, termios.error):
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
                # Standard output may be a program's, which reads the run there.
                sys.stderr.write(f"It waits for you: {text}\nType {step} and Enter once it is so.\n")
                sys.stderr.flush()
            self._typed.clear()
            if is_first:
                threading.Thread(target=self._read, daemon=True).start()
        return step in self._typed

    def _read(self) -> None:
        # Past the buffer of ``sys.stdin``: Python cannot end while a thread waits inside it.
        with suppress(OSError):
            while line := os.read(sys.stdin.fileno(), 4096):
                self._typed.append(line.decode(errors="replace").strip())


def is_there() -> bool:
    """Whether somebody can be asked: a command in the background is stopped when it asks."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
