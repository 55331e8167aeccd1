"""Child processes of the demo: their output goes to a callback, and they end when the demo ends."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals

Note = Callable[[bytes], None]
"""Takes one line of output, without its end."""

_PR_SET_PDEATHSIG = 1
_LONGEST_LINE = 65_536
_PORTS = range(10_000, 18_000)
"""Below what Linux (from 32768) and macOS (from 49152) use for outgoing connections."""
_given: dict[int, socket.socket] = {}
"""What keeps each port this process was given from every other demo: the UDP port of the same number."""


class StartError(Exception):
    """A server of the demo did not start; the message says why."""


def free_port() -> int:
    """A loopback TCP port nobody listens on, another one at each call in any process.

    A server of the demo listens some time after its port was chosen, so it is none that the kernel may
    hand to an outgoing connection meanwhile, and no other demo is given it while this process lives.
    """
    first = secrets.randbelow(len(_PORTS))
    for port in chain(_PORTS[first:], _PORTS[:first]):
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
        else:
            _given[port] = mark
            return port
    raise StartError("no loopback port is free for the demo")


class Child:
    """One running server process. On Linux the kernel ends it when the thread that started it dies."""

    def __init__(self, process: Process, stop_signal: Signals, reader: asyncio.Task[None]) -> None:
        self._process = process
        self._stop_signal = stop_signal
        self._reader = reader

    @classmethod
    async def start(
        cls,
        argv: Sequence[str | Path],
        note: Note,
        *,
        user: str | None = None,
        stop_signal: Signals = SIGTERM,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        process = await asyncio.create_subprocess_exec(
            *(str(part) for part in argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
            user=user,
            env=env,
            start_new_session=True,
            preexec_fn=_end_with_parent(stop_signal) if sys.platform == "linux" else None,
        )
        return cls(process, stop_signal, asyncio.create_task(_drain(process, note)))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    def signal(self, number: Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def stop(self, seconds: float = 5.0, how: Signals | None = None) -> None:
        """Ask it to end, then end its whole group."""
        if self.is_running:
            self.signal(SIGCONT)
            self.signal(how or self._stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, SIGKILL)
        await self._process.wait()
        await self._reader


async def _drain(process: Process, note: Note) -> None:
    out = process.stdout
    if out is None:
        return
    while True:
        try:
            line = await out.readline()
        except ValueError:  # a line longer than the limit: its rest is read as the next one
            continue
        if not line:
            return
        note(line.rstrip(b"\r\n"))


def _end_with_parent(how: Signals) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl
    number = int(how)

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask_kernel
