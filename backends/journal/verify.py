"""Reading the journal back, and proving that nobody changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.journal.chain import START, BrokenError, Head, head_of, unseal
from backends.journal.chain_file import files_of


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

    @property
    def is_whole(self) -> bool:
        return self.damage is None


def verify(path: Path) -> Verification:
    """Check a journal: its folder, or one file standing for all of it. Raises OSError if it cannot be read.

    A journal that does not exist is whole and empty.
    """
    head, repairs = START, 0
    suspect: tuple[Damage, bytes] | None = None
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
    return Verification(head.seq, repairs, head, None if suspect is None else suspect[0])


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
