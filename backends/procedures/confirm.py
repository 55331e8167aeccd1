"""What the operator must have typed, for each class of risk. Checked here, whatever a dialog has checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from backends.model.clock import Instant
from backends.model.condition import Param
from backends.model.fact import Fact, Level, Table
from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Outcome, Reading
from backends.model.stack import Stack
from backends.model.substitution import fill, names_in
from backends.model.weigh import word_of
from backends.procedures import sign_in

REASON: Final = 10
"""Characters a reason for moving the market or resuming must have."""

PLANNED: Final = (RiskClass.MARKET, RiskClass.DEGRADE, RiskClass.RESTORE)
"""Classes for which the command line needs the hash of a fresh dry run."""

Readings = Mapping[str, Reading[Any]]


def phrase_of(procedure: Procedure, stack: Stack, params: Mapping[str, str]) -> str | None:
    """What must be typed exactly; None for a class that asks for no phrase.

    By default ``RESUME <stack>`` for a restore, and the service or the stack for what degrades.
    """
    if procedure.risk not in (RiskClass.RESTORE, RiskClass.DEGRADE):
        return None
    if procedure.phrase:
        known = names_in(procedure.phrase) <= params.keys()
        return str(fill(procedure.phrase, params)) if known else procedure.phrase
    if procedure.risk is RiskClass.RESTORE:
        return f"RESUME {stack.id}"
    services = (each.name for each in procedure.params if each.is_service)
    return next((params[name] for name in services if name in params), stack.id)


def params_wrong(
    intent: Intent, procedure: Procedure, stack: Stack, readings: Readings, now: Instant
) -> Iterator[str]:
    """What is wrong with the chosen values. A stop is held to a list only where all of it could be read."""
    known = {param.name for param in procedure.params}
    for name in sorted(intent.params.keys() - known):
        yield f"{procedure.id} takes no {name}"
    for param in procedure.params:
        value = intent.params.get(param.name)
        if value is None:
            yield f"{param.label} is missing: {param.name} must be chosen"
        elif why := _param_wrong(param, value, procedure, stack, readings, now):
            yield f"{param.label}: {why}"


def typed_wrong(intent: Intent, procedure: Procedure, stack: Stack, readings: Readings) -> Iterator[str]:
    """What was not typed as its class demands."""
    risk = procedure.risk
    if risk in (RiskClass.MARKET, RiskClass.RESTORE) and len(intent.reason.strip()) < REASON:
        yield f"the reason needs at least {REASON} characters"
    phrase = phrase_of(procedure, stack, intent.params)
    if phrase is not None and intent.phrase != phrase:
        yield f"{phrase} was not typed exactly"
    if risk is RiskClass.MARKET and procedure.challenge is not None:
        reading = readings.get(procedure.challenge)
        label = stack.facts[procedure.challenge].label if procedure.challenge in stack.facts else "the value"
        if reading is None or reading.outcome is not Outcome.OK:
            yield f"{label} cannot be read now, so nobody can have typed it"
        elif intent.challenge != word_of(reading.value):
            yield f"{label} reads {word_of(reading.value)} now; {intent.challenge or 'nothing'} was typed"


def seen_on(procedure: Procedure, stack: Stack, readings: Readings) -> dict[str, str]:
    """What is compared with what the operator saw, by name: a word, nothing where it is missing and may be.
    What is not known has no name here."""
    known = (
        (name, _seen(stack.facts.get(fact), readings.get(fact))) for name, fact in procedure.seen.items()
    )
    return {name: word for name, word in known if word is not None}


def seen_wrong(intent: Intent, procedure: Procedure, stack: Stack, readings: Readings) -> Iterator[str]:
    """What is no longer as the operator saw it."""
    found = seen_on(procedure, stack, readings)
    for name, fact in procedure.seen.items():
        label = stack.facts[fact].label if fact in stack.facts else fact
        word = found.get(name)
        if word is None:
            yield f"{label} cannot be read now"
        elif intent.shown.get(name) is None:
            yield f"{label} was not shown to whoever confirmed"
        elif intent.shown[name] != word:
            was = intent.shown[name] or "missing"
            yield f"{label} has changed since it was shown: {word or 'missing'}, was {was}"


def _seen(fact: Fact | None, reading: Reading[Any] | None) -> str | None:
    if reading is not None and reading.outcome is Outcome.OK:
        return word_of(reading.value)
    is_missing = reading is not None and reading.outcome is Outcome.MISSING
    return "" if is_missing and fact is not None and fact.missing in (Level.OK, Level.INFO) else None


def _param_wrong(
    param: Param, value: str, procedure: Procedure, stack: Stack, readings: Readings, now: Instant
) -> str | None:
    why = sign_in.objection(param, value, now.wall)
    is_stop = procedure.risk is RiskClass.STOP
    if not re.fullmatch(param.pattern, value):
        why = "that value is not allowed"
    elif param.is_service and value not in {service.name for service in stack.services}:
        why = f"{value} is no service of {stack.id}"
    elif param.one_of and value not in param.one_of:
        why = f"expected one of {', '.join(param.one_of)}"
    elif param.fact is not None and param.column is not None:
        reading = readings.get(param.fact)
        table = reading.value if reading is not None else None
        if not isinstance(table, Table) or param.column not in table.columns:
            why = None if is_stop else "the list to choose from cannot be read"
        elif not any(row[table.columns.index(param.column)] == value for row in table.rows):
            is_whole = table.total <= len(table.rows)
            why = f"there is no {value} there now" if is_whole or not is_stop else None
    return why
