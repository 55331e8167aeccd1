"""The journal's keeper beside the engine: checks the chain, notices the clock being set, tells of trouble."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from msgspec.structs import replace

from backends.journal.anchorage import Anchor, Anchorage
from backends.journal.drills import PRACTICE
from backends.journal.due import Retirer
from backends.journal.entry import Entry, Kind
from backends.journal.journal import Journal
from backends.journal.unfinished import recent
from backends.journal.verify import Verification, verify
from backends.model.alarm import Alarm, Priority
from backends.model.anchor import AnchorError, Mark
from backends.model.board import Board
from backends.model.clock import Clock, Instant, to_beat
from backends.model.safetext import SafeText

TICK: Final = 1.0
STEP: Final = 1.0
"""Seconds by which the wall clock must move against the monotonic one to have been set."""

SETTLED: Final = 5.0
"""Seconds after the start until the first check: the first boards come first."""

DAILY: Final = 86_400.0

AGAIN: Final = 60.0
"""Seconds between two tries of an anchor that did not tell its heads when the chain was checked."""

_REST: Final = 0.02
"""Seconds to rest after each few hundred records of a check, so that nothing else feels it."""

SUBJECT: Final = "journal"


class Book(Protocol):
    """Turns a board into the alarms that are active on it."""

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]: ...


class Custody:
    """Lives on the engine's loop. Without ``make_anchor`` the head is not anchored by this process, and
    without ``retire`` nothing is ever removed by it.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        make_anchor: Callable[[], Anchor] | None,
        retire: Retirer | None = None,
        marks: Callable[[], Sequence[Mark]] = tuple,
    ) -> None:
        """``marks``: the heads an anchor holds, to hold the chain against; raises AnchorError."""
        self._journal = journal
        self._clock = clock
        self._make_anchor = make_anchor
        self._anchorage: Anchorage | None = None
        self._retire = retire
        self._marks = marks
        self._damage: str | None = None
        self._overdue: str | None = None
        self._is_unproved = False
        """Whether the last check went without the heads that are anchored."""
        self._since: dict[str, Instant] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Start anchoring, where there is an anchor."""
        if self._make_anchor is not None:
            self._anchorage = Anchorage(self._journal, self._make_anchor, self._clock)

    async def keep(self) -> None:
        """Check the chain soon and daily, retire what is due in one that is whole, and watch the clock."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._check())
            group.create_task(self._watch_clock())

    def welcome(self, config: str) -> None:
        """Journal that an operator opened the room; ``config`` is the digest of what is in force."""
        task = asyncio.get_running_loop().create_task(self._welcome(config))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Anchor the last head, briefly."""
        if self._anchorage is not None:
            self._anchorage.close()

    def over(self, book: Book) -> Book:
        """``book`` with the journal's own alarms."""
        return _WithJournal(book, self)

    def alarms(self, now: Instant) -> tuple[Alarm, ...]:
        """What is wrong with the journal itself."""
        found = []
        if self._damage is not None:
            found.append(_damaged(self._damage, now))
        if self._anchorage is not None and self._anchorage.cut_off is not None:
            found.append(_cut_off(f"is shorter than its anchor: {self._anchorage.cut_off}", now))
        elif self._journal.lost is not None:
            found.append(_cut_off(f"has lost what was in it: {self._journal.lost}", now))
        if self._journal.trouble is not None:
            found.append(_unwritable(self._journal.trouble, self._journal.unwritten, now))
        if self._anchorage is not None and self._anchorage.trouble is not None:
            found.append(_adrift(self._anchorage.trouble, now))
        if self._overdue is not None:
            found.append(_kept(self._overdue, now))
        self._since = {alarm.id: self._since.get(alarm.id, now) for alarm in found}
        return tuple(replace(alarm, since=self._since[alarm.id]) for alarm in found)

    async def _check(self) -> None:
        await asyncio.sleep(SETTLED)
        while True:
            self._damage = await asyncio.to_thread(self._look)
            if self._damage is None and self._retire is not None:
                self._damage, self._overdue = await asyncio.to_thread(self._clear, self._retire)
            await self._wait(DAILY)

    async def _wait(self, left: float) -> None:
        """Until the next check: at once when the anchor answers that did not at the last one."""
        while self._is_unproved and left > 0:
            await asyncio.sleep(AGAIN)
            left -= AGAIN
            with suppress(AnchorError):
                await asyncio.to_thread(self._marks)
                return
        await asyncio.sleep(left)

    def _look(self) -> str | None:
        """What is wrong with the chain."""
        try:
            found = self._verified()
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        return None if found.is_whole else str(found)

    def _verified(self) -> Verification:
        """The result of the check; a last line that is being written is no damage. Raises OSError."""
        marks: Sequence[Mark] = ()
        try:
            # Before the chain is read: every head that is kept by then is in it.
            marks = self._marks()
            self._is_unproved = False
        except AnchorError:
            self._is_unproved = True
        for _ in range(3):
            found = verify(self._journal.folder, marks, _rest)
            if found.damage is None or found.damage.why != "was cut off":
                break
            _rest()
        return found

    def _anchored(self) -> int | None:
        return None if self._anchorage is None else self._anchorage.settle()

    def _clear(self, retire: Retirer) -> tuple[str | None, str | None]:
        """Retire what is due; what is wrong with the chain, and why nothing could be retired, if so."""
        try:
            cleared = retire(self._verified, self._anchored, _rest)
        except BlockingIOError:
            return None, None  # Another room does it.
        except OSError as error:
            return None, error.strerror
        return cleared.damage or None, cleared.doubt or None

    async def _watch_clock(self) -> None:
        now = self._clock.now()
        offset = now.wall - now.mono
        while True:
            await asyncio.sleep(to_beat(now, TICK))
            now = self._clock.now()
            moved = now.wall - now.mono - offset
            if abs(moved) > STEP:
                offset += moved
                text = f"the clock was set {abs(moved):.1f} s {'forward' if moved > 0 else 'back'}"
                self._journal.post(Entry(Kind.CLOCK, text + (", or the host slept" if moved > 0 else "")))

    async def _welcome(self, config: str) -> None:
        try:
            before = await asyncio.to_thread(self._last_config)
        except OSError:
            before = None  # That the journal cannot be read is an alarm of its own.
        changed = before is not None and before != config
        text = "opened the room" + ("; its configuration is another than last time" if changed else "")
        self._journal.post(Entry(Kind.SESSION, text, config=config, via="screen"))

    def _last_config(self) -> str | None:
        last = None
        for record in recent(self._journal.folder):
            # What was retired is told by the record of it, until the next opening is.
            if record.get("kind") == Kind.SESSION.value or (
                record.get("kind") == Kind.RETIRED.value and last is None
            ):
                last = record.get("config")
        return None if last is None else str(last)


