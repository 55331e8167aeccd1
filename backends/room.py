"""One stack in the engine: what observes it, what acts on it, and the board both meet on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from backends.alarms.book import AlarmBook
from backends.board.backoff import LONGEST
from backends.board.first_look import FirstLook
from backends.board.fresh import FreshReader
from backends.board.ingest import Readings
from backends.board.poll import AFTER, LATER, FactTask, Poller, ServiceTask, Task
from backends.board.store import Store
from backends.checks.desk import CheckDesk
from backends.checks.examiner import Examiner
from backends.connections import Connections
from backends.journal.custody import Custody
from backends.journal.drills import DrillBook, overdue
from backends.journal.entry import Kind, boot_id
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.tail import Prompt, Tail
from backends.logs.merge import PATIENCE, PAUSE
from backends.logs.ring import LogRing
from backends.model.alarm import Alarm
from backends.model.board import Board
from backends.model.clock import Clock, Instant, to_beat
from backends.model.intent import Identity, Intent
from backends.model.procedure import Effector, Proof, RiskClass, Run, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment, Source, SourceKind, Stack
from backends.procedures.disk import free
from backends.procedures.elsewhere import under_way, watch
from backends.procedures.evidence import Eyes
from backends.procedures.latch import Latch, halts_trading
from backends.procedures.past import Past
from backends.procedures.permit import Permit
from backends.procedures.reassert import HaltKeeper
from backends.procedures.restart import reconcile
from backends.procedures.runner import Procedures
from backends.procedures.trader_latch import TraderLatch, latches
from backends.procedures.unchanged import Unchanged
from backends.supervision import Supervisor

DRILLS = 3600.0
"""Seconds between two looks at the record of drills."""

TICK = 1.0
"""Seconds between two looks at readings that nothing refreshed."""

GATE_RETRY = 1.2
"""Seconds between two tries, at the most and before they are spread, of a source that decides about trading:
once it answers again, a halt that it lost is seen at once."""

GATHER = 0.025
"""Seconds in which answers of several sources are gathered for one board. What answers later has another."""

HUSH = 0.25
"""Seconds after an order to stop in which no poll begins: nothing may come between the key and its effect."""

LAST_WORDS = 2.0
"""Seconds at the end for what was shown already to be written down."""

WARM = 20.0
"""Seconds between two looks whether the connections of the stop path still live."""


class Room:
    """One stack: its store, its pollers, its logs, and what acts on it. Lives on the engine's loop."""

    def __init__(
        self,
        stack: Stack,
        clock: Clock,
        connections: Connections,
        redactor: Redactor,
        changed: Callable[[], None],
        journal: Journal,
        state_dir: Path,
        custody: Custody,
        supervisor: Supervisor,
        permit: Permit | None,
        call: Callable[..., None],
    ) -> None:
        self.stack = stack
        self._state_dir = state_dir
        self._clock = clock
        self._opened = clock.now()
        self._gates = {stack.facts[gate.fact].source for gate in stack.gates}
        self._connections = connections
        self._records = Tail(
            journal.folder,
            lambda it: it.get("stack", stack.id) == stack.id and it.get("kind") != Kind.STEP.value,
        )
        # Asked while a board is made, and so between the key of a stop and its effect.
        self._latches = latches(stack, lambda: Prompt(self._records))
        self._keeper = HaltKeeper(stack, Prompt(self._records))
        self._drills = DrillBook(state_dir)
        book = _WithLatch(AlarmBook(stack, clock.now()), self._latches, self._keeper, self._undrilled)
        self._supervisor = supervisor
        past = Past(stack, Prompt(self._records), journal.host, boot_id())
        unchanged = Unchanged(stack, lambda: self.store.board.runs)

        def dated(readings: Readings) -> Readings:
            return unchanged.dated(past.dated(readings))

        self.store = Store(stack, clock, supervisor.over(custody.over(book)), changed, dated, self._gathered)
        pause = PAUSE if _follows_one_engine(stack) else PATIENCE
        self.ring = LogRing(stack.logs, pause=pause, redact=redactor.text, clock=clock)
        self._first = FirstLook(stack, self.store, lambda: self.ring.end > 0, clock)
        self._pollers: dict[str, Poller] = {}
        self._verifier = FreshReader(
            stack,
            lambda source: connections.fact_reader(stack, source, clock),
            clock,
            lambda source: connections.service_reader(stack, source, clock),
            self.store.deriver,
            dated,
        )
        # Apart from what a stop is proved by: a check that waits for a dead source takes no lane of it.
        self._examining = FreshReader(
            stack,
            lambda source: connections.fact_reader(stack, source, clock),
            clock,
            lambda source: connections.service_reader(stack, source, clock),
            self.store.deriver,
            dated,
        )
        self.checks = CheckDesk(
            stack,
            Examiner(stack, self._examining, clock),
            (journal, journal.folder),
            lambda: self.store.board,
            clock,
            permit,
            call,
            changed,
        )
        self._procedures: asyncio.Future[Procedures] | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def arm(self, permit: Permit | None, journal: Journal, keep_warm: bool) -> None:
        """Make ready what acts, then keep its connections warm until cancelled."""
        ready = self._ready()
        if not ready.done():
            effectors: dict[str, Effector] = {}
            if permit is not None:
                effectors = await asyncio.to_thread(self._connections.effectors, permit, self.stack)
            procedures = Procedures(
                self.stack, permit, effectors, self._verifier, journal, self._clock, self._show,
                state=self._state_dir, recent=self._records,
                elsewhere=partial(under_way, journal, self.stack.id), free=partial(free, journal.folder),
            )  # fmt: skip
            ready.set_result(procedures)
        if keep_warm:
            await self._first.asked(self.stack.sources)
        while keep_warm and permit is not None:
            await ready.result().warm()
            await self._verifier.warm(
                sorted({proof.fact for proof in self._proofs()} & self.stack.facts.keys())
            )
            await asyncio.sleep(WARM)

    async def observe(self) -> None:
        """Watch every source until cancelled."""
        first = self._first.sources
        polled = [source for source in self.stack.sources.values() if source.kind is not SourceKind.ROOM]
        polled.sort(key=lambda it: first.index(it.id) if it.id in first else len(first))
        loop = asyncio.get_running_loop()
        keep = self._supervisor.keep
        async with asyncio.TaskGroup() as group:
            group.create_task(keep("the clock", self._tick))
            group.create_task(keep("the journal's end", self._read_journal))
            for source in polled:
                longest = GATE_RETRY if source.id in self._gates else LONGEST
                poller = Poller(source, self._maker(source, loop), self.store, self._clock, longest)
                self._pollers[source.id] = poller
                watch = poller.run if source.id in first else partial(self._after_first_look, poller)
                group.create_task(keep(f"watching {source.id}", watch))

    async def _after_first_look(self, poller: Poller) -> None:
        await self._first.over()
        await poller.run()

    async def reconcile(self, permit: Permit | None, journal: Journal) -> None:
        """Tell of runs that another process left unfinished; they are closed only with a permit."""
        eyes = Eyes(self._verifier, self.stack.facts, self._clock, self.stack.gates)
        closes = permit is not None
        while True:
            with suppress(OSError):  # what cannot be read is the journal's alarm
                await reconcile(self.stack, eyes, journal, self._clock, self.store.show_run, closes=closes)
                return
            await asyncio.sleep(TICK)

    async def _read_journal(self) -> None:
        """Ahead of need, for its first reading takes a while; what cannot be read is the journal's alarm."""
        with suppress(OSError):
            await asyncio.to_thread(self._records)

    async def watch_drills(self) -> None:
        """Know which ways of a halt were practised, until cancelled."""
        while True:
            await asyncio.to_thread(self._drills.load)
            await asyncio.sleep(DRILLS)

    def _undrilled(self, now: Instant) -> Iterator[Alarm]:
        """Halts of a real stack of which a way was not practised for a month."""
        if not self._drills.is_loaded or self.stack.environment is Environment.DEMO:
            return
        for procedure in self.stack.procedures.values():
            if halts_trading(procedure, self.stack):
                late = self._drills.undrilled(self.stack.id, procedure, now.wall)
                if late:
                    yield overdue(self.stack.id, procedure, late, self._opened)

    async def watch_neighbours(self, journal: Journal) -> None:
        """Show what other rooms on this host do to this stack, and heed their stops, until cancelled. What
        was cut off is told at once, then with what is true; it stays open for who comes back and starts."""
        tell = partial(self.reconcile, None, journal)
        await watch(journal, self.stack, self._clock, self._heed, self.store.show_run, tell)

    async def _heed(self) -> None:
        ready = self._ready()
        if ready.done():
            await ready.result().heed()

    async def keep_halted(self, permit: Permit) -> None:
        """Order lost halts again, as whoever armed this session, until cancelled."""
        while True:
            await asyncio.sleep(to_beat(self._clock.now(), TICK, AFTER))
            board = self.store.board
            for wanted in self._keeper.due(board, self._clock.now()):
                intent = Intent(
                    str(uuid.uuid4()), self.stack.id, wanted.procedure, permit.operator,
                    SafeText(wanted.reason, 400), seen=board.seq, via="room",
                )  # fmt: skip
                self.begin(intent)

    def attest(self, operation: str, step: str, by: Identity, is_promised: bool) -> None:
        """A person confirms the step that waits for it."""
        ready = self._ready()
        if ready.done():
            ready.result().attest(operation, step, by, is_promised=is_promised)

    def interrupt(self, operation: str, by: Identity) -> None:
        """That run sends nothing more, unless it is a stop."""
        ready = self._ready()
        if ready.done():
            ready.result().interrupt(operation, by)

    def held(self, procedure: str) -> float:
        """Seconds for which everything the procedure demands has held; safe from any thread."""
        ready = self._procedures
        return ready.result().held(procedure) if ready is not None and ready.done() else 0.0

    def acknowledge(self) -> None:
        """An unexplained resume, or a halt that was lost and put back, was seen by somebody."""
        for latch in self._latches:
            latch.acknowledge()
        self._keeper.acknowledge()
        self.store.tick()

    def poke(self) -> None:
        """Poll everything now."""
        for poller in self._pollers.values():
            poller.poke()

    def hush(self) -> None:
        """Begin no poll for a moment: something urgent is to have the loop for itself."""
        for poller in self._pollers.values():
            poller.hold(HUSH)

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
        if self._running and grace > 0:
            # A verdict is shown before it is in the journal: what is being written is not cut off.
            await asyncio.wait(self._running, timeout=min(grace, LAST_WORDS))
        await asyncio.gather(self._verifier.close(), self._examining.close())

    def _gathered(self, publish: Callable[[], None]) -> None:
        """Make the next board: at once while the room opens, for somebody waits for it."""
        gather = 0.0 if any(it.is_up is None for it in self.store.board.sources.values()) else GATHER
        asyncio.get_running_loop().call_later(gather, publish)

    def _show(self, run: Run) -> None:
        self.store.show_run(run)
        if run.verdict is not None:
            # The board must show the effect by its ordinary way, and soon.
            self.poke()

    async def _execute(self, intent: Intent) -> None:
        procedures = await asyncio.shield(self._ready())
        try:
            await procedures.execute(intent, self.store.board)
        except Exception as fault:
            self._supervisor.note(f"running {intent.procedure}", fault)
            self._show(self._failed(intent, fault))

    def _failed(self, intent: Intent, fault: Exception) -> Run:
        """What is told when the room itself failed while acting: never silence."""
        procedure = self.stack.procedures.get(intent.procedure)
        now = self._clock.now()
        known = next((run for run in self.store.board.runs if run.operation == intent.id), None)
        return Run(
            operation=intent.id,
            stack=self.stack.id,
            procedure=intent.procedure,
            title=procedure.title if procedure is not None else intent.procedure,
            started=known.started if known is not None else now,
            steps=known.steps if known is not None else (),
            verdict=Verdict.UNCONFIRMED if known is not None and known.steps else Verdict.FAILED,
            sentence=SafeText(f"THE ROOM ITSELF FAILED ({type(fault).__name__}). Act by hand, now."),
            ended=now,
        )

    def _ready(self) -> asyncio.Future[Procedures]:
        if self._procedures is None:
            self._procedures = asyncio.get_running_loop().create_future()
        return self._procedures

    def _proofs(self) -> list[Proof]:
        return [
            proof
            for procedure in self.stack.procedures.values()
            if procedure.risk is RiskClass.STOP
            for step in procedure.steps
            for proof in step.proof
        ]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(to_beat(self._clock.now(), TICK, AFTER))
            self.store.tick()
            ready = self._ready()
            if ready.done():
                ready.result().watch(self.store.board)

    def _maker(self, source: Source, loop: asyncio.AbstractEventLoop) -> Callable[[], Task]:
        if any(spec.source == source.id for spec in self.stack.services):
            return lambda: self._service_task(source, loop)
        facts = [
            fact for fact in self.stack.facts.values() if fact.source == source.id and not fact.on_demand
        ]
        connections, clock, store, stack = self._connections, self._clock, self.store, self.stack
        lag = 0.0 if source.id in self._gates else LATER
        return lambda: FactTask(source, facts, connections.fact_reader(stack, source, clock), store, lag)

    def _service_task(self, source: Source, loop: asyncio.AbstractEventLoop) -> Task:
        def poke() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._pollers[source.id].poke)

        reader = self._connections.service_reader(self.stack, source, self._clock, poke, self.ring)
        return ServiceTask(source, reader, self.store)


class _WithLatch:
    """The alarms of a board, and those about a halt: ended without a reason, lost, or never practised."""

    def __init__(
        self,
        book: AlarmBook,
        latches: Sequence[Latch | TraderLatch],
        keeper: HaltKeeper,
        more: Callable[[Instant], Iterable[Alarm]],
    ) -> None:
        self._more = more
        self._book = book
        self._latches = latches
        self._keeper = keeper

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
        for latch in self._latches:
            latch.see(board, now)
        self._keeper.see(board, now)
        first = [latch.alarm for latch in self._latches if latch.alarm is not None]
        return (*first, *self._keeper.alarms, *self._book.evaluate(board, now), *self._more(now))


def _follows_one_engine(stack: Stack) -> bool:
    """Whether all logs come over one socket of this machine, and so begin together."""
    followed = {service.source for service in stack.services if service.is_followed}
    sources = [stack.sources[source] for source in followed]
    return [it.kind for it in sources] == [SourceKind.DOCKER] and sources[0].url.startswith("unix:")
