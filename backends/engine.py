"""The room's engine: one thread, one asyncio loop, and everything in ``backends`` wired together.

The screen and the command line are two readers of it. Nothing they do can block it, and nothing it
does waits for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.board.store import is_all_asked
from backends.journal.anchorage import Anchor
from backends.journal.custody import Custody
from backends.journal.entry import Entry, Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.loading import LOADING
from backends.logs.query import FilteredLog
from backends.model.action import Action, Command
from backends.model.anchor import AnchorPlace
from backends.model.board import Board
from backends.model.clock import Clock, SystemClock
from backends.model.intent import Identity, Intent
from backends.model.logline import LogFilter
from backends.model.port import FactReader, LogMatches, LogSink, LogSource, ServiceReader
from backends.model.procedure import Effector, Receipt, ReceiptKind, Run, Step
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind, Stack
from backends.procedures.approval import ApprovalBook
from backends.procedures.permit import Permit, arm
from backends.room import Room
from backends.supervision import DaemonThreads, Supervisor

if TYPE_CHECKING:
    import httpx

GRACE = 12.0
"""Seconds a procedure may go on after the screen is gone: longer than any stop takes to its verdict."""

CANCELS = 4
"""Times a task is told to end before it is left behind."""


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
    ) -> None:
        """``observe=False`` polls nothing and follows no log: for a command that only acts and verifies.

        ``anchor`` is where an armed session keeps the journal's head besides the journal.
        """
        self.mode = mode
        self.operator = operator
        self.clock = clock or SystemClock()
        self._observe = observe
        self._state_dir = state_dir
        self._permit = arm(operator, is_watch=mode is Mode.WATCH)
        passwords = [source.password for stack in stacks for source in stack.sources.values()]
        passwords += [] if anchor is None else [anchor.password]
        redactor = Redactor(password for password in passwords if password is not None)
        session = Session(operator, version("controlroom"), "watch" if mode is Mode.WATCH else "live")
        self._journal = Journal(state_dir / "journal", session, self.clock, redactor)
        make_anchor: Callable[[], Anchor] | None = None
        if self._permit is not None and anchor is not None:
            make_anchor = partial(_anchor, self._permit, anchor)
        self._custody = Custody(self._journal, self.clock, make_anchor)
        self._supervisor = Supervisor(self.clock, self._journal.post)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonThreads())
        self._loop.set_exception_handler(self._supervisor.on_loop_fault)
        self._thread: threading.Thread | None = None
        self._wakes: tuple[Callable[[], None], ...] = ()
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._shared = _SharedClients(redactor.text)
        self._rooms = {
            stack.id: Room(
                stack,
                self.clock,
                self._shared,
                redactor,
                self._changed,
                self._journal,
                state_dir,
                self._custody,
                self._supervisor,
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
        """Let running procedures reach their verdict (at most ``grace`` seconds), close everything, join."""
        if self._thread is None:
            return
        self._grace = grace
        self._call(self._stopping.set)
        self._thread.join(grace + 3.0)
        self._journal.close()
        self._custody.close()

    def board(self, stack: str) -> Board:
        """The newest board of a stack. Never blocks."""
        return self._rooms[stack].store.board

    def logs(self, stack: str) -> LogSource:
        """The stack's merged log ring."""
        return self._rooms[stack].ring

    def filtered(self, stack: str, wanted: LogFilter) -> LogMatches:
        """The rows of ``logs`` that pass, found little by little. ValueError for a pattern not to be used."""
        return FilteredLog(self._rooms[stack].ring, wanted)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` on the engine's thread after every change; returns the unsubscriber.

        ``wake`` must return at once (set a flag, ``call_soon_threadsafe``).
        """
        self._wakes = (*self._wakes, wake)

        def unsubscribe() -> None:
            self._wakes = tuple(known for known in self._wakes if known is not wake)

        return unsubscribe

    def submit(self, intent: Intent) -> None:
        """Hand over an intent and return at once; its ``Run`` appears on the board.

        In watch mode the run is journalled as REFUSED and nothing else happens. A second intent for a
        procedure that is already running attaches to the first run and is journalled.
        """
        self._call(self._rooms[intent.stack].begin, intent)

    def run(self, operation: str) -> Run | None:
        """The run of an intent, by its id."""
        for room in self._rooms.values():
            for run in room.store.board.runs:
                if run.operation == operation:
                    return run
        return None

    def record(self, event: str, stack: str, procedure: str, detail: str) -> None:
        """Journal something that is not a run: ``abandoned`` (a dialog), ``refused`` (a key)."""
        kind = {"abandoned": Kind.ABANDONED, "refused": Kind.REFUSED}.get(event, Kind.NOTE)
        environment = self.board(stack).environment.value
        self._journal.post(Entry(kind, detail, stack, environment, procedure, via="screen"))

    def welcome(self, config: str) -> None:
        """Journal that the operator opened the room; ``config`` is the digest of the configuration."""
        self._call(self._custody.welcome, config)

    def attest(self, stack: str, operation: str, step: str) -> None:
        """Confirm, as this session's operator, the step that a run waits for (``Run.awaits``)."""
        self._call(self._rooms[stack].attest, operation, step, self.operator)

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

    def refresh(self, stack: str) -> None:
        """Poll every source of the stack now."""
        self._call(self._rooms[stack].poke)

    def wait_asked(self, stack: str, timeout: float) -> bool:
        """Block until every source of the stack has answered or failed once; False at the time-out."""
        done = threading.Event()

        def look() -> None:
            if is_all_asked(self.board(stack)):
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
                self._wakes = tuple(known for known in self._wakes if known is not wake)
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
            work += [keep("the restart", partial(room.reconcile, permit, journal)) for room in rooms]
            work.append(keep("the journal's keeper", self._custody.keep))
        tasks = {asyncio.create_task(each) for each in work}
        await self._stopping.wait()
        await asyncio.gather(*(room.close(self._grace) for room in rooms), return_exceptions=True)
        for _ in range(CANCELS):
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.5)
            if not tasks:
                break
        await self._shared.close()


class _SharedClients:
    """What several sources read through: one HTTP client for all."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._http: httpx.AsyncClient | None = None

    def fact_reader(self, source: Source, clock: Clock) -> FactReader:
        """A reader for a source of facts. Loads its client library: call it in a thread."""
        with LOADING:
            return self._fact_reader(source, clock)

    def _fact_reader(self, source: Source, clock: Clock) -> FactReader:
        if source.kind is SourceKind.REDIS:
            from backends.readers.redis import RedisFactReader

            return RedisFactReader(source, clock)
        if source.kind is SourceKind.POSTGRES:
            from backends.readers.postgres import PostgresFactReader

            return PostgresFactReader(source)
        if source.kind is SourceKind.HTTP:
            from backends.readers.http import HttpFactReader, new_client

            self._http = self._http or new_client()
            return HttpFactReader(source, self._http, clock)
        raise ValueError(f"{source.kind.value} holds no facts")

    def service_reader(
        self,
        stack: Stack,
        source: Source,
        clock: Clock,
        poke: Callable[[], None] | None = None,
        logs: LogSink | None = None,
    ) -> ServiceReader:
        """A reader of the stack's services: with ``poke`` it streams, without it is for single looks."""
        with LOADING:
            from backends.readers.docker import DockerServiceReader

        expected = [spec for spec in stack.services if spec.source == source.id]
        streams = poke is not None
        return DockerServiceReader(source, expected, poke=poke, logs=logs, clock=clock, is_streaming=streams)

    def effectors(self, permit: Permit, stack: Stack) -> dict[str, Effector]:
        """The writers of an armed session."""
        return _effectors(permit, stack, self._redact)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()


class _Unmade:
    """In place of a writer that could not be made: each of its steps fails and says so."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def act(self, _action: Action, _values: Mapping[str, Any], _step: Step) -> Receipt:
        return Receipt(ReceiptKind.FAILED, SafeText(f"its writer could not be made: {self._why}"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


def _anchor(_permit: Permit, place: AnchorPlace) -> Anchor:
    """The writer of the journal's anchor; only with a permit."""
    with LOADING:
        from backends.writers.anchor import make_anchor

        return make_anchor(place)


def _effectors(_permit: Permit, stack: Stack, redact: Callable[[str], str]) -> dict[str, Effector]:
    """The writers this stack's procedures need: made here and nowhere else, and only with a permit."""
    actions = [step.action for procedure in stack.procedures.values() for step in procedure.steps]
    made: dict[str, Effector] = {}
    with LOADING:
        for name in sorted({action.source for action in actions}):
            # One writer that cannot be made must not take the others with it: its steps will fail, in words.
            try:
                commands = [each for each in actions if isinstance(each, Command) and each.source == name]
                if name in stack.sources:
                    made[name] = _effector(stack.sources[name], stack)
                elif commands:
                    made[name] = _commander(commands, redact)
            except Exception as error:
                made[name] = _Unmade(type(error).__name__)
    return made


def _effector(source: Source, stack: Stack) -> Effector:
    if source.kind is SourceKind.REDIS:
        from backends.writers.redis import RedisEffector

        return RedisEffector(source)
    if source.kind is SourceKind.HTTP:
        from backends.writers.http import HttpEffector

        return HttpEffector(source)
    if source.kind is SourceKind.POSTGRES:
        from backends.writers.postgres import PostgresEffector

        return PostgresEffector(source)
    if source.kind is SourceKind.SYSTEMD:
        from backends.writers.systemd import SystemdEffector

        return SystemdEffector(source, stack.services)
    from backends.writers.docker import DockerEffector

    return DockerEffector(source, stack.services)


def _commander(allowed: Sequence[Command], redact: Callable[[str], str]) -> Effector:
    """What runs this host's programs: those that the stack file lists, and no others."""
    from backends.writers.command import CommandEffector

    return CommandEffector(allowed, redact)
