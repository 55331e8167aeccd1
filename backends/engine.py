"""The room's engine: one thread, one asyncio loop, and everything in ``backends`` wired together.

The screen and the command line are two readers of it. Nothing they do can block it, and nothing it
does waits for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.alarms.book import AlarmBook
from backends.board.fresh import FreshReader
from backends.board.poll import FactTask, Poller, ServiceTask, Task
from backends.board.store import Store, is_all_asked
from backends.journal.entry import Entry, Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.logs.ring import LogRing
from backends.model.board import Board
from backends.model.clock import Clock, SystemClock
from backends.model.intent import Identity, Intent
from backends.model.port import FactReader, LogSource
from backends.model.procedure import Effector, Proof, Run
from backends.model.stack import Source, SourceKind, Stack
from backends.procedures.evidence import Eyes
from backends.procedures.permit import Permit, arm
from backends.procedures.restart import reconcile
from backends.procedures.runner import Procedures

if TYPE_CHECKING:
    import httpx

TICK = 1.0
"""Seconds between two looks at readings that nothing refreshed."""

_LOADING = threading.Lock()
"""Held while a client library loads: two threads that import parts of one library see half of it."""

WARM = 20.0
"""Seconds between two looks whether the connections of the stop path still live."""


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
    ) -> None:
        """``observe=False`` polls nothing and follows no log: for a command that only acts and verifies."""
        self.mode = mode
        self.operator = operator
        self.clock = clock or SystemClock()
        self._observe = observe
        self._permit = arm(operator, is_watch=mode is Mode.WATCH)
        passwords = [source.password for stack in stacks for source in stack.sources.values()]
        redactor = Redactor(password for password in passwords if password is not None)
        session = Session(operator, version("controlroom"), "watch" if mode is Mode.WATCH else "live")
        self._journal = Journal(state_dir / "journal", session, self.clock, redactor)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._wakes: tuple[Callable[[], None], ...] = ()
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._shared = _SharedClients()
        self._rooms = {
            stack.id: _Room(stack, self.clock, self._shared, redactor, self._changed) for stack in stacks
        }

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks observed, in configured order."""
        return tuple(room.stack for room in self._rooms.values())

    def start(self) -> None:
        """Start the thread and return at once; boards start as all-NEVER."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def stop(self, grace: float = 2.0) -> None:
        """Let running stop procedures end (at most ``grace`` seconds), close everything, join."""
        if self._thread is None:
            return
        self._grace = grace
        self._call(self._stopping.set)
        self._thread.join(grace + 3.0)
        self._journal.close()

    def board(self, stack: str) -> Board:
        """The newest board of a stack. Never blocks."""
        return self._rooms[stack].store.board

    def logs(self, stack: str) -> LogSource:
        """The stack's merged log ring."""
        return self._rooms[stack].ring

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
            wake()

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
        tasks = [asyncio.create_task(room.arm(self._permit, self._journal, self._observe)) for room in rooms]
        if self._observe:
            tasks += [asyncio.create_task(room.observe()) for room in rooms]
            tasks += [asyncio.create_task(room.reconcile(self._permit, self._journal)) for room in rooms]
        await self._stopping.wait()
        await asyncio.gather(*(room.close(self._grace) for room in rooms))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shared.close()


class _SharedClients:
    """What several sources read through: one HTTP client for all."""

    def __init__(self) -> None:
        self._http: httpx.AsyncClient | None = None

    def fact_reader(self, source: Source, clock: Clock) -> FactReader:
        """A reader for a source of facts. Loads its client library: call it in a thread."""
        with _LOADING:
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

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()


