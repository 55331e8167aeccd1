"""Reading the journal back, and proving that nobody changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from backends.journal.anchored_heads import AnchoredHeads, Astray
from backends.journal.chain import START, BrokenError, Head, head_of, unseal
from backends.journal.chain_file import files_of
from backends.journal.retired import Ledger, head, retirement
from backends.model.anchor import Mark

BREATH: Final = 256
"""Records between two pauses of a check that must not be felt."""

_TRIES: Final = 3
"""Looks at a journal whose oldest files are being removed meanwhile."""

_RETIRES: Final = b'"kind":"retired"'


class Damage(Struct, frozen=True):
    """The first line that is not what was written."""

    file: str
    line: int
    """Counted from 1 within the file."""
    record: int
    """The number of the record that should be there."""
    why: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: record {self.record} {self.why}"


class Verification(Struct, frozen=True):
    records: int
    """Records that hold, up to the damage if there is one."""
    repairs: int
    """Lines that were cut off by a crash or a full disk and are marked so."""
    head: Head
    """The last record that holds: compare it with an anchor to see whether the end was cut off."""
    damage: Damage | None
    astray: Astray | None = None
    """What an anchored head says against it: its end was cut off, or all of it was rebuilt."""
    retired: int = 0
    """Records before those: removed by rule, as one of those that hold says."""
    lingering: tuple[str, ...] = ()
    """Files that are retired and still there, because whoever removed them was interrupted."""
    beyond: int = 0
    """Anchored heads among the retired records."""

    @property
    def is_whole(self) -> bool:
        return self.damage is None and self.astray is None

    def __str__(self) -> str:
        """The result in one sentence."""
        if self.damage is not None:
            return f"DAMAGED: {self.damage}"
        if self.astray is not None:
            return self.astray.why
        words = [f"whole: {self.records} records"]
        if self.repairs:
            words.append(f"{self.repairs} cut off by a crash and marked")
        if self.retired:
            words.append(f"{self.retired} before them retired by rule")
        if self.lingering:
            words.append(f"still to be removed: {' '.join(self.lingering)}")
        return ", ".join(words)


def verify(path: Path, marks: Iterable[Mark] = (), pause: Callable[[], None] | None = None) -> Verification:
    """Check a journal: its folder, or one file standing for all of it. Raises OSError if it cannot be read.

    A journal that does not exist is whole and empty. One that begins later is whole when a record in it says
    that exactly what is missing was retired by rule. Every one of ``marks`` must be in the chain, or retired;
    never the newest. ``pause`` is called after every ``BREATH`` records, for a check beside other work.
    """
    known = tuple(marks)
    for _ in range(_TRIES - 1):
        # Files that are retired meanwhile are missed by name.
        with suppress(FileNotFoundError):
            return _verify(path, known, pause)
    return _verify(path, known, pause)


def _verify(path: Path, marks: Sequence[Mark], pause: Callable[[], None] | None) -> Verification:
    files = _files(path)
    opening = end = _opening(files)
    ledger, anchored = Ledger(opening, {file.name for file in files}), AnchoredHeads(marks)
    repairs = 0
    suspect: tuple[Damage, bytes] | None = None
    for file, number, line in _lines(files):
        try:
            if not line.endswith(b"\n"):
                raise BrokenError("was cut off")
            record = unseal(line[:-1], end)
            if suspect is not None and not _marks(record, suspect[1]):
                break
            misfit = ledger.take(record)
            if misfit is not None:
                raise BrokenError(misfit)
        except BrokenError as error:
            if suspect is not None:
                break
            suspect = Damage(file.name, number, end.seq + 1, str(error)), line.removesuffix(b"\n")
            continue
        if suspect is not None:
            suspect, repairs = None, repairs + 1
        end = head_of(record)
        ledger.pass_by(file.name, end)
        anchored.meet(end)
        if pause is not None and end.seq % BREATH == 0:
            pause()
    damage = None if suspect is None else suspect[0]
    if damage is None and not ledger.accounts:
        damage = Damage(files[0].name, 1, 1, "is missing, and no record of the chain says it was retired")
    astray = anchored.rebuilt if damage is not None else anchored.astray(opening, end, ledger)
    return Verification(
        records=end.seq - opening.seq,
        repairs=repairs,
        head=end,
        damage=damage,
        astray=astray,
        retired=opening.seq,
        lingering=ledger.lingering,
        beyond=anchored.beyond(opening),
    )


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every record that can be read, oldest first, whether or not the chain holds. Raises OSError."""
    for file in _files(path):
        # One that was retired a moment ago is gone, with all before it.
        with suppress(FileNotFoundError):
            yield from _records(_lines([file]))


def _marks(record: Mapping[str, Any], line: bytes) -> bool:
    torn = record.get("torn")
    found = {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}
    return record.get("kind") == "repair" and torn == found


def _opening(files: Sequence[Path]) -> Head:
    """What the oldest record follows: the chain's start, or what some record says was retired last."""
    first = next(_records(_lines(files)), None)
    if first is None or first["seq"] == 1:
        return START
    before = Head(first["seq"] - 1, str(first.get("prev")))
    for file in reversed(files):
        for record in _records(it for it in _lines([file]) if _RETIRES in it[2]):
            said = retirement(record)
            if said is not None and before in [head(each.last) for each in said.files]:
                return before
    return START


def _records(lines: Iterable[tuple[Path, int, bytes]]) -> Iterator[dict[str, Any]]:
    for _, _, line in lines:
        with suppress(BrokenError):
            yield unseal(line.removesuffix(b"\n"), None)


def _files(path: Path) -> list[Path]:
    # In this order: a folder may be made meanwhile.
    if not path.exists():
        return []
    return files_of(path) if path.is_dir() else [path]


def _lines(files: Iterable[Path]) -> Iterator[tuple[Path, int, bytes]]:
    for file in files:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                yield file, number, line
