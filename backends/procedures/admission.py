"""May it start: everything an intent is held to, read afresh, before anything is sent to anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.board import Board
from backends.model.clock import Clock
from backends.model.condition import Condition
from backends.model.fact import Table
from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass, Step
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import Weighed, weigh
from backends.procedures import confirm, demands
from backends.procedures.approval import ApprovalBook, ApprovalError, used_before
from backends.procedures.conditions import Holding, changed_by, filled, needed
from backends.procedures.disk import answered
from backends.procedures.dry_run import PlanBook
from backends.procedures.evidence import Eyes
from backends.procedures.plan import Plan, make_plan
from backends.procedures.resumes import Record, number_of
from backends.procedures.sequence_runner import TRIES

READ: Final = 2.0
"""Seconds one fact may take to be read before something is decided by it."""

HELD: Final = "everything must have been well for"
"""How the sentence begins that asks for more time of observation; a dry run may pass over it."""

STOP_READ: Final = 0.5
"""The same for the rows a stop repeats its steps for; then what the board knows has to do."""

RECORD: Final = 8192
"""Bytes of the journal's disk that are kept for one record of a run: several times what one takes."""


class Admission(Struct, frozen=True):
    """What was found. Without blockers it may start."""

    plan: Plan
    blockers: tuple[str, ...]
    weighed: tuple[Weighed, ...]
    approver: str | None = None
    notes: tuple[str, ...] = ()
    """What is told before it starts and keeps it from nothing."""


