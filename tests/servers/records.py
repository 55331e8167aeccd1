"""Every record that is written while tests run has the one shape a record can have."""

from __future__ import annotations

from pathlib import Path

from backends.journal.chain import BrokenError, unseal
from backends.journal.schema import misfit


def misfits(folder: Path) -> list[str]:
    """What is wrong with the shape of records below ``folder``; lines that are damaged, or that a test wrote
    past the journal, are no records of the program.
    """
    found = []
    for path in (each for each in folder.rglob("*.jsonl") if each.stem.isdigit() and each.is_file()):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = unseal(line, None)
            except BrokenError:
                continue
            if "build" in record and (why := misfit(record)) is not None:
                found.append(f"{path.name}: {why}: {record}")
    return found
