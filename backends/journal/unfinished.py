"""Runs that were cut off: begun by a process of this host that is no more, and never ended."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from backends.journal.chain import BrokenError, unseal
from backends.journal.chain_file import files_of
from backends.journal.entry import Kind, boot_id
from backends.state_folder import open_file

TAIL: Final = 2 * 1024 * 1024
"""Bytes of the journal's end that are looked through: some three thousand records."""

_ENDS: Final = (Kind.OUTCOME.value, Kind.REFUSED.value)
_STARTED: Final = 19
_SLACK: Final = 1.0
"""Seconds by which a process may seem to have started after its own record."""

Record = Mapping[str, Any]


class CutOff(Struct, frozen=True):
    """One such run, as its records tell it."""

    intent: Record
    steps: tuple[Record, ...]
    last: Record
    """The last record there is of it."""

    @property
    def operation(self) -> str:
        return str(self.intent["operation"])

    @property
    def stack(self) -> str:
        return str(self.intent.get("stack", ""))

    @property
    def procedure(self) -> str:
        return str(self.intent.get("procedure", ""))

    @property
    def user(self) -> str:
        operator = self.intent.get("operator")
        return str(operator.get("user", "?")) if isinstance(operator, Mapping) else "?"


def unfinished(
    folder: Path, host: str, is_alive: Callable[[Record], bool] | None = None, limit: int = TAIL
) -> list[CutOff]:
    """The runs that were cut off, oldest first. Reads at most ``limit`` bytes; raises OSError."""
    alive = is_alive or is_running
    left = [
        operation
        for operation, (intent, *_) in _open(folder, limit).items()
        if intent.get("host") == host and intent.get("mode") == "live" and not alive(intent)
    ]
    # What they wrote before they left is there by now.
    told = _open(folder, limit) if left else {}
    return [
        CutOff(records[0], tuple(each for each in records if each.get("kind") == "step"), records[-1])
        for records in (told[operation] for operation in left if operation in told)
    ]


def _open(folder: Path, limit: int) -> dict[str, list[Record]]:
    """The records of each run that has no outcome."""
    found: dict[str, list[Record]] = {}
    for record in recent(folder, limit):
        operation = record.get("operation")
        if not isinstance(operation, str) or not operation:
            continue
        if record.get("kind") == Kind.INTENT.value:
            found[operation] = [record]
        elif record.get("kind") in _ENDS:
            found.pop(operation, None)
        elif operation in found:
            found[operation].append(record)
    return found


def claim(folder: Path, stack: str) -> int | None:
    """The right to close what was cut off on that stack: of several rooms that start at once one has it,
    until it closes this descriptor. None for the others, and where nothing can be written.
    """
    try:
        lock = open_file(folder / f"closing-{stack}", os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def recent(folder: Path, limit: int = TAIL) -> Iterator[Record]:
    """The records in the last ``limit`` bytes of the journal, oldest first. Raises OSError."""
    parts: list[bytes] = []
    for path in reversed(files_of(folder)):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - limit)
                file.seek(start)
                data = file.read(size - start)
        except FileNotFoundError:
            break  # Retired this moment, and with it whatever is older.
        limit -= len(data)
        # The first line begins before what was read.
        parts.append(data.partition(b"\n")[2] if start else data)
        if limit <= 0:
            break
    for line in b"".join(reversed(parts)).split(b"\n"):
        try:
            yield unseal(line, None)
        except BrokenError:
            continue


def is_running(record: Record) -> bool:
    """Whether the process that wrote the record is still there; another one with its number is not it."""
    pid, mono = record.get("pid"), record.get("mono")
    if record.get("boot") != boot_id() or not isinstance(pid, int) or not isinstance(mono, (int, float)):
        return False
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        state, ticks = words[0], int(words[_STARTED])
    except (OSError, ValueError, IndexError):
        # There is no /proc, or it hides the processes of other accounts.
        return _answers(pid)
    started = ticks / os.sysconf("SC_CLK_TCK")
    return state not in (b"Z", b"X") and started <= mono + _SLACK


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
