"""Climbing one ladder: each way to the target in its turn, side by side, until one is proved."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from backends.model.action import Observe
from backends.model.procedure import Proof, ReceiptKind, StepState, Verdict
from backends.procedures.evidence import Evidence, Sight
from backends.procedures.rung import Rung

LIMIT: Final = 8.0
"""Seconds after which the verdict is given with what is known by then."""

WAITS: Final = 2.0
"""Seconds a rung that ends services waits for the cancelling before it."""

SETTLE: Final = 0.25
"""Seconds to wait, once the effect is seen, for the answer that tells which rung brought it about."""


class Climb:
    """Runs the rungs of one target. A rung starts at its ``after`` unless the target is reached by then,
    and earlier when every rung before it has certainly done nothing. None is ever undone or cut short. Those
    left out are gone one at a time, by ``go_on``, when the target was not reached after all.

    A climb with ``unless`` stands in for another one: none of its rungs starts once that target is reached.
    """

    def __init__(self, target: str, rungs: Sequence[Rung]) -> None:
        self.target = target
        self.rungs = tuple(rungs)
        self.unless: Climb | None = None
        self.before: Mapping[str, Rung] = {}
        """By id, the rungs of other targets that some of these wait for."""
        self._held = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._last: dict[str, Evidence] = {}
        """By fact, the newest look at it that read anything."""
        for rung in self.rungs:
            rung.witnesses = partial(self._witnesses, rung)
            rung.is_denied = self._is_denied
            rung.on_looked = self._note
            rung.on_matched = self._held.set

    async def reach(self) -> None:
        """Returns when the target is proved reached, when nothing more can be hoped for, or after ``LIMIT``.

        Rungs that are not done then go on; ``settle`` waits for them.
        """
        self._tasks = [asyncio.create_task(self._run(rung)) for rung in self.rungs]
        await _first(self._held.wait(), self._exhausted(), limit=LIMIT)
        if self._held.is_set() and not self._acknowledged():
            await _first(*(rung.acknowledged.wait() for rung in self._started()), limit=SETTLE)

    async def settle(self) -> None:
        """Wait for the rungs that are still trying; they give up by themselves."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def late(self) -> bool:
        """Wait like ``settle``, but return True as soon as the target is reached after all."""
        await _first(self._held.wait(), self.settle(), limit=None)
        return self._held.is_set()

    @property
    def left_out(self) -> Rung | None:
        """The first way that was not tried because the target seemed to be reached."""
        return next((each for each in self.rungs if each.state is StepState.SKIPPED), None)

    async def go_on(self) -> None:
        """Go the way that was left out; returns when that is proved, or given up for now."""
        rung = self.left_out
        if rung is None:
            return
        rung.recall()
        self._tasks.append(asyncio.create_task(self._go(rung)))
        await rung.over()

    async def held(self) -> None:
        """Wait until the target is reached, however long."""
        await self._held.wait()

    async def stop(self) -> None:
        """End every rung where it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_held(self) -> bool:
        """Whether a read-back showed the target reached."""
        return self._held.is_set()

    @property
    def only_looks(self) -> bool:
        """Whether nothing is done on the way to it: it is a look over what the others do."""
        return all(isinstance(rung.step.action, Observe) for rung in self.rungs)

    @property
    def holder(self) -> Rung | None:
        """Which rung held: the likeliest, for the effect looks the same whoever brought it about."""
        return max(self._started(), key=lambda rung: rung.credit) if self._held.is_set() else None

    def verdict(self) -> Verdict:
        """What can be said truthfully now."""
        kinds = [each.receipt.kind for rung in self.rungs for each in rung.tries]
        if self._held.is_set():
            # No try of ours can have done it: it was so, or somebody else did it.
            is_ours = any(kind in (ReceiptKind.DONE, ReceiptKind.UNKNOWN) for kind in kinds)
            is_pending = not kinds
            return Verdict.VERIFIED if is_ours or is_pending else Verdict.ALREADY
        if all(kind is ReceiptKind.FAILED for kind in kinds) and not any(it.is_asking for it in self.rungs):
            return Verdict.FAILED
        if any(rung.is_contrary for rung in self.rungs):
            return Verdict.CONTRADICTED
        return Verdict.UNCONFIRMED

    async def _run(self, rung: Rung) -> None:
        earlier = self.rungs[: self.rungs.index(rung)]
        if rung.step.after > 0:
            turns = [_all(before.failed for before in earlier)] if earlier else []
            turns += [self.unless.held()] if self.unless is not None else []
            await _first(self._held.wait(), *turns, limit=rung.step.after)
        if rung.step.waits_for in self.before:
            await _first(self._held.wait(), self.before[rung.step.waits_for].over(), limit=WAITS)
        if self._held.is_set() or (self.unless is not None and self.unless.is_held):
            rung.skip()
            return
        await rung.run()

    async def _go(self, rung: Rung) -> None:
        if rung.step.waits_for in self.before:
            await _first(self.before[rung.step.waits_for].over(), limit=WAITS)
        await rung.run()

    async def _exhausted(self) -> None:
        for rung in self.rungs:
            await rung.spent.wait()

    def _started(self) -> list[Rung]:
        return [rung for rung in self.rungs if rung.is_started]

    def _acknowledged(self) -> list[Rung]:
        return [rung for rung in self._started() if rung.acknowledged.is_set()]

    def proofs(self) -> tuple[Proof, ...]:
        """What must go on to read as it does: the proofs of every rung that was started, each fact once."""
        return tuple({proof.fact: proof for rung in self._started() for proof in rung.step.proof}.values())

    def _note(self, evidence: Evidence) -> None:
        known = self._last.get(evidence.proof.fact)
        if evidence.sight is not Sight.UNSEEN and (known is None or known.asked <= evidence.asked):
            self._last[evidence.proof.fact] = evidence

    def _is_denied(self, asked: float) -> bool:
        """Whether, by what is known of it last, a fact of a started rung reads the contrary.

        The first rung's facts deny it however old that look is; the others' from ``asked`` on. A look
        that failed agrees with nothing, and so does not take such a reading back.
        """
        first = {proof.fact for proof in self.rungs[0].step.proof}
        return any(
            each.sight is Sight.CONTRARY and (each.asked >= asked or each.proof.fact in first)
            for each in self._last.values()
        )

    def _witnesses(self, rung: Rung) -> tuple[Proof, ...]:
        own = {proof.fact for proof in rung.step.proof}
        others = [proof for other in self._started() if other is not rung for proof in other.step.proof]
        return tuple({proof.fact: proof for proof in others if proof.fact not in own}.values())


async def _all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _first(*waits: Coroutine[Any, Any, Any], limit: float | None) -> None:
    """Until one of them is done, or ``limit`` seconds have passed; the others are dropped."""
    tasks = [asyncio.create_task(each) for each in waits]
    try:
        await asyncio.wait(tasks, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
