"""A program under a pseudo-terminal: what it wrote, how it ended, what state it left the terminal in."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


class OnAPty:
    """Python source run as the foreground program of a terminal of 80x24."""

    def __init__(self, source: str) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.attributes = termios.tcgetattr(self._slave)
        self.written = b""
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environment,
            start_new_session=True,
            cwd=ROOT,
        )

    def read(self, seconds: float = 0.05) -> None:
        """Take one piece of what the program wrote, waiting at most ``seconds`` for it."""
        try:
            if select.select([self.master], [], [], seconds)[0]:
                self.written += os.read(self.master, 65536)
        except OSError:
            return

    def read_until(self, condition: Callable[[], bool], seconds: float = 15) -> None:
        """Read until it is so; fails with what was written when it never is."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.written[-3000:].decode("utf-8", "replace")
            self.read()

    def saw(self, text: str) -> bool:
        return text.encode() in self.written

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ends(self, seconds: float = 15) -> int:
        """Its exit status, reading meanwhile so that it can finish writing."""
        self.read_until(lambda: self.process.poll() is not None, seconds)
        length = -1
        while len(self.written) > length:
            length = len(self.written)
            self.read()
        assert self.process.returncode is not None
        return self.process.returncode

    def is_restored(self) -> bool:
        """Whether it left full-screen mode, showed the cursor, and put the line discipline back."""
        left = self.written.rfind(b"\x1b[?1049l") > self.written.rfind(b"\x1b[?1049h")
        shown = self.written.rfind(b"\x1b[?25h") > self.written.rfind(b"\x1b[?25l")
        return left and shown and termios.tcgetattr(self._slave)[:4] == self.attributes[:4]

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self._slave)
        os.close(self.master)

    def __enter__(self) -> OnAPty:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for fd in (self.master, self._slave):
            try:
                os.close(fd)
            except OSError:
                continue
