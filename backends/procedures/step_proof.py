"""Whether the effect of a step is there: looked for until it shows, and as often in a row as it must."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from backends.model.action import Command, DockerExec, HttpCall
from backends.model.clock import Clock, Instant
from backends.model.procedure import Step
from backends.model.safetext import SafeText
from backends.procedures.evidence import Before, Evidence, Eyes, Sight, with_floors

LOOK: Final = 2.0
"""Seconds one look may take."""

TRIES: Final = 3
"""Times a service is asked since when it runs."""

LOOK_EVERY: Final = 0.2
APART: Final = 1.0
"""Seconds between two reads that must say the same."""


class StepProofs:
    """What the steps of one run have read back. ``on_seen`` gets a step's id and what a look at it found, in
    words, whenever that is something else than before. ``is_market``: others may have closed it too."""

    def __init__(
        self,
        eyes: Eyes,
        clock: Clock,
        on_seen: Callable[[str, SafeText], None],
        *,
        is_market: bool = False,
    ) -> None:
        self._eyes = eyes
        self._clock = clock
        self._on_seen = on_seen
        self._newest = clock.now()
        """When the run began, then when its newest step was sent: what is made by a step that sends nothing
        itself is made by what was done last."""
        self._sent: dict[str, Instant] = {}
        self._evidence: dict[str, tuple[Evidence, ...]] = {}
        self._was_so: set[str] = set()
        # A position that is gone is gone, whoever closed it; a service that refuses has done nothing.
        self._own = (Command, DockerExec) if is_market else (Command, DockerExec, HttpCall)

    async def before(self, step: Step) -> Before:
        """Since when the services run that the step must start anew; what is newer counts from now on."""
        wanted = [proof.fact for proof in step.proof if proof.is_restarted]
        found = await self._eyes.started(wanted, LOOK, TRIES)
        self._sent[step.id] = self._newest = self._clock.now()
        if isinstance(step.action, self._own) and await self.look(step, found):
            self._was_so.add(step.id)
        return found

    def was_so(self, step: Step) -> bool:
        """Whether it is a program, or asks a service, and the effect was there before: that proves nothing
        unless it ended well."""
        return step.id in self._was_so

    def needs_own(self, step: Step) -> bool:
        """Whether the effect can only be that of this very step."""
        return self.was_so(step) or any(proof.is_restarted or proof.is_newer for proof in step.proof)

    async def proved(self, step: Step, before: Before) -> bool:
        """Keep looking until the proofs hold as often as they must, or their time is over."""
        ends = self._clock.now().mono + max((proof.within for proof in step.proof), default=0.0)
        again = max((proof.reads for proof in step.proof), default=1) - 1
        while True:
            if await self.look(step, before) and await self._stays(step, before, again):
                return True
            if self._clock.now().mono >= ends:
                return False
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, step: Step, before: Before) -> bool:
        """Whether all of it is so now."""
        sent = self._sent.get(step.id, self._newest)
        seen = await self._eyes.look(with_floors(step.proof, self._evidence), LOOK, before, sent)
        if seen != self._evidence.get(step.id):
            self._evidence[step.id] = seen
            self._on_seen(step.id, SafeText("; ".join(each.text for each in seen), 600))
        # Nothing read back proves nothing.
        return bool(seen) and all(each.sight is Sight.HOLDS for each in seen)

    def is_contrary(self, step: Step) -> bool:
        """Whether the newest look says that it is not so."""
        return any(each.sight is Sight.CONTRARY for each in self._evidence.get(step.id, ()))

    def records(self, step: str | None = None) -> Sequence[Any]:
        """The newest looks at one step, or at all of them, for the journal."""
        kept = self._evidence.values() if step is None else [self._evidence.get(step, ())]
        return [each.as_record() for looks in kept for each in looks]

    async def _stays(self, step: Step, before: Before, times: int) -> bool:
        for _ in range(times):
            await asyncio.sleep(APART)
            if not await self.look(step, before):
                return False
        return True
