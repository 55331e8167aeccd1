"""What other rooms and commands are doing now, as their records in the shared journal tell it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from backends.journal.chain import BrokenError, unseal
from backends.journal.chain_file import files_of
from backends.journal.entry import Kind
from backends.journal.unfinished import is_running
from backends.model.clock import Clock
from backends.model.safetext import NAME_LIMIT, SafeText

PERIOD: Final = 0.4
"""Seconds between two looks: who watches another room knows within a second."""

LONGEST: Final = 1800.0
"""Seconds after which a run of another host, which cannot be asked, is no longer told."""

_TAIL: Final = 128 * 1024
"""Bytes of the journal that are read at first; after that only what is new."""

_ENDS: Final = (Kind.OUTCOME.value, Kind.REFUSED.value)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run of another process that has begun and not ended."""

    operation: str
    stack: str
    procedure: str
    user: SafeText
    host: SafeText
    via: SafeText
    """``screen`` or ``cli``."""
    began: SafeText
    """As recorded, in UTC."""
    last: SafeText
    """What was recorded of it last, in a sentence."""


class OtherRooms:
    """Follows the journal's end. ``told`` may be read from any thread and never blocks."""

    def __init__(self, folder: Path, host: str, clock: Clock, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._host = host
        self._clock = clock
        self._changed = changed
        self._path: Path | None = None
        self._offset = 0
        self._found: dict[str, tuple[Record, UnderWay, float]] = {}
        self._told: tuple[UnderWay, ...] = ()

    def told(self, stack: str) -> tuple[UnderWay, ...]:
        """The runs of a stack, oldest first."""
        return tuple(each for each in self._told if each.stack == stack)

    async def keep(self) -> None:
        """Look again and again until cancelled."""
        while True:
            before = self._told
            self._told = await asyncio.to_thread(self.look)
            if self._told != before:
                self._changed()
            await asyncio.sleep(PERIOD)

    def look(self) -> tuple[UnderWay, ...]:
        """Read what is new and say what is under way. A journal that cannot be read tells nothing."""
        try:
            for line in self._new_lines():
                self._take(line)
        except OSError:
            self._path = None
        now = self._clock.now().mono
        for operation, (intent, _, seen) in tuple(self._found.items()):
            is_ours = intent.get("host") == self._host
            if (is_ours and not is_running(intent)) or now - seen > LONGEST:
                self._found.pop(operation)
        return tuple(each for _, each, _ in self._found.values())

    def _new_lines(self) -> list[bytes]:
        files = files_of(self._folder)
        if not files:
            return []
        path, size = files[-1], files[-1].stat().st_size
        if path != self._path or size < self._offset:
            is_first = self._path is None
            self._path, self._offset = path, max(0, size - _TAIL) if is_first else 0
        if size == self._offset:
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read(size - self._offset).rpartition(b"\n")
        self._offset += len(whole) + len(end)
        return whole.split(b"\n")

    def _take(self, line: bytes) -> None:
        try:
            record = unseal(line, None)
        except BrokenError:
            # The end of a line that began before what was read, or damage, which the keeper tells of.
            return
        operation, kind = record.get("operation"), record.get("kind")
        if not isinstance(operation, str) or record.get("pid") == os.getpid():
            return
        if kind in _ENDS:
            self._found.pop(operation, None)
        elif kind == Kind.INTENT.value and record.get("mode") == "live":
            self._found[operation] = (record, _under_way(record), self._clock.now().mono)
        elif operation in self._found:
            intent, told, seen = self._found[operation]
            self._found[operation] = (intent, replace(told, last=SafeText(record.get("text", ""), 200)), seen)


def _under_way(record: Record) -> UnderWay:
    operator, session = record.get("operator"), record.get("session")
    user = operator.get("user", "?") if isinstance(operator, Mapping) else "?"
    via = session.get("via") if isinstance(session, Mapping) else None
    return UnderWay(
        operation=str(record["operation"]),
        stack=str(record.get("stack", "")),
        procedure=str(record.get("procedure", "")),
        user=SafeText(user, NAME_LIMIT),
        host=SafeText(record.get("host", "?"), NAME_LIMIT),
        via=SafeText(via or "?", NAME_LIMIT),
        began=SafeText(record.get("at", "?"), NAME_LIMIT),
        last=SafeText(record.get("text", ""), 200),
    )
