"""Results of checks, checklists and diagnoses as plain data and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backends.model.check import Check, Checklist, Diagnosis
from backends.model.clock import Instant
from backends.model.examination import Answer, Examined, ItemState, together
from backends.model.stack import Stack
from tui.presenters import words
from tui.presenters.examination import (
    FOUND,
    PASSED,
    confirmed,
    demanded,
    evidence,
    item_title,
    item_word,
    label,
    mends,
    standing,
    why,
)


def check_data(stack: Stack, check: Check, examined: Examined) -> dict[str, Any]:
    """One check; ages are seconds."""
    return {
        "id": check.id,
        "title": check.title,
        "group": check.group,
        **_examined(stack, examined, PASSED[examined.answer]),
        "response": check.response,
        "procedure": check.procedure,
        "note": check.note,
        "section": check.section,
        "runbook": list(check.runbook),
    }


def diagnosis_data(stack: Stack, diagnosis: Diagnosis, examined: Examined) -> dict[str, Any]:
    """One diagnosis; ``result`` is ``found``, ``not found`` or ``cannot tell``."""
    return {
        "id": diagnosis.id,
        "title": diagnosis.title,
        "service": diagnosis.service,
        **_examined(stack, examined, FOUND[examined.answer]),
        "cause": diagnosis.cause,
        "response": diagnosis.response,
        "procedure": diagnosis.procedure,
        "section": diagnosis.section,
        "runbook": list(diagnosis.runbook),
    }


def checklist_data(stack: Stack, checklist: Checklist, items: Sequence[ItemState]) -> dict[str, Any]:
    """One checklist with its items."""
    return {
        "id": checklist.id,
        "title": checklist.title,
        "when": checklist.when,
        "result": PASSED[together(item.answer for item in items)],
        "items": [
            {
                "id": state.item.id,
                "title": item_title(stack, state),
                "check": state.item.check,
                "result": item_word(state),
                "by": None if state.attested is None else state.attested.by,
                "at": None if state.attested is None else Instant(0.0, state.attested.at).iso(),
            }
            for state in items
        ],
        "section": checklist.section,
        "runbook": list(checklist.runbook),
    }


def _examined(stack: Stack, examined: Examined, word: str) -> dict[str, Any]:
    return {
        "result": word,
        "taken": examined.at.iso(),
        "demands": [
            {
                "fact": it.condition.fact,
                "label": label(stack, it.condition.fact),
                "demand": demanded(it.condition),
                "result": standing(it),
                "text": str(it.text),
                "age": None if it.age is None else round(it.age, 3),
            }
            for it in examined.weighed
        ],
    }


def check_lines(stack: Stack, check: Check, examined: Examined, indent: str = "  ") -> Iterator[str]:
    """One check for people: the result, every demand with its age, and what to do unless it passed."""
    yield f"{indent}{PASSED[examined.answer].upper():<8} {check.title}  [{check.id}]"
    yield from _demand_lines(stack, examined, indent + "         ")
    if examined.answer is not Answer.YES:
        yield f"{indent}         do: {check.response}"
        yield from _mended(stack, check, indent + "         ")
    if check.note and examined.answer is not Answer.YES:
        yield f"{indent}         note: {check.note}"


def diagnosis_lines(
    stack: Stack, diagnosis: Diagnosis, examined: Examined, indent: str = "  "
) -> Iterator[str]:
    """One diagnosis for people."""
    yield f"{indent}{FOUND[examined.answer].upper():<11} {diagnosis.title}  [{diagnosis.id}]"
    yield from _demand_lines(stack, examined, indent + "            ")
    if examined.answer is Answer.YES:
        yield f"{indent}            cause: {diagnosis.cause}"
        yield f"{indent}            do: {diagnosis.response}"
        yield from _mended(stack, diagnosis, indent + "            ")


def item_lines(stack: Stack, state: ItemState, indent: str = "  ") -> Iterator[str]:
    """One item of a checklist for people: ticked by whom, or what keeps it open."""
    tick = "x" if state.answer is Answer.YES else " "
    yield f"{indent}[{tick}] {item_word(state).upper():<8} {item_title(stack, state)}  [{state.item.id}]"
    if state.attested is not None:
        yield f"{indent}             confirmed by {confirmed(state.attested)}"
    if state.examined is not None and state.answer is not Answer.YES:
        for text in why(stack, state.examined):
            yield f"{indent}             {text}"
        check = stack.checks[state.item.check or ""]
        yield f"{indent}             do: {check.response}"
        yield from _mended(stack, check, indent + "             ")


def _demand_lines(stack: Stack, examined: Examined, indent: str) -> Iterator[str]:
    for it in examined.weighed:
        old = "" if it.age is None else f", {words.age(it.age)} old"
        yield f"{indent}{standing(it)}: {evidence(stack, it)}{old}"


def _mended(stack: Stack, it: Check | Diagnosis, indent: str) -> Iterator[str]:
    named = mends(stack, it)
    if named is not None:
        yield f"{indent}mended by: {named}"
    if it.section:
        yield f"{indent}runbook: {it.section}"