class _WithJournal:
    def __init__(self, book: Book, custody: Custody) -> None:
        self._book = book
        self._custody = custody

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
        found = (*self._book.evaluate(board, now), *self._custody.alarms(now))
        # A drill is overdue since the room was opened, and for weeks: it goes behind what has begun since.
        return tuple(
            sorted(found, key=lambda it: (it.priority.rank, it.subject == PRACTICE, it.since, it.id))
        )


def _rest() -> None:
    time.sleep(_REST)


def _damaged(why: str, since: Instant) -> Alarm:
    return Alarm(
        "journal-damaged",
        Priority.HIGH,
        SafeText(f"The journal does not verify: {why}", 300),
        SafeText("somebody or something changed its files, or the disk is failing"),
        SafeText("what it says from there on proves nothing"),
        SafeText(
            "Keep a copy of its folder as it is. Run `controlroom audit verify`, and ask who was there."
        ),
        since,
        SUBJECT,
    )


def _cut_off(why: str, since: Instant) -> Alarm:
    return Alarm(
        "journal-cut-off",
        Priority.HIGH,
        SafeText(f"The journal {why}", 300),
        SafeText("somebody removed its end, or an older copy of the folder took its place"),
        SafeText("what was done since that copy, resumes too, is on no record here"),
        SafeText(
            "Keep a copy of its folder as it is. Run `controlroom audit verify --anchor`; ask who was there."
        ),
        since,
        SUBJECT,
    )


def _unwritable(why: str, waiting: int, since: Instant) -> Alarm:
    return Alarm(
        "journal-unwritable",
        Priority.HIGH,
        SafeText(f"The journal cannot be written: {why}; {waiting} records wait in memory", 300),
        SafeText("the disk is full, read-only or gone, or the folder is another account's"),
        SafeText("a stop works and is marked; everything else is refused; leaving the room loses what waits"),
        SafeText(
            "Make room on the disk of the state folder (`controlroom paths`) before closing this room;"
            " `controlroom doctor` says whether this account may use it."
        ),
        since,
        SUBJECT,
    )


def _adrift(why: str, since: Instant) -> Alarm:
    return Alarm(
        "journal-not-anchored",
        Priority.LOW,
        SafeText(f"The journal's head is not anchored: {why}", 300),
        SafeText("the anchor's address, credentials or server"),
        SafeText("nobody could prove that its end was not cut off since the last anchored head"),
        SafeText("See what answers at [room.anchor] of the configuration."),
        since,
        SUBJECT,
    )


def _kept(why: str, since: Instant) -> Alarm:
    return Alarm(
        "journal-not-retired",
        Priority.LOW,
        SafeText(f"Old records of the journal are kept: {why}", 300),
        SafeText("the time cannot be trusted, or the folder cannot be changed"),
        SafeText("records stay for longer than the configuration says"),
        SafeText("See `controlroom audit retire --dry-run`, and the host's clock."),
        since,
        SUBJECT,
    )
