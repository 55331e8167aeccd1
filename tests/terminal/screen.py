"""A terminal for the program under test: a pty whose output a terminal emulator understands.

A thread reads the pty as fast as a real terminal does: the emulator is a hundred times slower, and a program
that waits for it would be measured by it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyte

KEYS = {"f9": b"\x1b[20~", "escape": b"\x1b", "enter": b"\r", "tab": b"\t", "f1": b"\x1bOP", "space": b" "}

_PRIVATE = re.compile(
    rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)
"""What the emulator does not know and would print: private queries, device control, OS commands."""

_SYNC_QUERY = b"\x1b[?2026$p"


class Terminal:
    """Runs a program in ``columns`` x ``rows`` and keeps the picture it draws."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        columns: int = 160,
        rows: int = 48,
        *,
        tells_size: bool = True,
    ) -> None:
        """Without ``tells_size`` it is as large as said, but whoever asks is told of no columns and rows."""
        self.raw = bytearray()
        """Everything the program wrote."""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._kept = b""
        self.master, slave = pty.openpty()
        told = (rows, columns) if tells_size else (0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *told, 0, 0))
        self.started = time.monotonic()
        self.came = self.started
        """When the newest bytes in the picture arrived."""
        self.modes = termios.tcgetattr(slave)
        self.popen = subprocess.Popen(
            list(argv),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=_told(os.environ if env is None else env),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 # the child must own the pty, as in a real login
        )
        self.slave = slave
        self._arrived: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self.thaw()

    def _take(self, master: int) -> None:
        """On the reader's thread: note what comes, and when, until the line is closed."""
        while True:
            ready, _, _ = select.select([master, self._ear], [], [])
            if self._ear in ready:
                return
            try:
                data = os.read(master, 65536)
            except OSError:
                return
            self._arrived.put((time.monotonic(), data))
            if _SYNC_QUERY in data:
                self.send(b"\x1b[?2026;2$y")

    @property
    def lines(self) -> list[str]:
        """The picture now, row by row; the second half of a wide letter is no letter."""
        # The emulator's own way of saying this fails at half a wide letter that was written over.
        rows, columns = range(self._screen.lines), range(self._screen.columns)
        return ["".join(self._screen.buffer[y][x].data for x in columns) for y in rows]

    def style(self, words: str) -> tuple[object, ...] | None:
        """Colours and weight of the first cell of those words; None when they are not on the screen."""
        for y, line in enumerate(self.lines):
            if (x := line.find(words)) >= 0:
                cell = self._screen.buffer[y][x]
                return (cell.fg, cell.bg, cell.bold, cell.reverse)
        return None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def read(self, seconds: float) -> bool:
        """Draw one piece of what the program writes within ``seconds``; whether anything came."""
        try:
            self.came, data = self._arrived.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return False
        self.raw += data
        data = self._kept + data
        # A sequence may be cut in two by the read: keep a trailing one for the next.
        cut = data.rfind(b"\x1b")
        self._kept = (
            data[cut:]
            if cut >= 0 and len(data) - cut < 40 and not data[cut:].rstrip().endswith(b"m")
            else b""
        )
        self._stream.feed(_PRIVATE.sub(b"", data[: len(data) - len(self._kept)]))
        return True

    def look(self, seconds: float) -> None:
        """Read for exactly that long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)

    def settle(self, seconds: float = 0.3) -> None:
        """Read until nothing came for ``seconds`` or five seconds are over."""
        deadline = time.monotonic() + 5
        while self.read(seconds) and time.monotonic() < deadline:
            pass

    def wait_for(self, is_there: str | Callable[[str], object], seconds: float = 20.0) -> str:
        """The picture once it holds the text (or the condition is true); AssertionError with the picture."""
        test = is_there if callable(is_there) else lambda text: is_there in text
        deadline = time.monotonic() + seconds
        while True:
            if test(self.text):
                return self.text
            # The emulator may be behind: what came in time counts.
            if time.monotonic() > deadline and (self._arrived.empty() or self.came > deadline):
                raise AssertionError(f"not on the screen after {seconds} s: {is_there}\n{self.text}")
            if not self.read(0.1) and self.popen.poll() is not None:
                self.settle(0.1)
                if test(self.text):
                    return self.text
                raise AssertionError(f"the program ended with {self.popen.returncode}\n{self.text}")

    def press(self, *keys: str) -> None:
        """Press keys as a person does, one after the other."""
        for key in keys:
            self.send(KEYS.get(key, key.encode()))

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self.master, data)

    def wait_end(self, seconds: float = 30.0) -> int:
        """The exit status, reading on meanwhile so that the program can write its last."""
        deadline = time.monotonic() + seconds
        while self.popen.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {seconds} s\n{self.text}")
            self.read(0.05)
        self.settle(0.05)
        return self.popen.returncode

    def freeze(self) -> None:
        """Take nothing any more and let the line fill up: whoever writes to it waits."""
        os.write(self._bell, b"!")
        self._reader.join()
        os.close(self._bell)
        os.close(self._ear)
        other = os.open(os.ttyname(self.slave), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(other, b"\0" * 64)
        os.close(other)

    def is_full(self) -> bool:
        """Whether whoever writes to it waits."""
        return not select.select([], [self.slave], [], 0)[1]

    def thaw(self) -> None:
        """Take what comes: from the start, and again after ``freeze``."""
        self._ear, self._bell = os.pipe()
        self._reader = threading.Thread(target=self._take, args=(self.master,), daemon=True)
        self._reader.start()

    def hang_up(self) -> None:
        """Close the line, as a lost connection does."""
        os.write(self._bell, b"!")
        self._reader.join()
        for fd in (self.slave, self.master, self._bell, self._ear):
            os.close(fd)
        self.master = self.slave = -1

    def close(self) -> None:
        """End the program and everything in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
            self.wait_end(5.0) if self.master >= 0 else self.popen.wait(5.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(5.0)
        if self.master >= 0:
            self.hang_up()


def _told(env: Mapping[str, str]) -> dict[str, str]:
    """What a login shell would have: the terminal itself says how large it is, and no variable does."""
    kept = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
