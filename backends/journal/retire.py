"""Removes the journal's oldest files by rule: first a record of the chain says what goes, then it goes."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from backends.journal.chain_file import ChainFile
from backends.journal.due import Cleared, File, due, survey, too_young, turn_of
from backends.journal.entry import Entry, Kind, Session, body, capped
from backends.journal.schema import Place, RetiredFile
from backends.journal.schema import Retirement as Said
from backends.journal.verify import Verification
from backends.model.clock import Clock, Instant
from backends.state_folder import open_file


class Retirement:
    """Retires what is older than ``keep_days`` whenever it is called. The time it is made is remembered:
    a clock that is set afterwards makes nothing older.
    """

    def __init__(self, folder: Path, keep_days: int, session: Session, clock: Clock) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._session = session
        self._clock = clock
        self._begun = clock.now()

    def __call__(
        self,
        check: Callable[[], Verification],
        anchored: Callable[[], int | None],
        pause: Callable[[], None] | None = None,
    ) -> Cleared:
        """Say it in the chain, then remove; what an interrupted run said and did not do is done now."""
        if not self._folder.exists():
            return Cleared(stays="there is no journal yet")
        with _alone(self._folder):
            young = too_young(self._folder, self._keep_days, self._clock.now())
            if young:
                return Cleared(stays=young)
            whole = check()
            if not whole.is_whole:
                return Cleared(damage=str(whole))
            safe = anchored()
            found = survey(self._folder, self._session.operator.host, self._session.boot, pause)
            now = self._clock.now()
            plan = due(found, self._keep_days, now, self._begun, safe)
            files = [*plan.lingering, *(file.told() for file in plan.files)]
            if plan.files:
                self._record(plan.files, found.config, now)
            gone, damage = _remove(self._folder, files)
            return Cleared(gone, plan.stays, plan.doubt, damage)

    def _record(self, files: Sequence[File], config: str, now: Instant) -> None:
        before, first, last = files[0].before, files[0].first, files[-1].last
        said = Said(
            days=self._keep_days,
            before=Place(seq=before.seq, hash=before.hash),
            files=[file.told() for file in files],
        )
        entry = Entry(
            Kind.RETIRED,
            f"records {first.seq if first else 0} to {last.seq} are removed, {len(files)} files:"
            f" they are older than {self._keep_days} days",
            config=config,
            retired=msgspec.to_builtins(said),
        )
        record: dict[str, Any] = capped(body(entry, self._session, now))
        ChainFile(self._folder, turn=turn_of(self._keep_days)).append(record, is_synced=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, and never in the way of who writes a record. Raises BlockingIOError."""
    lock = open_file(folder / "retiring", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _remove(folder: Path, files: Sequence[RetiredFile]) -> tuple[list[RetiredFile], str]:
    """Remove them, oldest first, each only if it is byte for byte what the record says; with what is wrong.

    Each is gone for good before the next one goes: whenever it is interrupted, only the oldest are missing.
    """
    gone: list[RetiredFile] = []
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for file in files:
            path = folder / file.name
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            if digest != file.sha256:
                return gone, f"{file.name} is not the file whose retirement is on record: it was left there"
            path.unlink()
            os.fsync(handle)
            gone.append(file)
    finally:
        os.close(handle)
    return gone, ""
