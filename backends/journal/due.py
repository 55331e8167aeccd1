"""Which of the journal's oldest files may be retired, and why the first that stays does. Reads only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import Struct, field

from backends.journal.chain import START, BrokenError, Head, head_of, unseal
from backends.journal.chain_file import files_of
from backends.journal.entry import Kind, wall_of
from backends.journal.retired import DAY, retirement
from backends.journal.schema import Place, RetiredFile, Retirement
from backends.journal.unfinished import TAIL
from backends.journal.verify import BREATH, Verification
from backends.model.clock import Instant

LONGEST_TURN: Final = 30 * DAY
"""Seconds after which a file is ended at the latest, where files are retired."""

_DONE: Final = ("VERIFIED", "ALREADY")
_ENDS: Final = (Kind.OUTCOME.value, Kind.REFUSED.value)
_STOP, _RESTORE = "stop", "restore"

Record = Mapping[str, Any]


def too_young(folder: Path, keep_days: int, now: Instant) -> str:
    """Why nothing can be due, at a glance, in a sentence; empty when something may be. Raises OSError."""
    oldest = next(iter(files_of(folder)), None)
    if oldest is None:
        return "there is no record yet"
    touched = oldest.stat().st_mtime
    return "" if _is_old(touched, keep_days, now) else f"{oldest.name} stays: {_young(touched)}"


def turn_of(keep_days: int | None) -> float | None:
    """Seconds after which a file of the journal is ended, so that it can be retired as a whole."""
    return None if keep_days is None else min(keep_days * DAY / 10, LONGEST_TURN)


class File(Struct):
    """One file of the journal, as it is."""

    path: Path
    bytes: int = 0
    sha256: str = ""
    before: Head = START
    """What its first record follows."""
    first: Head | None = None
    """None when no record of it can be read."""
    last: Head = START
    newest: float = 0.0
    """The youngest time its records say, epoch seconds."""
    touched: float = 0.0
    """When the file system says it was written last."""

    def told(self) -> RetiredFile:
        """What the record of its retirement says."""
        first = self.first or START
        return RetiredFile(
            name=self.path.name,
            bytes=self.bytes,
            sha256=self.sha256,
            first=Place(seq=first.seq, hash=first.hash),
            last=Place(seq=self.last.seq, hash=self.last.hash),
            newest=Instant(0.0, self.newest).iso(),
        )


class Survey(Struct):
    """What the journal's files hold that decides about their going."""

    files: list[File] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    """Operations without an outcome, by the place of their file."""
    halts: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    """The newest stop of each stack and procedure, proved or not, that no resume followed."""
    config: str = ""
    """Digest of the configuration that was in force last."""
    oldest_here: float | None = None
    """By how much the wall clock was ahead of the monotonic one at the first record of this boot."""
    retired: list[Retirement] = field(default_factory=list)

    @property
    def lingering(self) -> list[RetiredFile]:
        """Files whose retirement is on record and that are still there."""
        present = {file.path.name for file in self.files}
        return [file for said in self.retired for file in said.files if file.name in present]

    def take(self, record: Record, place: int) -> None:
        """One more record, of the file at that place."""
        kind, operation = record.get("kind"), str(record.get("operation", ""))
        if kind == Kind.INTENT.value and record.get("mode") == "live":
            self.open[operation] = place
        elif kind in _ENDS:
            self.open.pop(operation, None)
        if kind == Kind.OUTCOME.value and record.get("mode") == "live":
            self._weigh(record, place)
        if kind == Kind.SESSION.value or (kind == Kind.RETIRED.value and not self.config):
            self.config = str(record.get("config", ""))
        said = retirement(record)
        if said is not None:
            self.retired.append(said)

    def _weigh(self, record: Record, place: int) -> None:
        stack, is_done = str(record.get("stack", "")), record.get("verdict") in _DONE
        if record.get("class") == _STOP:
            self.halts[stack, str(record.get("procedure", "")), is_done] = place
        elif record.get("class") == _RESTORE and is_done:
            self.halts = {key: at for key, at in self.halts.items() if key[0] != stack}


class Cleared(Struct, frozen=True):
    """What came of one try to retire what is due."""

    gone: Sequence[RetiredFile] = ()
    """The files that were removed."""
    stays: str = ""
    """Why the next one was not, in a sentence."""
    doubt: str = ""
    """Why nothing was retired although it may be old enough."""
    damage: str = ""
    """What is wrong with the journal: then nothing more was removed."""


