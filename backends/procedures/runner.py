"""The way in: an intent comes, a run goes out. What the engine calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

from backends.journal.entry import Entry, Kind
from backends.journal.journal import Recorder
from backends.model.board import Board
from backends.model.clock import Clock
from backends.model.intent import Intent
from backends.model.procedure import Effector, Procedure, RiskClass, Run, Verdict, Verifier
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.evidence import Eyes
from backends.procedures.permit import Permit
from backends.procedures.plan import make_plan
from backends.procedures.preflight import preflight
from backends.procedures.stop_runner import StopRunner


class Procedures:
    """Runs the procedures of one stack, on the engine's loop.

    ``effectors`` are the writers by source id: none without a permit. ``verifier`` reads back over its own
    connections. ``on_change`` gets every change of every run and must return at once.
    """

    def __init__(
        self,
        stack: Stack,
        permit: Permit | None,
        effectors: Mapping[str, Effector],
        verifier: Verifier,
        journal: Recorder,
        clock: Clock,
        on_change: Callable[[Run], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if permit is None and effectors:
            raise ValueError("writers exist only for an armed session")
        self._stack = stack
        self._permit = permit
        self._effectors = effectors
        self._eyes = Eyes(verifier, stack.facts, clock)
        self._journal = journal
        self._clock = clock
        self._on_change = on_change
        self._jitter = jitter
        self._running: dict[str, tuple[str, asyncio.Task[Run]]] = {}
        self._settling: dict[str, tuple[StopRunner, asyncio.Task[None]]] = {}

    def running(self, procedure: str) -> str | None:
        """The operation that is running this procedure now, up to its verdict."""
        found = self._running.get(procedure)
        return None if found is None else found[0]

    async def warm(self) -> None:
        """Open every writer's connection ahead of need."""
        await asyncio.gather(*(each.warm() for each in self._effectors.values()), return_exceptions=True)

    async def execute(self, intent: Intent, board: Board | None = None) -> Run:
        """Run the intent's procedure to its verdict; cancelling the caller does not cancel the run.

        ``board`` is what was known when it was decided. An intent for a procedure that is running attaches
        to it: the run returned is the first one's. What may not be done comes back REFUSED.
        """
        procedure = self._stack.procedures.get(intent.procedure)
        refusal = self._refusal(intent, procedure)
        if refusal is not None or procedure is None:
            return await self._refuse(intent, procedure, refusal or "")
        found = self._running.get(intent.procedure)
        if found is not None:
            text = f"{intent.operator.user} asked for it again; attached to {found[0]}"
            self._journal.post(self._entry(Kind.NOTE, text, intent, procedure))
            return await asyncio.shield(found[1])
        task = asyncio.create_task(self._stop(intent, procedure, board))
        self._running[intent.procedure] = (intent.id, task)
        task.add_done_callback(lambda _: self._running.pop(intent.procedure, None))
        return await asyncio.shield(task)

    async def close(self, grace: float = 2.0) -> None:
        """Let running procedures reach their verdict, at most ``grace`` seconds; then end everything."""
        running = [task for _, task in self._running.values()]
        if running:
            await asyncio.wait(running, timeout=grace)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for procedure in tuple(self._settling):
            await self._end_settling(procedure)
        await asyncio.gather(*(each.close() for each in self._effectors.values()), return_exceptions=True)

    async def _stop(self, intent: Intent, procedure: Procedure, board: Board | None) -> Run:
        now = self._clock.now()
        plan = make_plan(intent, procedure, self._stack, now)
        known = preflight(self._stack, procedure, board, now)
        runner = StopRunner(
            plan,
            self._stack,
            self._effectors,
            self._eyes,
            self._journal,
            self._clock,
            self._on_change,
            self._jitter,
        )
        try:
            run = await runner.run(known)
        except asyncio.CancelledError:
            await runner.stop()
            raise
        await self._end_settling(procedure.id)
        self._settling[procedure.id] = (runner, asyncio.create_task(runner.settle()))
        return run

    async def _end_settling(self, procedure: str) -> None:
        runner, task = self._settling.pop(procedure, (None, None))
        if runner is None or task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.stop()

    def _refusal(self, intent: Intent, procedure: Procedure | None) -> str | None:
        if self._permit is None:
            return "this room only watches: it holds no code that writes"
        if procedure is None:
            return f"{self._stack.title} has no procedure {intent.procedure}"
        if procedure.risk is not RiskClass.STOP:
            return "this room runs stop procedures only"
        return None

    async def _refuse(self, intent: Intent, procedure: Procedure | None, why: str) -> Run:
        text = SafeText(f"REFUSED: {why}", 400)
        now = self._clock.now()
        run = Run(
            operation=intent.id,
            stack=self._stack.id,
            procedure=intent.procedure,
            title=procedure.title if procedure is not None else intent.procedure,
            started=now,
            steps=(),
            verdict=Verdict.REFUSED,
            sentence=text,
            ended=now,
        )
        self._on_change(run)
        await self._journal.record(self._entry(Kind.REFUSED, text, intent, procedure))
        return run

    def _entry(self, kind: Kind, text: str, intent: Intent, procedure: Procedure | None) -> Entry:
        return Entry(
            kind,
            text,
            stack=self._stack.id,
            environment=self._stack.environment.value,
            procedure=intent.procedure,
            risk=procedure.risk.value if procedure is not None else "",
            operation=intent.id,
            operator=intent.operator,
            via=intent.via,
            reason=intent.reason,
            seen=intent.seen,
            verdict=Verdict.REFUSED.value if kind is Kind.REFUSED else "",
        )
