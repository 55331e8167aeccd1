"""Where the screen and the command line run a stack's checks, see what they said, and confirm items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from backends.checks.attestation import attestation, attested, reset
from backends.checks.examiner import Examiner
from backends.journal.entry import Entry
from backends.journal.journal import Recorder
from backends.journal.unfinished import recent
from backends.model.board import Board
from backends.model.check import Check, Diagnosis
from backends.model.clock import Clock, Instant
from backends.model.examination import Attestations, Examined, Results, key_of
from backends.model.reading import Reading
from backends.model.stack import Stack
from backends.procedures.permit import Permit

LOOKED_THROUGH: Final = 8 * 1024 * 1024
"""Bytes of the journal's end in which confirmations are looked for."""

WRITING: Final = 2.0
"""Seconds a confirmation may take to be on the disk."""


class NotWrittenError(Exception):
    """A confirmation that is not in the journal is none; the message says why it is not."""


class CheckDesk:
    """One stack's checks. The methods are safe from any thread and return at once; work is done on the
    engine's loop, and ``changed`` is called whenever ``results``, ``running`` or ``attested`` did.
    """

    def __init__(
        self,
        stack: Stack,
        examiner: Examiner,
        journal: tuple[Recorder, Path],
        board: Callable[[], Board],
        clock: Clock,
        permit: Permit | None,
        call: Callable[..., None],
        changed: Callable[[], None],
    ) -> None:
        """``journal`` is what writes it and the folder it is in; ``call`` runs a function on the loop."""
        self.results: Results = {}
        """What was examined in this session, newest each; replaced, never changed."""
        self.running: frozenset[str] = frozenset()
        """What is being examined, by ``key_of``."""
        self.attested: Attestations = {}
        """What is confirmed and counts, as of the last ``read_journal``, ``attest`` or ``reset``."""
        self.looked: Mapping[str, Reading[Any]] = {}
        """Facts that are never polled, as last looked up for whoever asked by ``look``."""
        self._looking: frozenset[str] = frozenset()
        self._stack = stack
        self._examiner = examiner
        self._journal, self._folder = journal
        self._board = board
        self._clock = clock
        self._permit = permit
        self._call = call
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()

    def examine(self, wanted: Sequence[Check | Diagnosis]) -> Future[Results]:
        """Run them on fresh readings; the result comes within ``LONGEST`` seconds and is kept here too."""
        return self._start(lambda: self._examine(wanted))

    def diagnose(self, service: str) -> Future[Results]:
        """Run every diagnosis about this service."""
        return self.examine([it for it in self._stack.diagnoses.values() if it.service == service])

    def look(self, facts: Iterable[str]) -> None:
        """Look these facts up for somebody who waits for them, each again after half its period."""
        self._call(self._begin_look, tuple(facts))

    def read_journal(self) -> Future[Attestations]:
        """Look up what is confirmed, by anybody who writes to this journal."""
        return self._start(self._read_journal)

    def attest(self, checklist: str, item: str, via: str) -> Future[Attestations]:
        """Confirm one item as this session's operator.

        The future raises KeyError for no such item, NotWrittenError when it is not in the journal: then
        it does not count.
        """
        return self._start(
            lambda: self._write(attestation(self._board(), self._stack.checklists[checklist], item, via))
        )

    def reset(self, checklist: str, via: str) -> Future[Attestations]:
        """Begin a checklist anew: what was confirmed of it counts no more. Raises as ``attest`` does."""
        return self._start(lambda: self._write(reset(self._board(), self._stack.checklists[checklist], via)))

    def _start(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        # Who no longer waits, having closed a screen, takes nothing back: the work goes on to its end.
        future.set_running_or_notify_cancel()

        async def tell() -> None:
            try:
                future.set_result(await work())
            except Exception as fault:
                # Whoever asked is told; the engine goes on.
                future.set_exception(fault)

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._call(begin)
        return future

    def _begin_look(self, facts: Sequence[str]) -> None:
        now = self._clock.now()
        due = frozenset(name for name in facts if self._is_due(name, now)) - self._looking
        if due:
            self._looking |= due
            task = asyncio.get_running_loop().create_task(self._look(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_due(self, name: str, now: Instant) -> bool:
        reading = self.looked.get(name)
        return reading is None or reading.age(now) > reading.period / 2

    async def _look(self, facts: frozenset[str]) -> None:
        try:
            self.looked = {**self.looked, **await self._examiner.look(facts)}
        finally:
            self._looking -= facts
            self._changed()

    async def _examine(self, wanted: Sequence[Check | Diagnosis]) -> Mapping[str, Examined]:
        keys = frozenset(map(key_of, wanted))
        self.running |= keys
        self._changed()
        try:
            found = await self._examiner.examine(wanted)
            self.results = {**self.results, **found}
        finally:
            self.running -= keys
            self._changed()
        return found

    async def _read_journal(self) -> Attestations:
        try:
            self.attested = await asyncio.to_thread(self._look_up)
        except OSError:
            # Nobody can say what was confirmed: then nothing was.
            self.attested = {}
        self._changed()
        return self.attested

    def _look_up(self) -> Attestations:
        return attested(self._records(), self._stack, self._clock.now())

    def _records(self) -> Iterator[Mapping[str, Any]]:
        return recent(self._folder, LOOKED_THROUGH)

    async def _write(self, entry: Entry) -> Attestations:
        if self._permit is None:
            raise NotWrittenError("this session only watches; confirm it where you may act")
        if not await self._journal.record(entry, WRITING):
            raise NotWrittenError("the journal could not be written: it does not count until it is")
        return await self._read_journal()
