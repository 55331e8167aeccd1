"""One step after the other, each proved before the next; it ends at the first failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from backends.journal.entry import Entry, Kind
from backends.journal.journal import Recorder
from backends.model.action import Attest, Observe, Wait
from backends.model.clock import Clock
from backends.model.procedure import (
    Effector,
    Proof,
    Receipt,
    ReceiptKind,
    RiskClass,
    Run,
    Step,
    StepResult,
    StepState,
    Verdict,
)
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.conditions import GAP
from backends.procedures.dry_run import RecordingEffector
from backends.procedures.evidence import NOTHING_BEFORE, Eyes
from backends.procedures.overtaken import StopWatch
from backends.procedures.plan import Plan
from backends.procedures.record import entry_of, intent_of, step_of
from backends.procedures.rung import passed
from backends.procedures.sequence_sentence import sequence_sentence
from backends.procedures.step_proof import LOOK, StepProofs

INTENT_BUDGET: Final = 2.0
"""Seconds the intent has to get to the disk; nothing is sent before."""

STEP_BUDGET: Final = 2.0
"""Seconds the record of a step has to be written; nothing more is sent before."""

OFF_RECORD: Final = "the journal can no longer be written; nothing more was sent"

TRIES: Final = 3
PAUSE: Final = 0.3
"""Seconds between two tries of a step that may be repeated."""

ACT_GRACE: Final = 0.5
PASSED: Final = (StepState.VERIFIED, StepState.ACKNOWLEDGED)


class SequenceRunner:
    """One run of one procedure that is no stop. ``run`` ends with the verdict and leaves nothing behind.

    ``recheck`` says what stands against it, but for what the steps it is given have changed: it is asked
    after the intent is on the disk and right before the first step, and again before what acts when a wait,
    a person or a long proof came between. ``stops`` tells before each step and each further try whether a
    stop has overtaken it. A step without an answer is UNKNOWN until a read-back shows its effect; it is sent
    again only if it is idempotent, and never when it moves the market. Once a record of it could not be
    written it sends nothing more.
    """

    def __init__(
        self,
        plan: Plan,
        stack: Stack,
        effectors: Mapping[str, Effector],
        eyes: Eyes,
        recorder: Recorder,
        clock: Clock,
        on_change: Callable[[Run], None],
        recheck: Callable[[Sequence[Step]], Awaitable[Sequence[str]]],
        stops: StopWatch,
        approver: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._plan = plan
        self._stack = stack
        # Without writers there is nothing a dry run could do by mistake.
        self._effectors = {} if plan.intent.is_dry else effectors
        self._eyes = eyes
        self._recorder = recorder
        self._clock = clock
        self._on_change = on_change
        self._recheck = recheck
        self._stops = stops
        self._approver = approver
        self._steps = {step.id: StepResult(step.id, step.title, StepState.PENDING) for step in plan.steps}
        is_market = plan.procedure.risk is RiskClass.MARKET
        self._proofs = StepProofs(eyes, clock, self._seen, is_market=is_market)
        self._interrupted: str | None = None
        self._left: str | None = None
        self._is_on_record = True
        self._has_waited = False
        self._asked = 0.0
        """When it was last asked what stands against it, and whether it has waited since."""
        self._attested: dict[str, str] = {}
        self._nudge = asyncio.Event()
        self._run = Run(
            operation=plan.intent.id,
            stack=stack.id,
            procedure=plan.procedure.id,
            title=plan.procedure.title,
            started=clock.now(),
            steps=tuple(self._steps.values()),
            risk=plan.procedure.risk,
            is_dry=plan.intent.is_dry,
            plan=plan.hash,
            notes=tuple(SafeText(each, 400) for each in notes),
        )

    @property
    def current(self) -> Run:
        """The run as it stands."""
        return self._run

    def interrupt(self, why: str) -> None:
        """Send nothing more; what was sent is still read back."""
        self._interrupted = self._interrupted or why
        self._nudge.set()

    def leave(self, why: str) -> None:
        """Nobody is there any more who could confirm a step: what comes to one ends there."""
        self._left = why
        if self._run.awaits is not None:
            self.interrupt(why)

    async def heed(self) -> None:
        """End it if a stop was ordered in another room meanwhile; it need not wait for a step's end."""
        with suppress(OSError):
            if (why := await self._stops.pressed()) is not None:
                self.interrupt(why)

    def attest(self, step: str, by: str) -> None:
        """A person confirms the step that waits for it."""
        self._attested[step] = by
        self._nudge.set()

    async def run(self, before: Sequence[Mapping[str, Any]], blockers: Sequence[str] = ()) -> Run:
        """Journal the intent, do the steps in order, journal the outcome. ``blockers``: of a dry run."""
        self._publish()
        if not await self._journal(intent_of(self._plan, self._stack, before, self._approver), INTENT_BUDGET):
            return await self._conclude(Verdict.REFUSED, ["the journal cannot be written; nothing was sent"])
        if self._plan.intent.is_dry:
            return await self._dry(blockers)
        if against := await self._recheck(()):
            return await self._conclude(Verdict.REFUSED, against)
        self._asked = self._clock.now().mono
        for number, step in enumerate(self._plan.steps):
            await self._look_again(step, self._plan.steps[:number])
            if not self._is_on_record and any(map(acts, self._plan.steps[number:])):
                self.interrupt(OFF_RECORD)
            if self._interrupted is not None:
                break
            state = await self._do(step)
            await self._record_step(step)
            if state is StepState.VERIFIED:
                self._stops.passed(step)
            if state not in PASSED and not step.goes_on:
                break
        for ident, result in self._steps.items():
            if result.state is StepState.PENDING:
                self._set(ident, StepState.SKIPPED)
        return await self._conclude(self._verdict(), [self._interrupted] if self._interrupted else [])

    async def _look_again(self, step: Step, done: Sequence[Step], tried: Step | None = None) -> bool:
        """Whether anything has come to stand against ``step``, which ends the run; ``tried`` when it was."""
        if acts(step):
            await self._ask_again(done)
        if (why := await self._stops.overtaken(tried)) is not None:
            self.interrupt(why)
        return self._interrupted is not None

    async def _ask_again(self, done: Sequence[Step]) -> None:
        """Time has passed, and what was so before need not be so now. A restore ends there, still halted; so
        does what has done nothing yet. Anything else goes on: half-way would be worse than its end. Who has
        confirmed two steps has done something by hand."""
        if not self._has_waited and self._clock.now().mono - self._asked < GAP:
            return
        self._has_waited = False
        acted = [step for step in done if acts(step)]
        is_begun = bool(acted) or sum(step.id in self._attested for step in done) > 1
        if self._interrupted is not None or (is_begun and self._run.risk is not RiskClass.RESTORE):
            return
        if against := await self._recheck(acted):
            self.interrupt("; ".join(against))
        self._asked = self._clock.now().mono

    async def _dry(self, blockers: Sequence[str]) -> Run:
        port = RecordingEffector()
        for step in self._plan.steps:
            receipt = await port.act(step.action, self._plan.values_for(step), step)
            self._steps[step.id] = replace(self._steps[step.id], state=StepState.SKIPPED, receipt=receipt)
        return await self._conclude(Verdict.DRY_RUN, list(blockers))

    async def _do(self, step: Step) -> StepState:
        began = self._clock.now()
        self._set(step.id, StepState.SENT)
        self._has_waited = self._has_waited or isinstance(step.action, (Attest, Wait))
        match step.action:
            case Wait(seconds=seconds):
                await self._pass(seconds)
                state = await self._settled(step)
            case Attest():
                state = await self._wait_for_person(step)
            case Observe():
                state = await self._settled(step)
            case _:
                state = await self._act(step)
        self._steps[step.id] = replace(self._steps[step.id], took=self._clock.now().since(began))
        self._set(step.id, state)
        return state

    async def _act(self, step: Step) -> StepState:
        before = await self._proofs.before(step)
        await self.heed()  # a look takes its time
        values = self._plan.values_for(step, self._clock.now())
        is_repeatable = step.is_idempotent and self._plan.procedure.risk is not RiskClass.MARKET
        state, tries = StepState.PENDING, TRIES if is_repeatable else 1
        open_try: Receipt | None = None
        """Of one that had no answer: it may still take effect, whatever a later one is told."""
        for number in range(1, tries + 1):
            receipt = await self._send(step, values)
            is_failed = receipt.kind is ReceiptKind.FAILED
            open_try = receipt if receipt.kind is ReceiptKind.UNKNOWN else open_try
            told = open_try if is_failed and open_try is not None else receipt
            self._steps[step.id] = replace(self._steps[step.id], receipt=told)
            await self._record_try(step, number, receipt)
            if is_failed:
                # It certainly did nothing; only somebody else can have, or the try before it.
                is_so = await self._proofs.look(step, before)
                missed = StepState.FAILED if open_try is None else StepState.UNKNOWN
                state = StepState.VERIFIED if is_so and not self._proofs.needs_own(step) else missed
            else:
                is_told = receipt.kind is not ReceiptKind.UNKNOWN
                self._set(step.id, StepState.ACKNOWLEDGED if is_told else StepState.UNKNOWN)
                if await self._proofs.proved(step, before) and (is_told or not self._proofs.was_so(step)):
                    state = StepState.VERIFIED
                else:
                    is_contrary = is_told and self._proofs.is_contrary(step)
                    state = StepState.FAILED if is_contrary else StepState.UNKNOWN
                if is_told:
                    return state
            if state is StepState.VERIFIED or self._interrupted is not None:
                return state
            if number < tries and not self._is_on_record:
                self.interrupt(OFF_RECORD)
                return state
            if number < tries:
                await self._pass(PAUSE)
                done = self._plan.steps[: self._plan.steps.index(step) + 1]
                if await self._look_again(step, done, tried=step):
                    return state
        return state

    async def _send(self, step: Step, values: Mapping[str, Any]) -> Receipt:
        if self._interrupted is not None:
            return Receipt(ReceiptKind.FAILED, SafeText("it was ended before this was sent"))
        effector = self._effectors.get(step.action.source)
        if effector is None:
            return Receipt(ReceiptKind.FAILED, SafeText("there is no way to write to it in this session"))
        limit = step.connect + step.deadline + ACT_GRACE
        try:
            async with asyncio.timeout(limit):
                return await effector.act(step.action, values, step)
        except TimeoutError:
            return Receipt(ReceiptKind.UNKNOWN, SafeText(f"no answer within {limit:g} s"))
        except Exception as error:
            # A fault in a writer may have struck after sending.
            return Receipt(ReceiptKind.UNKNOWN, SafeText(f"a fault in this program: {type(error).__name__}"))

    async def _settled(self, step: Step) -> StepState:
        """The state of a step that sends nothing, by its proof if it has one."""
        if not step.proof:
            return StepState.ACKNOWLEDGED
        if await self._proofs.proved(step, NOTHING_BEFORE):
            return StepState.VERIFIED
        return StepState.FAILED if self._proofs.is_contrary(step) else StepState.UNKNOWN

    async def _wait_for_person(self, step: Step) -> StepState:
        if self._left is not None:
            self.interrupt(self._left)
        self._publish(replace(self._run, awaits=step.id))
        ends = self._clock.now().mono + step.deadline
        while step.id not in self._attested and self._interrupted is None:
            left = ends - self._clock.now().mono
            if left <= 0:
                break
            self._nudge.clear()
            await passed(self._nudge, left)
        by = self._attested.get(step.id)
        self._publish(replace(self._run, awaits=None))
        text = f"confirmed by {by}" if by else "nobody confirmed it"
        self._steps[step.id] = replace(self._steps[step.id], evidence=SafeText(text, 200))
        return await self._settled(step) if by else StepState.FAILED

    async def _pass(self, seconds: float) -> None:
        """Let all this time pass, but for an interruption: who confirms a step twice shortens no wait."""
        time = asyncio.get_running_loop().time
        ends = time() + seconds
        while self._interrupted is None and (left := ends - time()) > 0:
            self._nudge.clear()
            await passed(self._nudge, left)

    def _seen(self, step: str, words: SafeText) -> None:
        self._steps[step] = replace(self._steps[step], evidence=words)
        self._publish()

    def _verdict(self) -> Verdict:
        results = [result for result in self._steps.values() if result.state is not StepState.SKIPPED]
        missed = [result for result in results if result.state not in PASSED]
        is_whole = not missed and len(results) == len(self._steps)
        said = [result.receipt.kind for result in results if result.receipt is not None]
        did = any(kind in (ReceiptKind.DONE, ReceiptKind.UNKNOWN) for kind in said)
        if is_whole:
            return Verdict.ALREADY if said and not did else Verdict.VERIFIED
        told = (ReceiptKind.DONE, ReceiptKind.ALREADY)
        if any(
            each.state is StepState.FAILED and each.receipt and each.receipt.kind in told for each in missed
        ):
            return Verdict.CONTRADICTED
        if any(each.state is StepState.UNKNOWN and each.receipt for each in missed):
            return Verdict.UNCONFIRMED
        return Verdict.PARTIAL if did else Verdict.FAILED

    async def _conclude(self, verdict: Verdict, why: Sequence[str]) -> Run:
        gates: list[str] = []
        is_restore = self._plan.procedure.risk is RiskClass.RESTORE
        if is_restore and verdict not in (Verdict.VERIFIED, Verdict.REFUSED, Verdict.DRY_RUN):
            # Whoever reads that a resume went wrong must know at once whether trading is on.
            wanted = [Proof(gate.fact) for gate in self._stack.gates]
            gates = [str(each.text) for each in await self._eyes.look(wanted, LOOK)]
        now = self._clock.now()
        text = sequence_sentence(
            self._plan, verdict, tuple(self._steps.values()), self._stack.sources, why, gates,
            now.since(self._run.started),
        )  # fmt: skip
        blockers = tuple(SafeText(each, 400) for each in why)
        self._publish(replace(self._run, verdict=verdict, sentence=text, ended=now, blockers=blockers))
        kind = Kind.REFUSED if verdict is Verdict.REFUSED else Kind.OUTCOME
        entry = replace(self._entry(kind, text), verdict=verdict.value, after=self._proofs.records())
        if not await self._journal(entry, INTENT_BUDGET):
            self._publish(replace(self._run, journal_degraded=True))
        return self._run

    async def _record_try(self, step: Step, number: int, receipt: Receipt) -> None:
        detail = {
            "try": number,
            "receipt": receipt.kind.value,
            "before": receipt.before,
            "after": receipt.after,
        }
        entry = self._entry(Kind.STEP, f"{step.title}: {receipt.text}")
        await self._record(step_of(entry, step, self._steps[step.id].state, detail))

    async def _record_step(self, step: Step) -> None:
        result = self._steps[step.id]
        text = f"{step.title}: {result.state.value}" + (f", {result.evidence}" if result.evidence else "")
        evidence = {"evidence": self._proofs.records(step.id)}
        await self._record(step_of(self._entry(Kind.STEP, text), step, result.state, evidence))

    async def _record(self, entry: Entry) -> None:
        # Records are written in their order: once this one is, so are all before it.
        self._is_on_record = await self._journal(entry, STEP_BUDGET)

    def _entry(self, kind: Kind, text: str) -> Entry:
        duration = self._clock.now().since(self._run.started)
        return entry_of(self._plan, self._stack, kind, text, duration)

    async def _journal(self, entry: Entry, budget: float) -> bool:
        try:
            return await self._recorder.record(entry, budget)
        except Exception as error:
            self._recorder.post(self._entry(Kind.NOTE, f"the journal failed: {type(error).__name__}"))
            return False

    def _set(self, step: str, state: StepState) -> None:
        if self._steps[step].state is not state:
            self._steps[step] = replace(self._steps[step], state=state)
        self._publish()

    def _publish(self, run: Run | None = None) -> None:
        self._run = replace(run or self._run, steps=tuple(self._steps.values()))
        try:
            self._on_change(self._run)
        except Exception as error:
            # Whoever watches may fail; the run goes on.
            self._recorder.post(self._entry(Kind.NOTE, f"the run could not be shown: {type(error).__name__}"))


def acts(step: Step) -> bool:
    """Whether it has an effect of its own."""
    return not isinstance(step.action, (Attest, Observe, Wait))
