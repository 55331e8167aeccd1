"""Whether a stop has overtaken a run that is none: ordered in another room, or read back from its switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from backends.journal.entry import Kind
from backends.journal.unfinished import CutOff
from backends.model.action import Command, DockerVerb, ProcessSignal, SystemdVerb
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.stack import Stack
from backends.procedures.confirm import PLANNED
from backends.procedures.disk import answered
from backends.procedures.elsewhere import room_of
from backends.procedures.evidence import Eyes
from backends.procedures.resumes import Record, number_of

LOOK: Final = 1.0
"""Seconds the switches may take to be read before each step."""

UNREAD: Final = "the journal cannot be read, and so nothing that another room does"

REPLACED: Final = "the journal was replaced meanwhile, and so it is unknown what another room does"

_PROGRAMS: Final = (Command, DockerVerb, ProcessSignal, SystemdVerb)
"""Actions that start or end programs: a switch may read halted afterwards because its service is new."""


class StopWatch:
    """Of one run. ``recent`` gives the newest records of the journal, oldest first; it may block.

    ``begin`` comes before it is asked whether the run may start, so that no stop falls in between.
    """

    def __init__(
        self, stack: Stack, procedure: Procedure, eyes: Eyes, recent: Callable[[], Iterable[Record]]
    ) -> None:
        self._stack = stack
        self._eyes = eyes
        self._recent = recent
        is_restore = procedure.risk is RiskClass.RESTORE
        self._gates = {gate.fact: gate for gate in stack.gates if gate.latches and is_restore}
        self._is_told_at_first = not any(isinstance(step.action, _PROGRAMS) for step in procedure.steps)
        """Whether what is open before the first step can be closed by nobody but a stop."""
        self._open: set[str] = set()
        """The gates that only a stop can have closed when they read halted."""
        self._since = 0
        self._newest: Record | None = None
        """The record of that number."""

    async def begin(self) -> None:
        """Only what is journalled from now on overtakes it. Raises OSError."""
        self._newest = max(await self._records(), key=number_of, default=None)
        self._since = 0 if self._newest is None else number_of(self._newest)

    def passed(self, step: Step) -> None:
        """A step was proved: what it opened is open, what it closed was closed by this run."""
        for proof in step.proof:
            gate = self._gates.get(proof.fact)
            words = set(proof.equals)
            if gate is not None and words and words <= gate.trading:
                self._open.add(gate.fact)
            elif gate is not None and words and words <= gate.halted:
                self._open.discard(gate.fact)

    async def pressed(self) -> str | None:
        """The stop that any room has journalled on this stack since ``begin``, in words; also when it cannot
        be told from older ones any more. Raises OSError."""
        records = await self._records()
        if self._is_replaced(records):
            return REPLACED
        for record in records:
            is_stop = record.get("kind") == Kind.INTENT.value and record.get("class") == RiskClass.STOP.value
            is_live = record.get("mode") == "live" and record.get("stack") == self._stack.id
            if is_stop and is_live and number_of(record) > self._since:
                known = self._stack.procedures.get(str(record.get("procedure")))
                title = known.title if known is not None else str(record.get("procedure"))
                return f"{title} was pressed meanwhile by {room_of(CutOff(record, (), record))}"
        return None

    async def preceded(self, operation: str) -> str | None:
        """Another run that may have had effects between ``begin`` and the intent of ``operation``, in words,
        also when it has ended: what was read meanwhile need not be so any more."""
        try:
            records = await self._records()
        except OSError as error:
            return f"{UNREAD}: {error.strerror or error}"
        if self._is_replaced(records):
            return REPLACED
        begun: dict[object, Record] = {}
        for record in records:
            if record.get("stack") != self._stack.id or number_of(record) <= self._since:
                continue
            if record.get("operation") == operation:
                break
            if record.get("kind") == Kind.REFUSED.value:
                begun.pop(record.get("operation"), None)
            elif _may_change(record):
                begun[record.get("operation")] = record
        first = next(iter(begun.values()), None)
        if first is None:
            return None
        who = room_of(CutOff(first, (), first))
        return f"{first.get('procedure')} by {who} came first; look again at what is so now"

    async def overtaken(self, tried: Step | None = None) -> str | None:
        """Why the next step must not be done; None when nothing stands against it. ``tried`` is a step that
        is to be sent again: what it would open or close may have changed by its first try."""
        try:
            why = await self.pressed()
        except OSError as error:
            why = f"{UNREAD}: {error.strerror or error}"
        if why is not None:
            return why
        own = {proof.fact for proof in tried.proof} if tried is not None else set()
        for each in await self._eyes.look([Proof(fact) for fact in self._gates if fact not in own], LOOK):
            gate = self._gates[each.proof.fact]
            if each.value in gate.halted and gate.fact in self._open:
                return f"{each.text} again: halted meanwhile by somebody else"
            if self._is_told_at_first and each.value in gate.trading:
                self._open.add(gate.fact)
        self._is_told_at_first = False
        return None

    def _is_replaced(self, records: Sequence[Record]) -> bool:
        """Whether another journal, as an older copy of it, is there by now: its numbers say nothing."""
        if self._newest is None or self._newest in records:
            return False
        # Of a long one the oldest records are not kept; all that are came later then.
        return not records or min(map(number_of, records)) <= self._since

    async def _records(self) -> list[Record]:
        return await answered(lambda: list(self._recent()))


def _may_change(record: Record) -> bool:
    """Whether it is the intent of a real run that may change what another one rests on; of a stop there is
    more to say than that."""
    is_intent = record.get("kind") == Kind.INTENT.value and record.get("mode") == "live"
    return is_intent and record.get("class") in {risk.value for risk in PLANNED}