class Gatekeeper:
    """Reads what an intent rests on, and says what keeps it from starting.

    ``recent`` gives the newest records of the journal, oldest first, ``free`` the bytes its disk has left,
    and ``elsewhere`` what other rooms run on this stack, with a number only what began before that record;
    each may block.
    """

    def __init__(
        self,
        stack: Stack,
        eyes: Eyes,
        clock: Clock,
        holding: Holding,
        approvals: ApprovalBook | None,
        plans: PlanBook | None,
        recent: Callable[[], Iterable[Record]],
        free: Callable[[], int],
        elsewhere: Callable[[int | None], Iterable[str]],
    ) -> None:
        self._stack = stack
        self._eyes = eyes
        self._clock = clock
        self._holding = holding
        self._approvals = approvals
        self._plans = plans
        self._recent = recent
        self._free = free
        self._elsewhere = elsewhere

    async def admit(
        self, intent: Intent, procedure: Procedure, board: Board | None, against: Iterable[str]
    ) -> Admission:
        """Everything checked once; ``against`` is what is known to stand against it already, in sentences.
        A stop is kept back by nothing but a value that is not allowed.
        """
        is_stop = procedure.risk is RiskClass.STOP
        readings = await self._read(intent, procedure, STOP_READ if is_stop else READ)
        now = self._clock.now()
        tables = dict(self._tables(procedure, readings, board if is_stop else None))
        live = confirm.seen_on(procedure, self._stack, readings)
        plan = make_plan(intent, procedure, self._stack, now, tables, live)
        blockers = list(confirm.params_wrong(intent, procedure, self._stack, readings, now))
        if is_stop:
            return Admission(plan, tuple(blockers), ())
        weighed = self.weigh(intent, procedure, readings)
        blockers += [str(each.sentence) for each in weighed if not each.holds]
        blockers += demands.unlike(readings, self._stack)
        blockers += self._held(procedure)
        blockers += against
        blockers += await self._busy(None)
        blockers += self._unread(procedure, tables)
        blockers += await self._crowded(plan)
        told = tuple(demands.notes(readings, self._stack))
        if intent.is_dry:
            return Admission(plan, tuple(blockers), weighed, notes=told)
        blockers += confirm.seen_wrong(intent, procedure, self._stack, readings)
        blockers += confirm.typed_wrong(intent, procedure, self._stack, readings)
        blockers += await self._planned(intent, plan)
        if blockers or not procedure.needs_approval or self._stack.is_single_operator:
            return Admission(plan, tuple(blockers), weighed, notes=told)
        try:
            approver = await answered(partial(self._approver, intent, plan))
        except (ApprovalError, OSError) as error:
            return Admission(plan, (f"a second person must approve: {error}",), weighed)
        return Admission(plan, (), weighed, approver, told)

    async def against_now(self, plan: Plan, approver: str | None, done: Sequence[Step]) -> list[str]:
        """What stands against the next step once the intent is in the journal: all that is demanded, read
        once more, another room whose intent came first, and an approval that was used before or, while
        nothing was done yet, has grown old. What the steps ``done`` have changed themselves is held to their
        proofs, not to what was demanded before them."""
        intent, changed = plan.intent, changed_by(done, self._stack.facts)
        kept = _without(plan.procedure, intent, changed)
        names = [*self._conditions(intent, kept), *kept.seen.values(), *demands.instances(kept, self._stack)]
        readings = await self._gather(list(dict.fromkeys(names)), READ)
        weighed = self.weigh(intent, kept, readings, is_begun=bool(done))
        against = [str(each.sentence) for each in weighed if not each.holds]
        against += demands.unlike(readings, self._stack)
        against += self._held(kept) if not done else ()
        against += confirm.seen_wrong(intent, kept, self._stack, readings)
        against += await self._busy(intent)
        if approver is None:
            return against
        try:
            if not done:
                await answered(partial(self._approver, intent, plan))
        except (ApprovalError, OSError) as error:
            against.append(f"a second person must approve: {error}")
        try:
            is_used = await answered(lambda: used_before(self._recent(), intent))
        except OSError as error:
            return [*against, f"whether the approval was used before is not known: {error.strerror or error}"]
        return [*against, "the approval was used already: ask for another"] if is_used else against

    def weigh(
        self,
        intent: Intent,
        procedure: Procedure,
        readings: Mapping[str, Reading[Any]],
        *,
        is_begun: bool = False,
    ) -> tuple[Weighed, ...]:
        """The preconditions against readings there are; ``is_begun`` once the run may have had effects."""
        now = self._clock.now()
        return tuple(
            weigh(each, self._stack.facts.get(each.fact), readings.get(each.fact), now)
            for each in self._demanded(intent, procedure)
            if not demands.may_be_down(each, procedure, self._stack, readings, is_begun=is_begun)
        )

    def _demanded(self, intent: Intent, procedure: Procedure) -> Iterator[Condition]:
        """The file's conditions, then the room's own."""
        for condition in procedure.requires:
            yield filled(condition, intent.params)
        yield from demands.clocks(procedure, self._stack)

    def _conditions(self, intent: Intent, procedure: Procedure) -> Sequence[str]:
        return needed(self._demanded(intent, procedure))

    async def _read(self, intent: Intent, procedure: Procedure, within: float) -> dict[str, Reading[Any]]:
        names = [step.each.fact for step in procedure.steps if step.each is not None]
        names += [param.fact for param in procedure.params if param.fact is not None]
        names += procedure.seen.values()
        names += demands.instances(procedure, self._stack)
        if procedure.risk is not RiskClass.STOP:
            names += self._conditions(intent, procedure)
            names += [procedure.challenge] if procedure.challenge is not None else []
        return await self._gather(list(dict.fromkeys(names)), within)

    async def _gather(self, names: Sequence[str], within: float) -> dict[str, Reading[Any]]:
        return dict(
            zip(names, await asyncio.gather(*(self._eyes.read(n, within) for n in names)), strict=True)
        )

    @staticmethod
    def _tables(
        procedure: Procedure, readings: Mapping[str, Reading[Any]], board: Board | None
    ) -> Iterator[tuple[str, Table]]:
        """The rows as read now; for a stop, what the board knew last where they could not be read."""
        for step in procedure.steps:
            if step.each is None:
                continue
            value = readings[step.each.fact].value
            known = board.readings.get(step.each.fact) if board is not None else None
            if not isinstance(value, Table) and known is not None:
                value = known.value if known.value is not None else known.last_good and known.last_good.value
            if isinstance(value, Table):
                yield step.each.fact, value

    def _unread(self, procedure: Procedure, tables: Mapping[str, Table]) -> Iterator[str]:
        for step in procedure.steps:
            if step.each is not None and step.each.fact not in tables:
                yield f"{self._eyes.label(step.each.fact)} cannot be read, and says what to do"
            elif step.each is not None and tables[step.each.fact].total > len(tables[step.each.fact].rows):
                yield f"{self._eyes.label(step.each.fact)} is longer than what was read of it"

    def _held(self, procedure: Procedure) -> Iterator[str]:
        if procedure.held_for > 0:
            held = self._holding.held(procedure.id, self._clock.now())
            if held < procedure.held_for:
                yield (f"{HELD} {procedure.held_for:.0f} s without a break and has been for {held:.0f} s")

    async def _busy(self, intent: Intent | None) -> list[str]:
        """The other rooms at work; with an intent that is in the journal, those that were there first: of
        two that began at the same moment one goes on."""

        def others() -> list[str]:
            records = () if intent is None else self._recent()
            own = [each for each in records if intent and each.get("operation") == intent.id]
            return list(self._elsewhere(number_of(own[0]) if own else None))

        try:
            return list(map(busy, await answered(others)))
        except OSError as error:
            return [unknown(error)]

    async def _crowded(self, plan: Plan) -> list[str]:
        """That the journal's disk has no room for all that this run may record: it would end half-way."""
        needed = RECORD * (4 + len(plan.steps) * (TRIES + 1))
        try:
            free = await answered(self._free)
        except OSError as error:
            return [f"how much room the journal's disk has is not known: {error.strerror}"]
        told = f"the journal's disk has {free // 1024} KiB left, and this may need {needed // 1024} KiB"
        return [f"{told}; make room first"] if free < needed else []

    async def _planned(self, intent: Intent, plan: Plan) -> list[str]:
        if intent.plan is not None and intent.plan != plan.hash:
            return ["the situation has changed since this plan was shown; look at it again"]
        if intent.via != "cli" or plan.procedure.risk not in confirm.PLANNED:
            return []
        if intent.plan is None:
            return ["make a dry run first and give the hash of the plan it prints"]
        if self._plans is None:
            return ["no dry run is known here"]
        plans, shown = self._plans, intent.plan
        try:
            why = await answered(lambda: plans.objection(shown, self._recent()))
        except OSError as error:
            why = f"whether a dry run has shown this plan is not known: {error.strerror}"
        return [] if why is None else [why]

    def _approver(self, intent: Intent, plan: Plan) -> str:
        if self._approvals is None or intent.approval is None:
            raise ApprovalError("ask for it, and have somebody else run: controlroom approve")
        # Nobody was asked to consent to a secret.
        secret = {param.name for param in plan.procedure.params if param.is_secret}
        public = {name: value for name, value in intent.params.items() if name not in secret}
        return self._approvals.approver(intent.approval, replace(intent, params=public), plan.hash)


def _without(procedure: Procedure, intent: Intent, changed: Collection[str]) -> Procedure:
    """The procedure without what it demands of these facts."""
    left = tuple(each for each in procedure.requires if filled(each, intent.params).fact not in changed)
    seen = {name: fact for name, fact in procedure.seen.items() if fact not in changed}
    return replace(procedure, requires=left, seen=seen)


def busy(other: str) -> str:
    """That it keeps anything but a stop from starting."""
    return f"{other} is running; wait for its end"


def unknown(error: OSError) -> str:
    """That nobody can say whether anything keeps it from starting."""
    return f"what other rooms are running is not known: {error.strerror or error}"


def in_one(blockers: Iterable[str]) -> SafeText:
    """All of them in a sentence."""
    return SafeText("; ".join(blockers), 800)
