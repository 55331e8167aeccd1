"""A dry run in print: each line says so, and nothing in it was sent to anybody."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass, Run
from backends.model.stack import Stack
from backends.model.weigh import Weighed
from backends.procedures.admission import HELD
from backends.procedures.approval import VALID as APPROVAL_VALID
from backends.procedures.confirm import REASON
from backends.procedures.dry_run import VALID
from backends.procedures.preflight import Known, preflight
from tui.commands.output import document
from tui.presenters import words
from tui.presenters.plan import fact_text

PREFIX: Final = "DRY RUN  "


class DryReport(Struct, frozen=True):
    """What a dry run found, for people and for scripts."""

    stack: Stack
    procedure: Procedure
    run: Run
    board: Board
    now: Instant
    weighed: tuple[Weighed, ...]
    phrase: str | None
    approval: str | None
    """Code of the request for a second person."""
    lacks_reason: bool = False
    """Whether nobody was asked because there is no reason they could read."""

    @property
    def blockers(self) -> list[str]:
        return objections(self.run, self.weighed)

    def text(self) -> str:
        """Every line begins with DRY RUN."""
        lines = (line for block in self._lines() for line in block.splitlines() or [""])
        return "\n".join(f"{PREFIX}{line}".rstrip() for line in lines)

    def json(self) -> str:
        return document(self._data())

    @property
    def _known(self) -> tuple[Known, ...]:
        shown = preflight(self.stack, self.procedure, self.board, self.now)
        wanted = {*self.procedure.shows, *self.procedure.seen.values(), self.procedure.challenge}
        return tuple(each for each in shown if each.fact in wanted)

    @property
    def _confirm(self) -> str:
        """What has to follow ``--confirm``, in words."""
        if self.phrase is not None:
            return self.phrase
        challenge = self.procedure.challenge
        if self.procedure.risk is RiskClass.MARKET and challenge is not None:
            return f"the value of {self.stack.facts[challenge].label}"
        return ""

    def _lines(self) -> Iterator[str]:
        procedure, run = self.procedure, self.run
        environment = self.board.environment.value
        yield f"{procedure.title} [{procedure.risk.value}], {self.stack.title} [{environment}]"
        yield procedure.summary
        for text in procedure.will_not:
            yield f"  {words.KNOW}: {text}"
        for text in procedure.warnings:
            yield f"  WARNING: {text}"
        yield "Known now"
        for each in self._known:
            text, _ = fact_text(self.stack, self.board, self.now, each.fact)
            yield f"  {each.label}: {text}"
        if self.weighed:
            yield "Preconditions"
        for weighed in self.weighed:
            why = "" if weighed.holds else f"; {weighed.condition.because}"
            name = self._label(weighed.condition.fact)
            yield f"  {weighed.standing.value:<8}{name} {weighed.text}{_old(weighed.age)}{why}"
        lacking = (each.lacks or 0.0 for each in self.weighed if is_soon(each))
        observed = max(procedure.held_for, *lacking, 0.0)
        if observed > 0:
            yield f"  A real run first observes for {observed:.0f} s that all of them hold."
        yield f"Steps, {len(run.steps)}"
        for number, step in enumerate(run.steps, 1):
            receipt = "" if step.receipt is None else f": {step.receipt.text}"
            yield f"  {number}. {step.title}{receipt}"
        for note in run.notes:
            yield f"NOTE: {note}"
        for text in self.blockers:
            yield f"It would be refused now: {text}"
        if self._confirm:
            exact = shlex.quote(self._confirm) if self.phrase is not None else self._confirm
            yield f"Confirm by: --confirm {exact}"
        if self.approval is not None:
            yield (
                f"Second person: controlroom approve {self.approval} --stack {self.stack.id}, within"
                f" {APPROVAL_VALID / 60:.0f} minutes; then --approval {self.approval}"
            )
        if self.lacks_reason:
            yield (
                "Second person: not asked, for they consent to the reason too. Repeat this with --reason, at"
                f" least {REASON} characters, and give the same one to the real run."
            )
        yield f"Plan {run.plan}, good for {VALID:.0f} s"

    def _label(self, fact: str) -> str:
        return self.stack.facts[fact].label if fact in self.stack.facts else fact

    def _data(self) -> dict[str, Any]:
        procedure, run = self.procedure, self.run
        return {
            "dry_run": True,
            "operation": run.operation,
            "stack": self.stack.id,
            "environment": self.board.environment.value,
            "procedure": procedure.id,
            "class": procedure.risk.value,
            "plan": run.plan,
            "valid_for": VALID,
            "confirm": self.phrase,
            "challenge": procedure.challenge if procedure.risk is RiskClass.MARKET else None,
            "approval": self.approval,
            "held_for": procedure.held_for,
            "warnings": list(procedure.warnings),
            "will_not": list(procedure.will_not),
            "known": [
                {"fact": each.fact, "text": str(each.text), "quality": each.quality.value, "age": each.age}
                for each in self._known
            ],
            "preconditions": [
                {
                    "id": each.condition.id,
                    "fact": each.condition.fact,
                    "standing": each.standing.value,
                    "text": str(each.text),
                    "age": each.age,
                    "because": each.condition.because,
                }
                for each in self.weighed
            ],
            "steps": [
                {"id": s.step, "title": s.title, "would": None if s.receipt is None else str(s.receipt.text)}
                for s in run.steps
            ],
            "notes": [str(each) for each in run.notes],
            "blockers": self.blockers,
        }


def objections(run: Run, weighed: Iterable[Weighed]) -> list[str]:
    """Why it would be refused, but for the time that must pass or be observed: a real run waits for that."""
    waited = tuple(each.condition.because for each in weighed if not each.holds and is_soon(each))
    return [str(each) for each in run.blockers if not each.startswith((HELD, *waited))]


def is_soon(each: Weighed) -> bool:
    """Whether it holds, or will by waiting no longer than a plan is good for."""
    return each.is_well and (each.lacks or 0.0) <= VALID


def _old(age: float | None) -> str:
    return ", never read" if age is None else f", {words.age(age)} old"