class Retirer(Protocol):
    """Retires what is due. Only an armed session has one."""

    def __call__(
        self,
        check: Callable[[], Verification],
        anchored: Callable[[], int | None],
        pause: Callable[[], None] | None = None,
    ) -> Cleared:
        """``check`` says whether the chain is whole, ``anchored`` what it is for ``due``; both are asked only
        when something may be due, and may take their time.

        Raises OSError; BlockingIOError while another process does it.
        """


def survey(folder: Path, host: str, boot: str, pause: Callable[[], None] | None = None) -> Survey:
    """Read all of it. Raises OSError. ``host`` and ``boot`` are this host's, in this run of it.

    ``pause`` is called after every few hundred records.
    """
    found = Survey()
    for place, path in enumerate(files_of(folder)):
        file = File(path)
        digest = hashlib.sha256()
        with path.open("rb") as opened:
            file.touched = path.stat().st_mtime
            for line in opened:
                digest.update(line)
                file.bytes += len(line)
                try:
                    record = unseal(line.removesuffix(b"\n"), None)
                except BrokenError:
                    continue
                file.last = head_of(record)
                if file.first is None:
                    file.first = file.last
                    file.before = Head(file.last.seq - 1, str(record.get("prev")))
                file.newest = max(file.newest, wall_of(record))
                is_ours = bool(boot) and (record.get("host"), record.get("boot")) == (host, boot)
                if is_ours and found.oldest_here is None:
                    found.oldest_here = wall_of(record) - float(record.get("mono", 0.0))
                found.take(record, place)
                if pause is not None and file.last.seq % BREATH == 0:
                    pause()
        file.sha256 = digest.hexdigest()
        found.files.append(file)
    return found


class Due(Struct, frozen=True):
    """What may go now."""

    files: Sequence[File] = ()
    lingering: Sequence[RetiredFile] = ()
    """What should be gone already: its retirement is on record."""
    stays: str = ""
    """Why the next one does not, in a sentence; empty when there is no next one."""
    doubt: str = ""
    """Why nothing may go although it may be old enough: the time cannot be trusted."""


def due(found: Survey, keep_days: int, now: Instant, begun: Instant, anchored: int | None) -> Due:
    """The files to retire, oldest first. ``begun`` is when this process looked at its clocks first;
    ``anchored`` the newest record whose head is known to be kept elsewhere, None where none ever is.
    """
    files: list[File] = []
    doubt, stays = _doubt(found, now, begun), ""
    lingering = {file.name for file in found.lingering}
    for place, file in enumerate(found.files):
        if doubt:
            break
        if file.path.name not in lingering:
            stays = _stays(found, place, keep_days, now, anchored)
            if stays:
                stays = f"{file.path.name} stays: {stays}"
                break
            files.append(file)
    return Due(files, found.lingering, stays, doubt)


def _doubt(found: Survey, now: Instant, begun: Instant) -> str:
    newest = max((file.newest for file in found.files), default=0.0)
    if newest > now.wall + DAY:
        return f"a record is of {Instant(0.0, newest).iso()}, which is yet to come: the clock is or was wrong"
    offsets = [begun.wall - begun.mono]
    offsets += [] if found.oldest_here is None else [found.oldest_here]
    moved = max((now.wall - now.mono - offset for offset in offsets), key=abs)
    if abs(moved) > DAY:
        days = f"{abs(moved) / DAY:.1f} days {'forward' if moved > 0 else 'back'}"
        return f"the clock was set {days} since this host started, or it slept: ages are not to be trusted"
    return ""


def _stays(found: Survey, place: int, keep_days: int, now: Instant, anchored: int | None) -> str:
    """Why the file at that place must not go; empty when it may."""
    file = found.files[place]
    if place == len(found.files) - 1:
        return "it is being written"
    if file.first is None:
        return "no record of it can be read"
    youngest = max(file.newest, file.touched)
    if not _is_old(youngest, keep_days, now):
        return _young(youngest)
    if anchored is not None and anchored <= file.last.seq:
        return "no later head is anchored"
    return _needed(found, place)


def _needed(found: Survey, place: int) -> str:
    """What the file at that place holds that the room may still go by; empty when there is nothing."""
    for operation, at in found.open.items():
        if at == place:
            return f"operation {operation} in it has no outcome"
    in_reach = sum(each.bytes for each in found.files[place + 1 :]) < TAIL
    for (stack, procedure, _), at in found.halts.items():
        if at == place and in_reach:
            return f"{procedure} of {stack} in it is a stop that no resume followed"
    return ""


def _is_old(youngest: float, keep_days: int, now: Instant) -> bool:
    return youngest <= now.wall - keep_days * DAY


def _young(youngest: float) -> str:
    return f"its youngest record or change is of {Instant(0.0, youngest).iso()}"
