"""Stopping: every target at once, every way to it in turn, past every error, and nothing undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from backends.journal.entry import Entry, Kind
from backends.journal.journal import BUDGET, Recorder
from backends.model.clock import Clock
from backends.model.figure import figure
from backends.model.procedure import Effector, Proof, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import counted
from backends.procedures.climb import Climb
from backends.procedures.evidence import Eyes, Sight
from backends.procedures.plan import Plan
from backends.procedures.preflight import Known
from backends.procedures.record import entry_of, intent_of, step_of
from backends.procedures.rung import LOOK_EVERY, Rung, Try
from backends.procedures.sentence import LIMIT, opening, sentence

QUIET = 5.0
"""Seconds after a proved stop in which nothing more may be accepted."""

HEARD = 1.0
"""Seconds the services that must obey a proved switch have to say that they know of it."""

LEAST = 0.25
"""Seconds below which asking them once more would only hear that there was no time to answer."""

RELOOK = 2.0
"""Seconds a look after the verdict may take: nobody waits for it."""

PROVED = (Verdict.VERIFIED, Verdict.ALREADY)
HELD = (*PROVED, Verdict.WRITTEN)

OUTCOME_BUDGET = 1.0
"""Seconds the end of a run waits for its outcome to be on the disk; the screen has it before."""


class StopRunner:
    """One run of one stop. ``run`` ends with the verdict; ``settle`` is what goes on after it.

    ``on_change`` gets a new ``Run`` whenever something about it changes, also after the verdict: a path
    that comes back later is still brought to say the same, and a stop that failed may yet succeed.
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
        jitter: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._stack = stack
        self._recorder = recorder
        self._clock = clock
        self._on_change = on_change
        self._eyes = eyes
        self._climbs: list[Climb] = []
        self._rungs: dict[str, Rung] = {}
        self._is_contradicted = False
        self._unheard = ""
        """What the services that must obey the switch did not say, in words."""
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._stand_ins: list[asyncio.Task[None]] = []
        for ladder in plan.ladders:
            rungs = []
            for step in ladder.rungs:
                values = plan.values_for(step)
                rung = Rung(step, effectors.get(step.action.source), values, eyes, clock, jitter)
                rung.on_change, rung.on_try = self._rung_changed, self._rung_tried
                self._rungs[step.id] = rung
                rungs.append(rung)
            self._climbs.append(Climb(ladder.target, rungs))
        self._tie()
        self._run = Run(
            operation=plan.intent.id,
            stack=stack.id,
            procedure=plan.procedure.id,
            title=plan.procedure.title,
            started=clock.now(),
            steps=self._results(),
            risk=plan.procedure.risk,
            plan=plan.hash,
        )

    @property
    def current(self) -> Run:
        """The run as it stands."""
        return self._run

    async def run(self, known: Sequence[Known]) -> Run:
        """Journal the intent, act, read back, journal the outcome. Only the journal's thread can be slow."""
        self._publish()
        before = [each.as_record() for each in known]
        await self._record(intent_of(self._plan, self._stack, before, approver=None), BUDGET)
        self._stand_ins = [asyncio.create_task(each.reach()) for each in self._climbs if each.unless]
        await asyncio.gather(*(climb.reach() for climb in self._main))
        await self._hear()
        self._conclude()
        await self._record_outcome()
        return self._run

    async def settle(self) -> None:
        """Wait until no path is tried any more. A target reached only now changes the verdict."""
        try:
            watched = (self._watch_climb(climb) for climb in self._main)
            await asyncio.gather(self._watch_whole(), *watched)
        finally:
            self._at_rest.set()
        await asyncio.gather(*(climb.settle() for climb in self._climbs))

    async def rest(self) -> None:
        """Wait while ways are gone that were left out: whoever leaves now would end that half-way."""
        await self._at_rest.wait()

    async def stop(self) -> None:
        """End everything where it is, without a word to any service."""
        for task in self._stand_ins:
            task.cancel()
        await asyncio.gather(*self._stand_ins, return_exceptions=True)
        await asyncio.gather(*(climb.stop() for climb in self._climbs))

    @property
    def _main(self) -> list[Climb]:
        """The targets of the verdict; the others only stand in for one of them."""
        return [climb for climb in self._climbs if climb.unless is None]

    def _tie(self) -> None:
        """Tell each climb what it stands in for, and which rungs of others its own wait for."""
        by_target = {climb.target: climb for climb in self._climbs}
        for climb in self._climbs:
            wanted = next((rung.step.unless for rung in climb.rungs if rung.step.unless), None)
            climb.unless = None if wanted is None else by_target.get(wanted)
            climb.before = self._rungs

    async def _watch_whole(self) -> None:
        """After a verdict that holds, also one that came late: whether it stays so, and is heard of."""
        await asyncio.gather(self._watch_quiet(), self._listen_on())

    async def _watch_quiet(self) -> None:
        """After a proved stop: what must not grow any more does not, or the next ways are gone in turn."""
        fact = self._plan.procedure.quiet
        if fact is None or self._run.verdict not in HELD:
            return
        while (text := await self._grown(fact)) is not None:
            if not await self._contradict(text, self._climbs):
                return

    async def _grown(self, fact: str) -> str | None:
        """That it has grown within ``QUIET`` seconds, in words."""
        first = await self._count(fact)
        for _ in range(int(QUIET)):
            await asyncio.sleep(1.0)
            count = await self._count(fact)
            if first is not None and count is not None and count > first:
                rise = f"from {figure(first)} to {figure(count)}"
                return f"{self._eyes.label(fact)} went {rise} after it was proved"
            first = count if first is None else first
        return None

    async def _watch_undone(self, climb: Climb) -> None:
        """After a proof: whether it still stands. One good look may be a moment before it was undone."""
        ties = [each for each in self._climbs if each is climb or each.unless is climb]
        while (undone := await self._undone(climb)) is not None:
            if not await self._contradict(f"it was proved, and is undone: {undone}", ties):
                return

    async def _undone(self, climb: Climb) -> str | None:
        for _ in range(int(QUIET)):
            await asyncio.sleep(1.0)
            proofs = climb.proofs()
            asked = {proof.fact: proof for proof in (*self._echoes(proofs), *proofs)}
            seen = await self._eyes.look(asked.values(), RELOOK)
            undone = [str(each.text) for each in seen if each.sight is Sight.CONTRARY]
            if undone:
                return "; ".join(undone)
        return None

    def _echoes(self, proofs: Sequence[Proof]) -> Iterator[Proof]:
        """The same, as the services say it that are asked about a switch: whoever denies it does not obey."""
        words = {proof.fact: proof.equals for proof in proofs}
        for echo in self._stack.echoes:
            if words.get(echo.gate):
                yield Proof(echo.fact, words[echo.gate])

    async def _hear(self) -> None:
        """Ask every service that must obey what is proved until one says so, or for ``HEARD`` seconds."""
        began = self._clock.now()
        left = HEARD
        while await self._ask(left):
            await asyncio.sleep(LOOK_EVERY)
            left = HEARD - self._clock.now().since(began)
            if left < LEAST:
                return

    async def _ask(self, within: float) -> str:
        """What they do not say, in words; empty when one says so and none denies it, or there is none to ask.
        One is enough: a room that may not ask the other would never see its halt proved.
        """
        echoes = []
        for climb in self._main:
            ways = [tuple(self._echoes(rung.step.proof)) for rung in climb.rungs if rung.matched.is_set()]
            # What was read back elsewhere than at the switch, in a service or its end, needs no echo.
            echoes += [echo for way in ways for echo in way] if all(ways) else []
        seen = await self._eyes.look(echoes, within)
        sights = {each.sight for each in seen}
        is_heard = Sight.HOLDS in sights and Sight.CONTRARY not in sights
        silent = [str(each.text) for each in seen if each.sight is not Sight.HOLDS]
        self._unheard = "" if is_heard else "; ".join(silent)
        return self._unheard

    async def _listen_on(self) -> None:
        """What was only written is confirmed by a word that comes soon after the verdict."""
        for _ in range(int(QUIET)):
            if self._run.verdict is not Verdict.WRITTEN:
                return
            await asyncio.sleep(1.0)
            if not await self._ask(RELOOK) and self._run.verdict is Verdict.WRITTEN:
                self._conclude(is_late=True)
                await self._record_outcome()

    async def _contradict(self, text: str, climbs: Sequence[Climb]) -> bool:
        """Take the verdict back, and go the next way that was left out to each of these targets, side by
        side. Whether there was any."""
        self._is_contradicted = True
        ways = [rung.step.title for climb in climbs if (rung := climb.left_out) is not None]
        now_done = f". Now: {'; '.join(ways)}" if ways else ""
        words = f"LATE: {opening(self._plan.procedure, Verdict.CONTRADICTED)}. {text}{now_done}"
        self._at_rest.clear()
        self._publish(replace(self._run, verdict=Verdict.CONTRADICTED, sentence=SafeText(words, LIMIT)))
        await asyncio.gather(self._record_outcome(), *(climb.go_on() for climb in climbs))
        return bool(ways)

    async def _count(self, fact: str) -> float | None:
        return counted((await self._eyes.read(fact, RELOOK)).value, {})[0]

    async def _watch_climb(self, climb: Climb) -> None:
        if climb.is_held:
            await self._watch_undone(climb)
        elif await climb.late():
            whole = [self._watch_whole()] if await self._conclude_late() else []
            await asyncio.gather(self._watch_undone(climb), *whole)

    async def _conclude_late(self) -> bool:
        """A target was reached after all. Whether it was the last one, of a run that nothing contradicts."""
        if not self._is_contradicted:
            await self._hear()
        # Asked once more: meanwhile it may have been taken back, or another one have been the last.
        if self._is_contradicted or self._run.verdict in HELD:
            return False
        self._conclude(is_late=True)
        await self._record_outcome()
        return self._run.verdict in HELD

    def _conclude(self, is_late: bool = False) -> None:
        now = self._clock.now()
        verdict = combined(self._verdicts())
        if verdict in PROVED and self._unheard:
            verdict = Verdict.WRITTEN
        took = now.since(self._run.started)
        text = sentence(self._plan.procedure, verdict, self._climbs, self._stack.sources, took, self._unheard)
        # What was so before was brought about by no way of this run, unless all was.
        ours = [it for it in self._main if it.verdict() is not Verdict.ALREADY] or self._main
        ways = [climb.holder.step.way for climb in ours if climb.holder is not None]
        self._publish(
            replace(
                self._run,
                verdict=verdict,
                sentence=SafeText(f"LATE: {text}") if is_late else text,
                ended=now,
                rung=max(ways, default=None),
            )
        )

    def _verdicts(self) -> list[Verdict]:
        """Of each target. A look over all that finds something left contradicts nobody where one of the rest
        certainly failed: it sees what that has left. And one that finds nothing left is no part of a stop of
        which nothing else was reached.
        """
        verdicts = [(climb.only_looks, climb.verdict()) for climb in self._main]
        acting = [each for only_looks, each in verdicts if not only_looks]
        looking = [each for only_looks, each in verdicts if only_looks]
        if Verdict.FAILED in acting:
            looking = [Verdict.FAILED if each is Verdict.CONTRADICTED else each for each in looking]
        if acting and not any(each in PROVED for each in acting):
            looking = [each for each in looking if each not in PROVED]
        return acting + looking

    async def _record_outcome(self) -> None:
        run = self._run
        entry = replace(
            self._entry(Kind.OUTCOME, run.sentence),
            verdict=run.verdict.value if run.verdict else "",
            rung=run.rung,
            after=[each.as_record() for rung in self._rungs.values() for each in rung.evidence],
            is_degraded=run.journal_degraded,
        )
        await self._record(entry, OUTCOME_BUDGET)

    def _rung_changed(self, rung: Rung) -> None:
        self._publish()
        if rung.state in (StepState.VERIFIED, StepState.SKIPPED):
            result = rung.result()
            text = f"{rung.step.title}: {rung.state.value}" + (
                f", {result.evidence}" if result.evidence else ""
            )
            evidence = [each.as_record() for each in rung.evidence]
            self._post(self._step_entry(rung, text, {"evidence": evidence}))

    def _rung_tried(self, rung: Rung, attempt: Try) -> None:
        receipt = attempt.receipt
        detail = {
            "try": attempt.number,
            "receipt": receipt.kind.value,
            "took": round(attempt.took, 4),
            "before": receipt.before,
            "after": receipt.after,
        }
        self._post(self._step_entry(rung, f"{rung.step.title}: {receipt.text}", detail))

    def _step_entry(self, rung: Rung, text: str, detail: Mapping[str, object]) -> Entry:
        return step_of(self._entry(Kind.STEP, text), rung.step, rung.state, detail)

    def _entry(self, kind: Kind, text: str) -> Entry:
        duration = self._clock.now().since(self._run.started)
        return entry_of(self._plan, self._stack, kind, text, duration)

    def _results(self) -> tuple[StepResult, ...]:
        return tuple(self._rungs[step.id].result() for step in self._plan.steps)

    def _publish(self, run: Run | None = None) -> None:
        self._run = replace(run or self._run, steps=self._results())
        try:
            self._on_change(self._run)
        except Exception as error:
            # Whoever watches may fail; the stop goes on.
            self._post(self._entry(Kind.NOTE, f"the run could not be shown: {type(error).__name__}"))

    async def _record(self, entry: Entry, budget: float) -> None:
        """Write it, or mark the run: a stop does not depend on its journal."""
        try:
            is_written = await self._recorder.record(entry, budget)
        except Exception:
            is_written = False
        if not is_written and not self._run.journal_degraded:
            self._publish(replace(self._run, journal_degraded=True))

    def _post(self, entry: Entry) -> None:
        try:
            self._recorder.post(entry)
        except Exception:
            self._run = replace(self._run, journal_degraded=True)


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict over all targets; never better than the worst of them."""
    held = [each for each in verdicts if each in (Verdict.VERIFIED, Verdict.ALREADY)]
    if held and len(held) == len(verdicts):
        return Verdict.VERIFIED if Verdict.VERIFIED in held else Verdict.ALREADY
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    if held:
        return Verdict.PARTIAL
    return Verdict.UNCONFIRMED if Verdict.UNCONFIRMED in verdicts else Verdict.FAILED
