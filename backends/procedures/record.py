"""What a run writes in the journal, and one that was not let in: the same words for every kind of runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from backends.journal.entry import Entry, Kind
from backends.model.clock import Instant
from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass, Run, Step, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.plan import Plan


def entry_of(plan: Plan, stack: Stack, kind: Kind, text: str, duration: float) -> Entry:
    """An entry about a run, ``duration`` seconds after its start."""
    intent = plan.intent
    return Entry(
        kind,
        f"DRY RUN: {text}" if intent.is_dry else text,
        stack=stack.id,
        environment=stack.environment.value,
        procedure=plan.procedure.id,
        risk=plan.procedure.risk.value,
        operation=intent.id,
        operator=intent.operator,
        plan=plan.hash,
        duration=duration,
        mode="dry" if intent.is_dry else "",
    )


def intent_of(plan: Plan, stack: Stack, before: Sequence[Mapping[str, Any]], approver: str | None) -> Entry:
    """The entry before the first effect."""
    intent = plan.intent
    text = f"{intent.operator.user} starts: {plan.procedure.title}"
    if plan.procedure.needs_approval and approver is None and stack.is_single_operator:
        text += " (single-operator mode: no second person)"
    return replace(
        entry_of(plan, stack, Kind.INTENT, text, 0.0),
        reason=intent.reason,
        via=intent.via,
        seen=intent.seen,
        targets=sorted(plan.sources),
        before=before,
        approver=approver,
        approval=None if approver is None else intent.approval,
    )


def refused(intent: Intent, procedure: Procedure | None, text: SafeText, at: Instant) -> Run:
    """The run of an intent that was not let in."""
    return Run(
        operation=intent.id,
        stack=intent.stack,
        procedure=intent.procedure,
        title=procedure.title if procedure is not None else intent.procedure,
        started=at,
        steps=(),
        verdict=Verdict.REFUSED,
        sentence=text,
        ended=at,
        risk=procedure.risk if procedure is not None else RiskClass.STOP,
    )


def step_of(entry: Entry, step: Step, state: StepState, detail: Mapping[str, object]) -> Entry:
    """An entry about one step."""
    known = {"id": step.id, "source": step.action.source, "state": state.value}
    return replace(
        entry, step={**known, **{name: value for name, value in detail.items() if value is not None}}
    )
