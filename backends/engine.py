"""The room's engine: one thread, one asyncio loop, and everything in ``backends`` wired together.

The screen and the command line are two readers of it. Nothing they do can block it, and nothing it
does waits for them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from backends import VERSION
from backends.anchored import anchored
from backends.arming import make_anchor, make_retirer
from backends.board.store import is_all_asked
from backends.checks.desk import CheckDesk
from backends.connections import Connections
from backends.journal.anchorage import Anchor
from backends.journal.custody import Custody
from backends.journal.due import Retirer, turn_of
from backends.journal.entry import Entry, Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.logs.query import FilteredLog
from backends.model.anchor import AnchorKind, AnchorPlace, Mark
from backends.model.board import Board
from backends.model.clock import Clock, Instant, SystemClock
from backends.model.intent import Identity, Intent
from backends.model.logline import LogFilter
from backends.model.port import LogMatches, LogSource
from backends.model.procedure import RiskClass, Run
from backends.model.reading import Outcome
from backends.model.secret import Secret
from backends.model.stack import Stack
from backends.model.wakes import Wake, Wakes
from backends.procedures.approval import ApprovalBook
from backends.procedures.dry_run import PlanBook
from backends.procedures.permit import arm
from backends.procedures.running import LONGEST
from backends.room import Room
from backends.rotation import Rotation
from backends.supervision import DaemonThreads, Supervisor

GRACE = 12.0
"""Seconds a stop may go on after the screen is gone: longer than any takes to its verdict."""

TIDY = 3.0
"""Seconds it may take besides to close what is open."""

AGAIN = 4.0
"""Seconds for a second look at what failed at the first."""

CANCELS = 4
"""Times a task is told to end before it is left behind."""

_LEFT: set[asyncio.Task[Any]] = set()
"""Those left behind, for as long as the process lives: let go, each would be ended where no loop runs."""


class Mode(Enum):
    ARMED = "armed"
    WATCH = "watch"
    """Read-only: the code that writes is not even imported."""


class Engine:
    """Observes stacks and runs procedures until stopped. All public methods are safe from any thread."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        mode: Mode,
        state_dir: Path,
        operator: Identity,
        clock: Clock | None = None,
        observe: bool = True,
        anchor: AnchorPlace | None = None,
        is_room: bool = False,
        keep_days: int | None = None,
        config: str = "",
    ) -> None:
        """``observe=False`` polls nothing and follows no log: for a command that only acts and verifies.

        ``is_room``: it stays open before somebody; an armed one then orders a halt again that was lost, and
        puts on record what it has told of runs that were cut off.
        ``anchor`` is where an armed session keeps the journal's head besides the journal. ``keep_days``:
        after which an armed session retires the journal's files; None for never. ``config`` is the digest of
        the configuration, for the records.
        """
        self.mode = mode
        self.operator = operator
        self.clock = clock or SystemClock()
        self._observe = observe
        self._is_room = is_room
        self._state_dir = state_dir
        self._permit = arm(operator, is_watch=mode is Mode.WATCH)
        passwords = [source.password for stack in stacks for source in stack.sources.values()]
        passwords += [] if anchor is None else [anchor.password]
        secrets = [password for password in passwords if password is not None]
        self._redactor = redactor = Redactor(secrets)
        session = Session(operator, VERSION, "watch" if mode is Mode.WATCH else "live", config)
        folder = state_dir / "journal"
        self._journal = Journal(folder, session, self.clock, redactor, turn_of(keep_days))
        self._rotation = Rotation(secrets, self._journal.post)
        keep_head: Callable[[], Anchor] | None = None
        if self._permit is not None and anchor is not None:
            keep_head = partial(make_anchor, self._permit, anchor)
        retire: Retirer | None = None
        if self._permit is not None and keep_days is not None:
            retire = make_retirer(self._permit, folder, keep_days, session, self.clock)
        marks: Callable[[], Sequence[Mark]] = tuple
        if anchor is not None and anchor.kind is not AnchorKind.SYSLOG:
            marks = partial(anchored, anchor, operator.host, str(folder.absolute()))
        self._custody = Custody(self._journal, self.clock, keep_head, retire, marks)
        self._supervisor = Supervisor(self.clock, self._journal.post)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonThreads())
        self._loop.set_exception_handler(self._supervisor.on_loop_fault)
        self._thread: threading.Thread | None = None
        self._wakes = Wakes()
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._connections = Connections(redactor.text)
        self._rooms = {
            stack.id: Room(
                stack,
                self.clock,
                self._connections,
                redactor,
                self._changed,
                self._journal,
                state_dir,
                self._custody,
                self._supervisor,
                self._permit,
                self._call,
            )
            for stack in stacks
        }

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks observed, in configured order."""
        return tuple(room.stack for room in self._rooms.values())

    def start(self) -> None:
        """Start the thread and return at once; boards start as all-NEVER."""
        self._custody.begin()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def stop(self, grace: float = GRACE) -> None:
        """Let a stop reach its verdict (at most ``grace`` seconds) and what else was confirmed its end, not
        a restore; without ``grace`` nothing. Then close everything and join. Called again it goes on waiting.
        """
        if self._thread is None:
            return
        self._grace = grace
        self._call(self._stopping.set)
        self._thread.join(grace + TIDY)
        until = time.monotonic() + LONGEST
        while grace > 0 and self._thread.is_alive() and self.at_work() and time.monotonic() < until:
            self._thread.join(1.0)
        if grace > 0:
            # A verdict is shown before it is written down, and what acted is closed after that.
            self._thread.join(TIDY)
        self._journal.close()
        self._custody.close()

    @property
    def unwritten(self) -> int:
        """Records of the journal that are not on the disk; once stopped, those that never will be."""
        return self._journal.unwritten

    def board(self, stack: str) -> Board:
        """The newest board of a stack. Never blocks."""
        return self._rooms[stack].store.board

    def logs(self, stack: str) -> LogSource:
        """The stack's merged log ring."""
        return self._rooms[stack].ring

    def filtered(self, stack: str, wanted: LogFilter) -> LogMatches:
        """The rows of ``logs`` that pass, found little by little. ValueError for a pattern not to be used."""
        return FilteredLog(self._rooms[stack].ring, wanted)

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """Call ``wake`` on the engine's thread after every change; returns the unsubscriber.

        ``wake`` must return at once (set a flag, ``call_soon_threadsafe``).
        """
        return self._wakes.add(wake)

    def submit(self, intent: Intent) -> None:
        """Hand over an intent and return at once; its ``Run`` appears on the board.

        In watch mode the run is journalled as REFUSED and nothing else happens. A second intent for a
        procedure that is already running attaches to the first run and is journalled.
        """
        procedure = self._rooms[intent.stack].stack.procedures.get(intent.procedure)
        for param in procedure.params if procedure is not None else ():
            if param.is_secret and param.name in intent.params:
                # Whoever it is sent to may quote it.
                self._redactor.register(Secret(intent.params[param.name]))
        if procedure is not None and procedure.risk is RiskClass.STOP:
            for room in self._rooms.values():
                self._call(room.hush)
        self._call(self._rotation.hurry)
        self._call(self._rooms[intent.stack].begin, intent)

    def run(self, operation: str) -> Run | None:
        """The run of an intent, by its id."""
        for room in self._rooms.values():
            for run in room.store.board.runs:
                if run.operation == operation:
                    return run
        return None

    def at_work(self) -> tuple[Run, ...]:
        """The runs of this process that have no verdict yet, over all stacks."""
        runs = (run for room in self._rooms.values() for run in room.store.board.runs)
        return tuple(run for run in runs if run.verdict is None and not run.room)

    def record(self, event: str, stack: str, procedure: str, detail: str) -> None:
        """Journal something that is not a run: ``abandoned`` (a dialog), ``refused`` (a key)."""
        kind = {"abandoned": Kind.ABANDONED, "refused": Kind.REFUSED}.get(event, Kind.NOTE)
        environment = self.board(stack).environment.value
        self._journal.post(Entry(kind, detail, stack, environment, procedure, via="screen"))

    def welcome(self, config: str) -> None:
        """Journal that the operator opened the room; ``config`` is the digest of the configuration."""
        self._call(self._custody.welcome, config)

    def attest(self, stack: str, operation: str, step: str, *, is_promised: bool = False) -> None:
        """Confirm, as this session's operator, the step that a run waits for (``Run.awaits``); it goes on
        record whether that was promised before there was anything to confirm."""
        self._call(self._rooms[stack].attest, operation, step, self.operator, is_promised)

    def interrupt(self, stack: str, operation: str) -> None:
        """Let a run that is no stop send nothing more; what was sent is still read back. A stop goes on."""
        self._call(self._rooms[stack].interrupt, operation, self.operator)

    def held(self, stack: str, procedure: str) -> float:
        """Seconds for which everything the procedure demands has held, as far as it was watched."""
        return self._rooms[stack].held(procedure)

    def acknowledge_resume(self, stack: str) -> None:
        """Take note of an unexplained resume: its alarm ends, and the journal says who saw it."""
        self.record("acknowledged", stack, "", f"{self.operator.user} has seen the unexplained resume")
        self._call(self._rooms[stack].acknowledge)

    def approvals(self) -> ApprovalBook:
        """Where a second person's consent is asked for and given; safe from any thread."""
        return ApprovalBook(self._state_dir / "approvals", self.clock)

    def is_shown(self, plan: str) -> bool:
        """Whether a dry run has shown the plan of that hash, and lately enough."""
        return PlanBook(self._state_dir / "plans", self.clock).objection(plan, ()) is None

    def checks(self, stack: str) -> CheckDesk:
        """Where the stack's checks, checklists and diagnoses are run and kept; safe from any thread."""
        return self._rooms[stack].checks

    def refresh(self, stack: str) -> None:
        """Poll every source of the stack now."""
        self._call(self._rooms[stack].poke)

    def wait_asked(self, stack: str, timeout: float) -> bool:
        """Block until every source of the stack has answered or failed once; False at the time-out."""
        return self._wait(stack, is_all_asked, timeout)

    def wait_answered(self, timeout: float, *stacks: str) -> bool:
        """Like ``wait_asked`` for each stack, but what failed is asked once more before it counts: the first
        look comes while everything is still being loaded. What hangs costs its deadline twice in all.
        """
        until = time.monotonic() + timeout
        asked = [stack for stack in stacks if self.wait_asked(stack, until - time.monotonic())]
        failed = {stack: self._failed(stack) for stack in asked}
        for stack in asked:
            if failed[stack]:
                self.refresh(stack)
        until = min(until, time.monotonic() + AGAIN)

        def is_asked_again(board: Board) -> bool:
            # What is no longer there at all is asked for no more.
            before = failed[board.stack]
            return all(it.received != before.get(key) for key, it in board.readings.items())

        heard = [self._wait(stack, is_asked_again, until - time.monotonic()) for stack in asked]
        return len(asked) == len(stacks) and all(heard)

    def _failed(self, stack: str) -> dict[str, Instant]:
        """When each of the values that could not be read was last asked for."""
        readings = self.board(stack).readings
        return {key: it.received for key, it in readings.items() if it.outcome is Outcome.FAILED}

    def _wait(self, stack: str, is_so: Callable[[Board], bool], timeout: float) -> bool:
        done = threading.Event()

        def look() -> None:
            if is_so(self.board(stack)):
                done.set()

        unsubscribe = self.subscribe(look)
        look()
        try:
            return done.wait(timeout)
        finally:
            unsubscribe()

    def _changed(self) -> None:
        for wake in self._wakes:
            try:
                wake()
            except Exception as fault:
                # One reader that fails is not called again, and keeps nothing from the others.
                self._wakes.drop(wake)
                self._supervisor.note("a screen's wake-up", fault)

    def _call(self, what: Callable[..., Any], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *arguments)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        rooms = tuple(self._rooms.values())
        keep, permit, journal = self._supervisor.keep, self._permit, self._journal
        work = [keep("what acts", partial(room.arm, permit, journal, self._observe)) for room in rooms]
        if self._observe:
            work += [room.observe() for room in rooms]
            teller = permit if self._is_room else None
            work += [keep("the restart", partial(room.reconcile, teller, journal)) for room in rooms]
            work.append(keep("the journal's keeper", self._custody.keep))
            work += [keep("the other rooms", partial(room.watch_neighbours, journal)) for room in rooms]
            work.append(keep("the secrets", self._rotation.keep))
            work += [keep("the record of drills", room.watch_drills) for room in rooms]
        if permit is not None and self._is_room:
            work += [keep("the keeper of halts", partial(room.keep_halted, permit)) for room in rooms]
        tasks = {asyncio.create_task(each) for each in work}
        await self._stopping.wait()
        await asyncio.gather(*(room.close(self._grace) for room in rooms), return_exceptions=True)
        for _ in range(CANCELS):
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.5)
            if not tasks:
                break
        _LEFT.update(tasks)
        await self._connections.close()
