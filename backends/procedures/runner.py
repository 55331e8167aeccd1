"""The way in: an intent comes, a run goes out. What the engine calls."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from backends.journal.entry import Entry, Kind
from backends.journal.journal import Recorder
from backends.model.board import Board
from backends.model.clock import Clock
from backends.model.intent import Identity, Intent
from backends.model.procedure import Effector, Procedure, RiskClass, Run, Step, Verdict, Verifier
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import weigh
from backends.procedures.admission import Admission, Gatekeeper, busy, in_one, unknown
from backends.procedures.approval import ApprovalBook
from backends.procedures.conditions import Holding, lasting
from backends.procedures.confirm import params_wrong
from backends.procedures.disk import answered
from backends.procedures.dry_run import PlanBook
from backends.procedures.evidence import Eyes
from backends.procedures.overtaken import StopWatch
from backends.procedures.permit import Permit
from backends.procedures.plan import make_plan
from backends.procedures.preflight import preflight
from backends.procedures.record import refused
from backends.procedures.resumes import Record
from backends.procedures.running import Running, let_end
from backends.procedures.sequence_runner import SequenceRunner
from backends.procedures.stop_runner import StopRunner

CLOSED: Final = "the room was closed"
_WATCHES: Final = "this room only watches: it holds no code that writes"

_VERDICTS: Final = {Kind.REFUSED: Verdict.REFUSED.value, Kind.OUTCOME: Verdict.UNCONFIRMED.value}
"""Of what has no runner to say it."""

_Asked = tuple[str, tuple[tuple[str, str], ...]]
"""A procedure and the values chosen for it: two orders to cancel are two things to do."""


class Procedures:
    """Runs the procedures of one stack, on the engine's loop.

    ``effectors`` are the writers by source id: none without a permit. ``verifier`` reads back over its own
    connections. ``on_change`` gets every change of every run and must return at once. ``state`` is the
    folder of dry runs and approvals; without it neither is known. ``elsewhere``, ``recent`` and ``free`` are
    as the ``Gatekeeper`` has them.
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
        state: Path | None = None,
        elsewhere: Callable[[int | None], Iterable[str]] = lambda _before: (),
        recent: Callable[[], Iterable[Record]] = tuple,
        free: Callable[[], int] = lambda: sys.maxsize,
    ) -> None:
        if permit is None and effectors:
            raise ValueError("writers exist only for an armed session")
        self._stack = stack
        self._permit = permit
        self._effectors = effectors
        self._eyes = Eyes(verifier, stack.facts, clock, stack.gates)
        self._journal = journal
        self._clock = clock
        self._show = on_change
        self._jitter = jitter
        self._running: dict[_Asked, Running] = {}
        self._decided: set[str] = set()
        """Operations that have a verdict while their task is still running."""
        self._ended_early: dict[str, str] = {}
        """Why an operation may send nothing more; kept from before its runner is made."""
        self._is_left = False
        self._sequences: dict[str, SequenceRunner] = {}
        self._settling: dict[_Asked, tuple[StopRunner, asyncio.Task[None]]] = {}
        self._holding = Holding()
        self._lasting = lasting(stack.procedures.values())
        self._recent = recent
        self._plans = None if state is None else PlanBook(state / "plans", clock)
        self.approvals = None if state is None else ApprovalBook(state / "approvals", clock)
        """Where a second person's consent is asked for and kept; None without a folder."""
        self._gate = Gatekeeper(
            stack, self._eyes, clock, self._holding, self.approvals, self._plans, recent, free, elsewhere
        )  # fmt: skip

    def running(self, procedure: str) -> str | None:
        """The operation that is running this procedure now, up to its verdict."""
        return next((each.operation for (name, _), each in self._running.items() if name == procedure), None)

    async def warm(self) -> None:
        """Open every writer's connection ahead of need."""
        await asyncio.gather(*(each.warm() for each in self._effectors.values()), return_exceptions=True)

    def watch(self, board: Board) -> None:
        """Look at the preconditions of what demands that they have held for a while. Cheap; every board."""
        now, facts, readings = self._clock.now(), self._stack.facts, board.readings
        for procedure, demanded in self._lasting.items():
            weighed = (weigh(it, facts.get(it.fact), readings.get(it.fact), now) for it in demanded)
            self._holding.note(procedure, weighed, now)

    async def execute(self, intent: Intent, board: Board | None = None) -> Run:
        """Run the intent's procedure to its verdict; cancelling the caller does not cancel the run.

        ``board`` is what was known when it was decided. An intent for a procedure that is running with the
        same values attaches to it: the run returned is the first one's. What may not be done comes back
        REFUSED.
        """
        procedure = self._stack.procedures.get(intent.procedure)
        if procedure is None or (self._permit is None and not intent.is_dry):
            why = (
                f"{self._stack.title} has no procedure {intent.procedure}"
                if self._permit is not None
                else _WATCHES
            )
            return await self._refuse(intent, procedure, why)
        if intent.is_dry:
            return await self._dry(intent, procedure, board)
        found = self._running.get(_asked(intent))
        if found is not None and found.operation not in self._decided:
            text = f"{intent.operator.user} asked for it again; attached to {found.operation}"
            self._journal.post(self._entry(Kind.NOTE, text, intent, procedure))
            return await asyncio.shield(found.task)
        is_stop = procedure.risk is RiskClass.STOP
        if is_stop:
            self._halt_others(procedure)
        what = self._stop(intent, procedure, board) if is_stop else self._sequence(intent, procedure, board)
        task = asyncio.create_task(self._to_its_end(what, intent, procedure))
        self._running[_asked(intent)] = Running(intent.id, procedure.risk, task)
        task.add_done_callback(lambda _: self._end(intent))
        return await asyncio.shield(task)

    async def _to_its_end(self, what: Coroutine[Any, Any, Run], intent: Intent, procedure: Procedure) -> Run:
        try:
            return await what
        except Exception as error:
            # This process lives on: without an outcome every other room would wait for its end.
            self._tell_fault(intent, procedure, error, Kind.OUTCOME)
            raise

    def _on_change(self, run: Run) -> None:
        if run.verdict is not None and self._is_running(run.operation):
            # From here on it is over for whoever asks again, although its journal may take a while.
            self._decided.add(run.operation)
        self._show(run)

    def _end(self, intent: Intent) -> None:
        self._decided.discard(intent.id)
        self._ended_early.pop(intent.id, None)
        if self._is_current(intent):
            self._running.pop(_asked(intent))

    def _is_running(self, operation: str) -> bool:
        return any(each.operation == operation for each in self._running.values())

    def _is_current(self, intent: Intent) -> bool:
        """Whether this is the run of its procedure, and no newer one has begun since its verdict."""
        running = self._running.get(_asked(intent))
        return running is not None and running.operation == intent.id

    def attest(self, operation: str, step: str, by: Identity, *, is_promised: bool = False) -> None:
        """A person confirms the step that the run waits for; without effect when nothing waits."""
        runner = self._sequences.get(operation)
        if runner is not None:
            runner.attest(step, f"{by.user}, beforehand" if is_promised else by.user)

    def interrupt(self, operation: str, by: Identity) -> None:
        """Nothing more is sent by that run; without effect on a stop, which always goes to its end."""
        if self._is_running(operation):
            self._interrupt(operation, f"{by.user} ended it")

    async def heed(self) -> None:
        """Let a stop that another room has ordered end what is running here and is none."""
        for runner in tuple(self._sequences.values()):
            await runner.heed()

    def held(self, procedure: str) -> float:
        """Seconds for which everything the procedure demands has held; cheap, and safe from any thread."""
        return self._holding.held(procedure, self._clock.now())

    async def close(self, grace: float = 2.0) -> None:
        """Let a stop reach its verdict, at most ``grace`` seconds, and what else was confirmed go on to its
        end, which its steps' own times bound. But a restore sends nothing more, nor does what waits for a
        person, nor anything without ``grace``. Then end everything.
        """
        self._is_left = True
        running = tuple(self._running.values())
        for each in running:
            if each.ends_with_room(grace):
                self._interrupt(each.operation, CLOSED)
        for runner in self._sequences.values():
            runner.leave(CLOSED)
        await let_end(running, grace)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.gather(*(runner.rest() for runner, _ in self._settling.values()))
        for asked in tuple(self._settling):
            await self._end_settling(asked)
        await asyncio.gather(*(each.close() for each in self._effectors.values()), return_exceptions=True)

    def _halt_others(self, stop: Procedure) -> None:
        """A stop wins: nothing that could start trading or move the market goes a step further."""
        for each in self._running.values():
            if each.risk is not RiskClass.STOP:
                self._interrupt(each.operation, f"{stop.title} was pressed meanwhile")

    def _interrupt(self, operation: str, why: str) -> None:
        """Also while it is still asked whether it may start: then nothing is sent at all."""
        self._ended_early.setdefault(operation, why)
        if operation in self._sequences:
            self._sequences[operation].interrupt(why)

    async def _stop(self, intent: Intent, procedure: Procedure, board: Board | None) -> Run:
        now = self._clock.now()
        admission = await self._admit_stop(intent, procedure, board)
        if admission.blockers:
            return await self._refuse(intent, procedure, in_one(admission.blockers))
        try:
            known = preflight(self._stack, procedure, board, now)
        except Exception as error:
            # What is shown before a stop must not keep it from acting.
            known = ()
            self._tell_fault(intent, procedure, error)
        runner = StopRunner(
            admission.plan,
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
        if not self._is_current(intent):
            # Pressed again since the verdict: the newer run goes on with it.
            await runner.stop()
            return run
        await self._end_settling(_asked(intent))
        self._settling[_asked(intent)] = (runner, asyncio.create_task(runner.settle()))
        return run

    async def _admit_stop(self, intent: Intent, procedure: Procedure, board: Board | None) -> Admission:
        """For a stop, a fault of ours leaves the plan without rows, never nothing."""
        try:
            return await self._admit(intent, procedure, board)
        except Exception as error:
            # Whatever is wrong in reading ahead, what needs no rows is done.
            self._tell_fault(intent, procedure, error)
        now = self._clock.now()
        plan = make_plan(intent, procedure, self._stack, now)
        return Admission(plan, tuple(params_wrong(intent, procedure, self._stack, {}, now)), ())

    def _tell_fault(self, intent: Intent, of: Procedure, error: Exception, kind: Kind = Kind.NOTE) -> None:
        when = "ended it" if kind is Kind.OUTCOME else "while preparing"
        text = f"a fault in this program {when}: {type(error).__name__}"
        self._journal.post(self._entry(kind, text, intent, of))

    async def _sequence(self, intent: Intent, procedure: Procedure, board: Board | None) -> Run:
        stops = self._stop_watch(procedure)
        try:
            await stops.begin()
        except OSError as error:
            return await self._refuse(intent, procedure, unknown(error))
        admission = await self._admit(intent, procedure, board)
        if admission.blockers:
            return await self._refuse(intent, procedure, in_one(admission.blockers), admission)
        return await self._run_sequence(admission, board, stops)

    def _stop_watch(self, procedure: Procedure) -> StopWatch:
        return StopWatch(self._stack, procedure, self._eyes, self._recent)

    async def _dry(self, intent: Intent, procedure: Procedure, board: Board | None) -> Run:
        admission = await self._admit(intent, procedure, board)
        if self._permit is None:
            admission = replace(admission, blockers=(_WATCHES, *admission.blockers))
        if self._plans is not None:
            # Before anybody sees it: whoever does may run it at once.
            try:
                await answered(partial(self._plans.note, admission.plan.hash))
            except OSError as error:
                text = f"the dry run could not be noted: {error.strerror}"
                self._journal.post(self._entry(Kind.NOTE, text, intent, procedure))
        return await self._run_sequence(admission, board, self._stop_watch(procedure))

    async def _admit(self, intent: Intent, procedure: Procedure, board: Board | None) -> Admission:
        return await self._gate.admit(intent, procedure, board, map(busy, self._others(intent)))

    def _others(self, intent: Intent) -> list[str]:
        """What else runs here and began earlier, for of two that begin at the same moment one goes on. A stop
        that begins later ends this one by itself."""
        earlier = takewhile(lambda it: it[1].operation != intent.id, self._running.items())
        return [name for (name, values), _ in earlier if (name, values) != _asked(intent)]

    async def _run_sequence(self, admission: Admission, board: Board | None, stops: StopWatch) -> Run:
        plan = admission.plan
        runner = SequenceRunner(
            plan,
            self._stack,
            self._effectors,
            self._eyes,
            self._journal,
            self._clock,
            self._on_change,
            partial(self._against, admission, stops),
            stops,
            admission.approver,
            admission.notes,
        )
        if plan.intent.id in self._ended_early:
            runner.interrupt(self._ended_early[plan.intent.id])
        if self._is_left:
            runner.leave(CLOSED)
        known = preflight(self._stack, plan.procedure, board, self._clock.now())
        before = [*(each.as_record() for each in known), *(each.as_record() for each in admission.weighed)]
        self._sequences[plan.intent.id] = runner
        try:
            return await runner.run(before, admission.blockers)
        finally:
            self._sequences.pop(plan.intent.id, None)

    async def _against(self, admission: Admission, stops: StopWatch, done: Sequence[Step]) -> list[str]:
        """What stands against going on, right before it does; ``done`` may have had effects."""
        plan = admission.plan
        against = await self._gate.against_now(plan, admission.approver, done)
        if not done and not against and (first := await stops.preceded(plan.intent.id)) is not None:
            against.append(first)
        if plan.procedure.risk is RiskClass.RESTORE and not against:
            for asked in tuple(self._settling):
                if plan.intent.id in self._ended_early:
                    break  # by a stop, which goes on
                # What an earlier stop still tries would undo what is now allowed.
                await self._end_settling(asked)
        return against

    async def _end_settling(self, asked: _Asked) -> None:
        runner, task = self._settling.pop(asked, (None, None))
        if runner is None or task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.stop()

    async def _refuse(
        self, intent: Intent, procedure: Procedure | None, why: str, admission: Admission | None = None
    ) -> Run:
        text = SafeText(f"REFUSED: {why}", 400)
        plan, blockers = (admission.plan.hash, admission.blockers) if admission is not None else ("", (why,))
        run = refused(intent, procedure, text, self._clock.now())
        run = replace(run, plan=plan, blockers=tuple(SafeText(each, 400) for each in blockers))
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
            verdict=_VERDICTS.get(kind, ""),
        )


def _asked(intent: Intent) -> _Asked:
    return intent.procedure, tuple(sorted(intent.params.items()))
