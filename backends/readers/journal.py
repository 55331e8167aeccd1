"""Following the journal of some units with one ``journalctl``, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from backends.model.clock import Clock
from backends.model.logline import LogLevel, Marker
from backends.model.port import LogSink
from backends.model.stamp import to_stamp

TAIL: Final = 200
"""Lines of the past that are read at first, of all units together."""

_NAP: Final = 0.1
"""Seconds between two looks whether lines have waited long enough to be in order."""
_READ: Final = 262_144
_LONGEST: Final = 1024 * 1024
"""Bytes of one entry, beyond which it is left out."""
_BACKOFF: Final = (0.5, 30.0)
_COMPLAINS_AFTER: Final = 4
_FIELDS: Final = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,UNIT,USER_UNIT"
_WORDS: Final = {
    b"0": b"<emerg> ", b"1": b"<alert> ", b"2": b"<crit> ", b"3": b"<error> ", b"4": b"<warning> ",
    b"7": b"<debug> ",
}  # fmt: skip
"""Priorities that say more than the default of what a service prints."""


class JournalFollower:
    """Hands the lines of units to a ``LogSink``, each once, from the last ones of the past on.

    When ``journalctl`` ends it is started again after the last entry that was read, so nothing is missed
    unless the journal itself has dropped it meanwhile.
    """

    def __init__(
        self,
        asked: tuple[str, str],
        environment: Mapping[str, str],
        units: Mapping[str, str],
        sink: LogSink,
        clock: Clock,
    ) -> None:
        """``asked`` is the program, and the option that names a unit of the scope to it; ``units`` gives each
        unit's service.
        """
        self._program, self._match = asked
        self._environment = dict(environment)
        self._numbers = {unit: sink.source(service) for unit, service in units.items()}
        self._sink = sink
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._is_over = threading.Event()
        self._cursor: str | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and its program."""
        self._is_over.set()
        await asyncio.to_thread(self._thread.join, 2.0)

    def _run(self) -> None:
        untold = ""
        while not self._is_over.is_set():
            try:
                if untold:
                    self._complain(untold)
                    untold = ""
                why = self._follow()
            except Exception as fault:  # told in the log once that works; what comes after it must be read
                self._failures = max(self._failures, _COMPLAINS_AFTER - 1)
                why = f"a fault in this program: {type(fault).__name__}"
            if self._is_over.is_set():
                return
            self._failures += 1
            if self._failures == _COMPLAINS_AFTER:
                untold = why
            # Of a night's failures the power is a number that no pause can be made of.
            pause = _BACKOFF[0] * 2.0 ** min(self._failures - 1, 10)
            self._is_over.wait(min(pause, _BACKOFF[1]))

    def _follow(self) -> str:
        """Read until the program ends or the thread shall; why it ended."""
        try:
            program = subprocess.Popen(  # noqa: S603  # of the source's own address, no shell
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd="/", env=self._environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return f"{self._program}: {(error.strerror or 'cannot be started').lower()}"
        try:
            self._read(program)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            if program.stdout is not None:
                program.stdout.close()
        return f"journalctl ended with {program.returncode}"

    def _command(self) -> list[str]:
        where = [f"--after-cursor={self._cursor}", "--no-tail"] if self._cursor else [f"--lines={TAIL}"]
        options = ["--no-pager", "--quiet", "--follow", "--output=json", f"--output-fields={_FIELDS}", *where]
        # Neither --system nor --user: they leave out the files in which a unit's own lines are when it runs
        # as a regular user, or when the user's lines are kept among the system's.
        return [self._program, *options, *(f"{self._match}={unit}" for unit in self._numbers)]

    def _read(self, program: subprocess.Popen[bytes]) -> None:
        if program.stdout is None:
            return
        pipe = program.stdout.fileno()
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not self._is_over.is_set():
                if selector.select(_NAP):
                    piece = os.read(pipe, _READ)
                    if not piece:
                        return
                    *lines, rest = (rest + piece).split(b"\n")
                    self._take(lines)
                    rest = rest if len(rest) <= _LONGEST else b""
                self._sink.settle()

    def _take(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            entry = _entry(line)
            if entry is None:
                continue
            self._failures = 0
            self._cursor = str(entry.get("__CURSOR") or "") or self._cursor
            number, told = self._number(entry), _lines(entry)
            if number is not None and told:
                self._sink.append(number, told)

    def _number(self, entry: Mapping[str, Any]) -> int | None:
        """Of the service whose unit wrote it, or of which systemd itself tells."""
        names = ("_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT", "USER_UNIT")
        return next(
            (self._numbers[unit] for name in names if (unit := entry.get(name)) in self._numbers), None
        )

    def _complain(self, why: str) -> None:
        line = to_stamp(int(self._clock.now().wall * 1e9)) + f" the journal cannot be read: {why}".encode()
        for number in self._numbers.values():
            self._sink.mark(number, Marker.EVENT, line, LogLevel.WARNING)
        self._sink.settle()


def lines_of(printed: str) -> list[bytes]:
    """The lines of what ``journalctl --output=json`` printed, stamped, as they were written; what is no whole
    entry is left out."""
    entries = (_entry(line) for line in printed.encode().splitlines())
    return [line for entry in entries if entry is not None for line in _stamped(entry, b"")]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _lines(entry: Mapping[str, Any]) -> list[bytes]:
    """The entry's message, a line for each of its own, with time and priority."""
    return _stamped(entry, _WORDS.get(str(entry.get("PRIORITY")).encode(), b""))


def _stamped(entry: Mapping[str, Any], word: bytes) -> list[bytes]:
    try:
        stamp = to_stamp(int(entry["__REALTIME_TIMESTAMP"]) * 1000)
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return []
    head = stamp + b" " + word
    return [head + line for line in _message(entry.get("MESSAGE")).splitlines() or [b""]]


def _message(raw: Any) -> bytes:
    """The text: journald tells what is not UTF-8, or holds control characters, as a list of bytes, and what
    is too long as null.
    """
    if isinstance(raw, str):
        return raw.encode("utf-8", "backslashreplace")
    if isinstance(raw, list):
        if all(isinstance(each, int) and 0 <= each < 256 for each in raw):
            return bytes(raw)
        return b"\n".join(_message(each) for each in raw)
    return b"(longer than journalctl tells)"
