"""Reading the journal back, and proving that nobody changed it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.journal.chain import START, BrokenError, Head, head_of, unseal
from backends.journal.chain_file import files_of
from backends.model.anchor import Mark

BREATH: Final = 256
"""Records between two pauses of a check that must not be felt."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The first line that is not what was written."""

    file: str
    line: int
    """Counted from 1 within the file."""
    record: int
    """The number of the record that should be there."""
    why: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: record {self.record} {self.why}"


@dataclass(frozen=True, slots=True)
class Verification:
    records: int
    """Records that hold, up to the damage if there is one."""
    repairs: int
    """Lines that were cut off by a crash or a full disk and are marked so."""
    head: Head
    """The last record that holds: compare it with an anchor to see whether the end was cut off."""
    damage: Damage | None
    astray: Mark | None = None
    """The first anchored head that is not in the chain: its end was cut off, or all of it was rebuilt."""

    @property
    def is_whole(self) -> bool:
        return self.damage is None and self.astray is None

    def __str__(self) -> str:
        """The result in one sentence."""
        if self.damage is not None:
            return f"DAMAGED: {self.damage}"
        if self.astray is not None and self.astray.seq > self.head.seq:
            return (
                f"CUT OFF: it ends at record {self.head.seq}, and record {self.astray.seq} was anchored"
                f" at {self.astray.at}"
            )
        if self.astray is not None:
            return f"REBUILT: record {self.astray.seq} is not the one that was anchored at {self.astray.at}"
        repaired = f", {self.repairs} cut off by a crash and marked" if self.repairs else ""
        return f"whole: {self.records} records{repaired}"


def verify(path: Path, marks: Iterable[Mark] = (), pause: Callable[[], None] | None = None) -> Verification:
    """Check a journal: its folder, or one file standing for all of it. Raises OSError if it cannot be read.

    A journal that does not exist is whole and empty. Every one of ``marks`` must be in the chain.
    ``pause`` is called after every ``BREATH`` records, for a check beside other work.
    """
    head, repairs = START, 0
    suspect: tuple[Damage, bytes] | None = None
    anchored: defaultdict[int, list[Mark]] = defaultdict(list)
    for mark in marks:
        anchored[mark.seq].append(mark)
    astray: Mark | None = None
    for file, number, line in _lines(path):
        try:
            if not line.endswith(b"\n"):
                raise BrokenError("was cut off")
            record = unseal(line[:-1], head)
        except BrokenError as error:
            if suspect is not None:
                break
            suspect = Damage(file.name, number, head.seq + 1, str(error)), line.removesuffix(b"\n")
            continue
        if suspect is not None:
            if not _marks(record, suspect[1]):
                break
            suspect, repairs = None, repairs + 1
        head = head_of(record)
        for mark in anchored.pop(head.seq, ()):
            astray = astray or (mark if mark.hash != head.hash else None)
        if pause is not None and head.seq % BREATH == 0:
            pause()
    if suspect is None and astray is None:
        # What is left was anchored and never met: the newest says best how much is gone.
        astray = anchored[max(anchored)][0] if anchored else None
    return Verification(head.seq, repairs, head, None if suspect is None else suspect[0], astray)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every record that can be read, oldest first, whether or not the chain holds. Raises OSError."""
    for _, _, line in _lines(path):
        try:
            yield unseal(line.removesuffix(b"\n"), None)
        except BrokenError:
            continue


def _marks(record: Mapping[str, Any], line: bytes) -> bool:
    torn = record.get("torn")
    found = {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}
    return record.get("kind") == "repair" and torn == found


def _lines(path: Path) -> Iterator[tuple[Path, int, bytes]]:
    for file in files_of(path) if path.is_dir() else [path] if path.exists() else []:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                yield file, number, line
