"""Checks, checklists and diagnoses of a stack file become the model's."""

from __future__ import annotations

from collections.abc import Sequence

from backends.model.check import Check, Checklist, ChecklistItem, Diagnosis
from backends.model.condition import Condition
from backends.stacks import schema_check as schema
from backends.stacks.naming import words_of


def build_condition(row: schema.Demand, ident: str, because: str) -> Condition:
    """A demand as a condition with this name; ``because`` is said when it does not hold."""
    return Condition(
        id=ident,
        fact=row.fact,
        because=because,
        equals=tuple(words_of(row.equals)),
        differs=tuple(words_of(row.differs)),
        is_ok=row.ok,
        is_missing=row.missing,
        at_most=0.0 if row.zero else row.at_most,
        at_least=row.at_least,
        max_age=row.max_age,
        min_age=row.min_age,
        where=row.where,
    )


def build_check(row: schema.CheckRow) -> Check:
    return Check(
        id=row.id,
        title=row.title,
        group=row.group,
        demands=_demands(row.all, row.response),
        response=row.response,
        procedure=row.procedure,
        note=row.note,
        section=row.section,
        runbook=tuple(row.runbook),
    )


def build_checklist(row: schema.ChecklistRow) -> Checklist:
    items = tuple(ChecklistItem(item.id, item.check, item.attest, tuple(item.runbook)) for item in row.item)
    return Checklist(
        id=row.id,
        title=row.title,
        when=row.when,
        items=items,
        kept=row.kept,
        zone=row.zone,
        section=row.section,
        runbook=tuple(row.runbook),
    )


def build_diagnosis(row: schema.DiagnosisRow) -> Diagnosis:
    return Diagnosis(
        id=row.id,
        title=row.title,
        demands=_demands(row.all, row.cause),
        cause=row.cause,
        response=row.response,
        service=row.service,
        procedure=row.procedure,
        section=row.section,
        runbook=tuple(row.runbook),
    )


def _demands(rows: Sequence[schema.Demand], because: str) -> tuple[Condition, ...]:
    return tuple(build_condition(row, str(number), because) for number, row in enumerate(rows, start=1))
