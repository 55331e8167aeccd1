"""One way to a target: tried, retried, and proved by reading back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, Final

from msgspec import Struct

from backends.model.action import Observe
from backends.model.clock import Clock, Instant
from backends.model.procedure import Effector, Proof, Receipt, ReceiptKind, Step, StepResult, StepState
from backends.model.safetext import SafeText
from backends.procedures.evidence import Evidence, Eyes, Sight

PAUSES: Final = (0.1, 0.2, 0.4)
"""Seconds before each quick retry, lengthened by up to half at random."""

SLOW_PAUSES: Final = (1.0, 2.0)
"""Seconds before the later ones; the last repeats."""

CONVERGE: Final = 60.0
"""Seconds after its start in which a rung goes on trying, so that all paths come to say the same.

No longer than the minimum halt: nobody can have resumed validly before it gives up.
"""

ACT_GRACE: Final = 0.5
"""Seconds a writer may be late before it is not waited for."""

LOOK: Final = 0.5
"""Seconds one look may take."""

WITNESS_LOOK: Final = 1.0
"""The same for what could contradict: a slow answer must not pass for agreement."""

LOOK_EVERY: Final = 0.1
APART: Final = 1.0
"""Seconds between two reads that must say the same."""

HEAD_START: Final = 0.1
"""Seconds after sending until reading back starts without waiting for an answer."""

_ACKNOWLEDGED: Final = (ReceiptKind.DONE, ReceiptKind.ALREADY)


class Try(Struct, frozen=True):
    """One attempt of a rung, for the journal."""

    number: int
    receipt: Receipt
    took: float


class Rung:
    """Runs one step until it is proved or out of time. What it learns is in its attributes.

    ``matched`` is set once a read-back shows the effect and no other path contradicts it; ``spent`` when
    the quick tries are over without that; ``failed`` when the first try certainly did nothing.
    """

    def __init__(
        self,
        step: Step,
        effector: Effector | None,
        values: Mapping[str, Any],
        eyes: Eyes,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self.step = step
        self.state = StepState.PENDING
        self.tries: list[Try] = []
        self.evidence: tuple[Evidence, ...] = ()
        self.matched, self.spent, self.failed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.witnesses: Callable[[], tuple[Proof, ...]] = tuple
        """Proofs of the other paths tried so far: one that reads the contrary outweighs this rung's own."""
        self.is_denied: Callable[[float], bool] = lambda _: False
        """Whether anything known on the way to the target denies what this rung read at that time."""
        self.on_looked: Callable[[Evidence], None] = lambda _: None
        self.on_change: Callable[[Rung], None] = lambda _: None
        self.on_matched: Callable[[], None] = lambda: None
        self.on_try: Callable[[Rung, Try], None] = lambda _, __: None
        self._effector = effector
        self._values = values
        self._eyes = eyes
        self._clock = clock
        self._jitter = jitter
        self._sent: Instant | None = None
        self._took: float | None = None
        self._answered = asyncio.Event()
        self._is_doubted = False
        self.is_asking = False
        """Whether a request is out whose answer may still come."""

    @property
    def is_started(self) -> bool:
        return self._sent is not None

    @property
    def receipt(self) -> Receipt | None:
        """The best answer so far: an acknowledgement, or else the newest."""
        known = [each.receipt for each in self.tries]
        return next((each for each in known if each.kind in _ACKNOWLEDGED), known[-1] if known else None)

    @property
    def is_contrary(self) -> bool:
        """Whether the newest look says that it is not so."""
        return any(each.sight is Sight.CONTRARY for each in self.evidence)

    @property
    def credit(self) -> tuple[bool, bool, bool]:
        """How likely it is that this rung brought the effect about; greater is likelier."""
        may_have = any(each.receipt.kind is not ReceiptKind.FAILED for each in self.tries)
        is_believed = self.acknowledged.is_set() and not self._is_doubted
        return is_believed, may_have or not self.tries, self.matched.is_set()

    def result(self) -> StepResult:
        """How it stands, for the screen."""
        words = "; ".join(each.text for each in self.evidence)
        evidence = SafeText(words, 600) if words else None
        return StepResult(self.step.id, self.step.title, self.state, self.receipt, evidence, self._took)

    def skip(self) -> None:
        """It is not needed."""
        self._set(StepState.SKIPPED)
        self.spent.set()

    def recall(self) -> None:
        """It is needed after all."""
        self.spent.clear()

    async def over(self) -> None:
        """Wait until it is proved, or has been given up for now."""
        spent, matched = (asyncio.ensure_future(each.wait()) for each in (self.spent, self.matched))
        try:
            await asyncio.wait((spent, matched), return_when=asyncio.FIRST_COMPLETED)
        finally:
            spent.cancel()
            matched.cancel()

    async def run(self) -> None:
        """Try until proved, quickly at first, then slowly. Ends after ``CONVERGE`` seconds at the latest."""
        self._sent = self._clock.now()
        watch = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(CONVERGE):
                await self._keep_trying()
        except TimeoutError:
            pass
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            self.spent.set()

    async def _keep_trying(self) -> None:
        for number, pause in enumerate(_pauses(), 1):
            if not self.spent.is_set():
                self._set(StepState.SENT)
            known = self.receipt if self.step.is_once and self.acknowledged.is_set() else None
            receipt = known or await self._try(number)
            # What was acknowledged gets the time its proofs allow; so does the last quick try.
            is_last = number == len(PAUSES) + 1
            patient = receipt.kind in _ACKNOWLEDGED or is_last
            within = max((proof.within for proof in self.step.proof), default=0.0) if patient else 0.0
            if await passed(self.matched, within):
                return
            self._is_doubted = self._is_doubted or (receipt.kind in _ACKNOWLEDGED and self.is_contrary)
            if is_last:
                self._give_up()
            if await passed(self.matched, pause * (1 + self._jitter() / 2)):
                return

    async def _try(self, number: int) -> Receipt:
        began = self._clock.now()
        self.is_asking = True
        receipt = await self._act()
        self.is_asking = False
        self.tries.append(Try(number, receipt, self._clock.now().since(began)))
        if receipt.kind in _ACKNOWLEDGED:
            self.acknowledged.set()
        elif receipt.kind is ReceiptKind.FAILED and number == 1:
            self.failed.set()
        self.on_try(self, self.tries[-1])
        state = _STATES[receipt.kind]
        # Once it was given up, another word of the service's is no news: only the effect is.
        self._set(self._unproved if self.spent.is_set() and state is StepState.ACKNOWLEDGED else state)
        self._answered.set()
        return receipt

    async def _act(self) -> Receipt:
        if isinstance(self.step.action, Observe):
            return Receipt(ReceiptKind.ALREADY, SafeText("nothing is sent"))
        if self._effector is None:
            return Receipt(ReceiptKind.FAILED, SafeText("there is no way to write to it in this session"))
        limit = self.step.connect + self.step.deadline + ACT_GRACE
        try:
            async with asyncio.timeout(limit):
                return await self._effector.act(self.step.action, self._values, self.step)
        except TimeoutError:
            text = f"no answer within {limit * 1000:.0f} ms"
            return Receipt(ReceiptKind.UNKNOWN, SafeText(text))
        except Exception as error:
            # A fault in a writer must not end a stop, and it may have struck after sending.
            return Receipt(ReceiptKind.UNKNOWN, SafeText(f"a fault in this program: {type(error).__name__}"))

    async def _watch(self) -> None:
        """Look until the effect shows, at once after every answer and every ``LOOK_EVERY`` seconds."""
        await passed(self._answered, HEAD_START)
        while not self.matched.is_set():
            self._answered.clear()
            asked = self._clock.now().mono
            seen = await self._look(self.step.proof)
            if _holds(seen):
                # Its own facts once more: one good read may fall into the moment before it was undone.
                told = await self._look((*self.witnesses(), *self.step.proof), WITNESS_LOOK)
                seen += tuple(each for each in told if each.sight is Sight.CONTRARY)
            if [each.as_record() for each in seen] != [each.as_record() for each in self.evidence]:
                self.evidence = seen
                self.on_change(self)
            if _holds(seen) and await self._stays() and not self.is_denied(asked):
                self._took = self._since_sent()
                self._set(StepState.VERIFIED)
                self.matched.set()
                self.on_matched()
                return
            await passed(self._answered, LOOK_EVERY * (10 if self.spent.is_set() else 1))

    async def _look(self, proofs: tuple[Proof, ...], within: float = LOOK) -> tuple[Evidence, ...]:
        seen = await self._eyes.look(proofs, within, sent=self._sent)
        for each in seen:
            self.on_looked(each)
        return seen

    async def _stays(self) -> bool:
        """Whether it reads so as often as it must, a second apart."""
        for _ in range(max((proof.reads for proof in self.step.proof), default=1) - 1):
            await asyncio.sleep(APART)
            self.evidence = await self._look(self.step.proof)
            if not _holds(self.evidence):
                return False
        return True

    def _give_up(self) -> None:
        """The quick tries are over; what follows happens in the background."""
        self._took = self._since_sent()
        if self.state is StepState.ACKNOWLEDGED:
            self._set(self._unproved)
        self.spent.set()

    @property
    def _unproved(self) -> StepState:
        """What it is that was acknowledged, and whose effect does not show."""
        return StepState.FAILED if self.is_contrary else StepState.UNKNOWN

    def _since_sent(self) -> float | None:
        return None if self._sent is None else self._clock.now().since(self._sent)

    def _set(self, state: StepState) -> None:
        if state is not self.state and self.state is not StepState.VERIFIED:
            self.state = state
            self.on_change(self)


_STATES: Final = {
    ReceiptKind.DONE: StepState.ACKNOWLEDGED,
    ReceiptKind.ALREADY: StepState.ACKNOWLEDGED,
    ReceiptKind.FAILED: StepState.FAILED,
    ReceiptKind.UNKNOWN: StepState.UNKNOWN,
}


def _holds(seen: tuple[Evidence, ...]) -> bool:
    """Nothing read back proves nothing."""
    return bool(seen) and all(each.sight is Sight.HOLDS for each in seen)


def _pauses() -> Iterator[float]:
    return chain(PAUSES, SLOW_PAUSES, repeat(SLOW_PAUSES[-1]))


async def passed(event: asyncio.Event, seconds: float) -> bool:
    """Whether ``event`` is set, waiting for it at most ``seconds``."""
    if event.is_set() or seconds <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
