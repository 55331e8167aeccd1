"""A journal that was written over many days: a file every three of them, as where thirty are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from backends.journal.chain_file import ChainFile, files_of
from backends.journal.due import Cleared, turn_of
from backends.journal.entry import Entry, Kind, Session, body, capped, wall_of
from backends.journal.retire import Retirement
from backends.journal.verify import read, verify
from backends.model.intent import Identity
from tests.clock import FakeClock

DAY = 86_400.0
KEEP = 30
SESSION = Session(Identity("kim", 1000, "ops1"), "0.1.0", boot="this boot", pid=7)


def written(folder: Path, days: int, clock: FakeClock | None = None) -> FakeClock:
    """One note each day, the last one a day before the clock's time."""
    clock = clock or FakeClock()
    for day in range(days):
        add(folder, clock, Entry(Kind.NOTE, f"day {day}"))
        clock.advance(DAY)
    return clock


def add(folder: Path, clock: FakeClock, entry: Entry, session: Session = SESSION) -> None:
    """One record, at the clock's time."""
    record = capped(body(entry, session, clock.now()))
    ChainFile(folder, turn=turn_of(KEEP)).append(record, is_synced=False)
    touch(files_of(folder)[-1:])


def touch(paths: Iterable[Path]) -> None:
    """Each file was last written when its newest record was."""
    for path in paths:
        newest = max((wall_of(record) for record in read(path)), default=0.0)
        os.utime(path, (newest, newest))


def retirement(folder: Path, clock: FakeClock) -> Callable[..., Cleared]:
    """What retires, as of now; call it to do so."""
    made = Retirement(folder, KEEP, SESSION, clock)

    def retire(anchored: int | None = None) -> Cleared:
        cleared = made(partial(verify, folder), lambda: anchored)
        touch(files_of(folder))
        return cleared

    return retire


def names(folder: Path) -> list[str]:
    return [path.name for path in files_of(folder)]


def kinds(folder: Path) -> list[Any]:
    return [record["kind"] for record in read(folder)]
