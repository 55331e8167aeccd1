"""Running a program of this host: no shell, no terminal, no input, a group of its own, all of it bounded."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from subprocess import DEVNULL, Popen
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

OUTPUT_LIMIT: Final = 65_536
"""Bytes of what it prints that are kept: the last ones."""

_READ: Final = 65_536
_HALF_SECRET: Final = 4096
"""Bytes left out where there is no line to leave out."""

_EAGER: Final = 1 << 20
"""Bytes after which a program that keeps printing is read slowly, so that nothing else waits for it."""
_PAUSE: Final = 0.01

LAST_WORDS: Final = 1.0
"""Seconds between SIGTERM and SIGKILL when its time is over."""

_REST: Final = 0.25
"""Seconds to read on after it ended: a program it left behind may hold its output open."""

USER_BUS: Final = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""Variables by which the user's own systemd is found."""

_INHERITED: Final = ("PATH", "HOME", "LANG")


class NotStartedError(Exception):
    """It never ran. The message says why."""


class Ended(Struct, frozen=True):
    """How a program ended and the last it printed, on either of its outputs."""

    code: int | None
    """Negative for a signal; None when its time was over and its group was ended."""
    output: str
    """Whole lines, unless it printed a single longer one."""
    cut: int
    """Bytes printed before those."""


async def run(
    argv: Sequence[str], timeout: float, folder: str, env: Mapping[str, str], into: int | None = None
) -> Ended:
    """Run ``argv`` in ``folder`` with ``env`` and nothing else, for ``timeout`` seconds at most.

    ``into`` is an open file that takes its standard output; what it says on the other is kept as always.
    Raises NotStartedError. Cancelled, it leaves nothing of the group running.
    """
    output = _Output()
    until = asyncio.get_running_loop().time() + timeout
    try:
        process = await _start(argv, folder, env, output, into, until)
        return Ended(None, "", 0) if process is None else await _finish(process, until, output)
    finally:
        output.close()


def environment(names: Sequence[str] = ()) -> dict[str, str]:
    """``PATH``, ``HOME``, ``LANG`` and the variables named, as far as they are set."""
    return {name: os.environ[name] for name in (*_INHERITED, *names) if name in os.environ}


def program_at(url: str, name: str) -> str:
    """The program of that name in the folder an address names as its path, else as PATH finds it."""
    folder = urlsplit(url).path.strip("/")
    return str(PurePosixPath("/", folder, name)) if folder else name


class _Output:
    """A pipe, read as it fills, of which the end is kept."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe, self.inlet = os.pipe()
        os.set_blocking(self._pipe, False)
        self.is_over = asyncio.Event()
        self._kept = bytearray()
        self._total = 0
        self._loop.add_reader(self._pipe, self._take)

    def give_inlet(self) -> int:
        """For whoever closes it once the program has it."""
        inlet, self.inlet = self.inlet, -1
        return inlet

    def close(self) -> None:
        if (inlet := self.give_inlet()) >= 0:
            os.close(inlet)
        self._stop()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def text(self) -> tuple[str, int]:
        """What is kept, and the bytes before it. A first line that lost its beginning is left out: it might
        start with half a secret, which nobody would know for one.
        """
        kept = bytes(self._kept[-OUTPUT_LIMIT:])
        if len(kept) < self._total:
            kept = kept.partition(b"\n")[2] or kept[_HALF_SECRET:]
        return kept.decode("utf-8", "backslashreplace"), self._total - len(kept)

    def _take(self) -> None:
        try:
            piece = os.read(self._pipe, _READ)
        except BlockingIOError:
            return
        if not piece:
            self._stop()
            return
        self._total += len(piece)
        self._kept += piece
        del self._kept[: -2 * OUTPUT_LIMIT]
        if self._total > _EAGER:
            self._loop.remove_reader(self._pipe)
            self._loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._pipe >= 0 and not self.is_over.is_set():
            self._loop.add_reader(self._pipe, self._take)

    def _stop(self) -> None:
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
        self.is_over.set()


async def _start(
    argv: Sequence[str],
    folder: str,
    env: Mapping[str, str],
    output: _Output,
    into: int | None,
    until: float,
) -> Popen[bytes] | None:
    """None when it had not begun by ``until``, the loop's time: whenever it does, it is ended."""
    loop = asyncio.get_running_loop()
    taken = [output.give_inlet()] if into is None else [output.give_inlet(), os.dup(into)]

    def start() -> Popen[bytes]:
        try:
            # A session of its own: no terminal to ask at, and one group to end.
            return Popen(  # noqa: S603 (what may be run is for who asks; no shell is started)
                argv, stdin=DEVNULL, stdout=taken[-1], stderr=taken[0], cwd=folder, env=dict(env),
                start_new_session=True,
            )  # fmt: skip
        finally:
            for each in taken:
                os.close(each)

    # In a thread: it takes until the program runs, and a folder or a program on a disk that hangs would
    # hold up whatever else is done on this loop, a stop among it.
    starting = loop.run_in_executor(None, start)
    try:
        async with asyncio.timeout_at(until):
            return await asyncio.shield(starting)
    except TimeoutError:
        starting.add_done_callback(_end_late)
        return None
    except asyncio.CancelledError:
        starting.add_done_callback(_end_late)
        raise
    except OSError as error:
        what = error.filename or argv[0]
        raise NotStartedError(f"{what}: {(error.strerror or 'cannot be started').lower()}") from None
    except ValueError:
        raise NotStartedError(f"{argv[0]}: an argument holds what no argument can hold") from None


def _end_late(starting: asyncio.Future[Popen[bytes]]) -> None:
    """Nobody waits for it any more."""
    if not starting.cancelled() and starting.exception() is None:
        _signal(starting.result(), signal.SIGKILL)
        asyncio.get_running_loop().run_in_executor(None, starting.result().wait)


async def _finish(process: Popen[bytes], until: float, output: _Output) -> Ended:
    code: int | None = None
    ended = asyncio.get_running_loop().run_in_executor(None, process.wait)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                code = await asyncio.shield(ended)
        if code is None:
            _signal(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await asyncio.shield(ended)
                    await output.is_over.wait()
            _signal(process, signal.SIGKILL)
            # Not even that ends what waits for a disk.
            await asyncio.wait({ended}, timeout=LAST_WORDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST):
                await output.is_over.wait()
    except BaseException:
        _signal(process, signal.SIGKILL)
        raise
    text, cut = output.text()
    return Ended(code, text, cut)


def _signal(process: Popen[bytes], number: signal.Signals) -> None:
    """To the whole group, which outlives its first process."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