class _Room:
    """One stack: its store, its pollers, its logs, and what acts on it. Lives on the engine's loop."""

    def __init__(
        self,
        stack: Stack,
        clock: Clock,
        shared: _SharedClients,
        redactor: Redactor,
        changed: Callable[[], None],
    ) -> None:
        self.stack = stack
        self._clock = clock
        self._shared = shared
        self.store = Store(stack, clock, AlarmBook(stack, clock.now()), changed)
        self.ring = LogRing(stack.logs, redact=redactor.text, clock=clock)
        self._pollers: dict[str, Poller] = {}
        self._verifier = FreshReader(stack, lambda source: shared.fact_reader(source, clock), clock)
        self._procedures: asyncio.Future[Procedures] | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def arm(self, permit: Permit | None, journal: Journal, keep_warm: bool) -> None:
        """Make ready what acts, then keep its connections warm until cancelled."""
        ready = self._ready()
        effectors = {} if permit is None else await asyncio.to_thread(_effectors, permit, self.stack)
        ready.set_result(
            Procedures(self.stack, permit, effectors, self._verifier, journal, self._clock, self._show)
        )
        while keep_warm and permit is not None:
            await ready.result().warm()
            await self._verifier.warm(sorted({proof.fact for proof in self._proofs()}))
            await asyncio.sleep(WARM)

    async def observe(self) -> None:
        """Watch every source until cancelled."""
        gates = {self.stack.facts[gate.fact].source for gate in self.stack.gates}
        ordered = sorted(self.stack.sources.values(), key=lambda source: source.id not in gates)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            for source in ordered:
                poller = Poller(source, self._maker(source, loop), self.store, self._clock)
                self._pollers[source.id] = poller
                group.create_task(poller.run())

    async def reconcile(self, permit: Permit | None, journal: Journal) -> None:
        """Tell of runs that a former process left unfinished; only an armed room closes them."""
        eyes = Eyes(self._verifier, self.stack.facts, self._clock)
        is_armed = permit is not None
        await reconcile(self.stack, eyes, journal, self._clock, self.store.show_run, closes=is_armed)

    def poke(self) -> None:
        """Poll everything now."""
        for poller in self._pollers.values():
            poller.poke()

    def begin(self, intent: Intent) -> None:
        """Start the intent's procedure, or attach to the run there is."""
        task = asyncio.get_running_loop().create_task(self._execute(intent))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self, grace: float) -> None:
        """End what acts: a running procedure may reach its verdict within ``grace`` seconds."""
        ready = self._ready()
        if ready.done():
            await ready.result().close(grace)
        await self._verifier.close()

    def _show(self, run: Run) -> None:
        self.store.show_run(run)
        if run.verdict is not None:
            # The board must show the effect by its ordinary way, and soon.
            self.poke()

    async def _execute(self, intent: Intent) -> None:
        procedures = await asyncio.shield(self._ready())
        await procedures.execute(intent, self.store.board)

    def _ready(self) -> asyncio.Future[Procedures]:
        if self._procedures is None:
            self._procedures = asyncio.get_running_loop().create_future()
        return self._procedures

    def _proofs(self) -> list[Proof]:
        return [
            proof
            for procedure in self.stack.procedures.values()
            for step in procedure.steps
            for proof in step.proof
        ]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.store.tick()

    def _maker(self, source: Source, loop: asyncio.AbstractEventLoop) -> Callable[[], Task]:
        if source.kind is SourceKind.DOCKER:
            return lambda: self._service_task(source, loop)
        facts = [fact for fact in self.stack.facts.values() if fact.source == source.id]
        shared, clock, store = self._shared, self._clock, self.store
        return lambda: FactTask(source, facts, shared.fact_reader(source, clock), store)

    def _service_task(self, source: Source, loop: asyncio.AbstractEventLoop) -> Task:
        with _LOADING:
            from backends.readers.docker import DockerServiceReader

        expected = [spec for spec in self.stack.services if spec.source == source.id]

        def poke() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._pollers[source.id].poke)

        reader = DockerServiceReader(
            source,
            expected,
            poke=poke,
            logs=self.ring,
            clock=self._clock,
        )
        return ServiceTask(source, reader, self.store)


def _effectors(_permit: Permit, stack: Stack) -> dict[str, Effector]:
    """The writers this stack's procedures need: made here and nowhere else, and only with a permit."""
    named = {step.action.source for procedure in stack.procedures.values() for step in procedure.steps}
    made: dict[str, Effector] = {}
    with _LOADING:
        for source in (stack.sources[name] for name in sorted(named) if name in stack.sources):
            # One writer that cannot be made must not take the others with it: its steps will fail, in words.
            with suppress(Exception):
                made[source.id] = _effector(source)
    return made


def _effector(source: Source) -> Effector:
    if source.kind is SourceKind.REDIS:
        from backends.writers.redis import RedisEffector

        return RedisEffector(source)
    if source.kind is SourceKind.HTTP:
        from backends.writers.http import HttpEffector

        return HttpEffector(source)
    raise ValueError(f"nothing can be written to {source.kind.value}")
