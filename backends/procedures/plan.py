"""What exactly is going to be done: an intent and a procedure made concrete, with a hash to hold it to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from backends.model.action import HttpCall, RedisTransition, RedisUnit, RedisWrite
from backends.model.clock import Instant
from backends.model.fact import Table
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.row import demanded, repetitions
from backends.model.stack import Stack
from backends.model.substitution import RESERVED, event_of, fill, fill_known, names_in, times_of, values_of

_TOLD: Final = (HttpCall, RedisTransition, RedisUnit, RedisWrite)
_NAMES: Final = {name: f"${name}" for name in RESERVED}
NO_TABLES: Final[Mapping[str, Table]] = {}


class Ladder(Struct, frozen=True):
    """One target and the ways to it, tried in order; any one of them will do."""

    target: str
    """Empty when the procedure has one target only."""
    rungs: tuple[Step, ...]


class Plan(Struct, frozen=True):
    intent: Intent
    procedure: Procedure
    steps: tuple[Step, ...]
    """Every step, repeated for the rows there are, its title and proofs filled in."""
    ladders: tuple[Ladder, ...]
    """The same steps by target: what a stop climbs."""
    values: Mapping[str, Any]
    """What ``$name`` in the steps stands for; the same for every try."""
    hash: str
    """Equal for two plans that would do the same to the same addresses, whoever asks and when."""

    @property
    def sources(self) -> frozenset[str]:
        """Every source something will be written to."""
        return frozenset(step.action.source for step in self.steps if step.action.source)

    def values_for(self, step: Step, at: Instant | None = None) -> Mapping[str, Any]:
        """The values of one step: those of the run, and of the row it was repeated for. With ``at``, when it
        is first sent, a service is told that time: a switch is as old as its writing, not as the run. Names
        of files are those of the run."""
        times = times_of(at) if at is not None and isinstance(step.action, _TOLD) else {}
        return {**self.values, **times, **step.values, "event": event_of(self.intent.id, step.id)}


def make_plan(
    intent: Intent,
    procedure: Procedure,
    stack: Stack,
    now: Instant,
    tables: Mapping[str, Table] = NO_TABLES,
    seen: Mapping[str, str] | None = None,
) -> Plan:
    """The plan as of ``now``. Never raises: a step that lacks a value will say so when it is tried.

    ``tables`` are the rows that steps are repeated for, by fact; without one its steps vanish. ``seen`` are
    the live values of what the operator saw, by name.
    """
    values = {**(intent.shown if seen is None else seen), **values_of(intent, now)}
    steps = tuple(_expanded(procedure.steps, values, tables))
    # Who, when and why are left as names: they change from the dry run to the real one.
    timeless = tuple(_expanded(procedure.steps, {**values, **_NAMES}, tables))
    targets = dict.fromkeys(step.target for step in steps)
    ladders = tuple(
        Ladder(target, tuple(step for step in steps if step.target == target)) for target in targets
    )
    return Plan(intent, procedure, steps, ladders, values, _hash(procedure, timeless, values, stack))


def _expanded(
    steps: tuple[Step, ...], values: Mapping[str, Any], tables: Mapping[str, Table]
) -> Iterator[Step]:
    targets: list[str] = []
    for template in steps:
        targets.append(template.target)
        step = replace(template, way=targets.count(template.target))
        if step.each is None:
            yield _filled(step, values, {})
            continue
        table = tables.get(step.each.fact)
        wanted = {column: fill_known(text, values) for column, text in step.each.where.items()}
        rows: list[tuple[str, ...]] = []
        if table is not None:
            with suppress(KeyError):
                rows = repetitions(step.each, table, wanted)
        for row in rows:
            own = dict(zip(step.each.columns, row, strict=True))
            yield _filled(replace(step, id=f"{step.id}:{row[0]}"), {**values, **own}, own)


def _filled(step: Step, values: Mapping[str, Any], own: Mapping[str, str]) -> Step:
    return replace(
        step,
        title=fill_known(step.title, values),
        target=fill_known(step.target, values),
        proof=tuple(_proof(proof, values) for proof in step.proof),
        values=own,
    )


def _proof(proof: Proof, values: Mapping[str, Any]) -> Proof:
    where = {column: demanded(text, values) for column, text in proof.where.items()}
    equals = tuple(fill_known(word, values) for word in proof.equals)
    return replace(proof, fact=fill_known(proof.fact, values), equals=equals, where=where)


def _hash(procedure: Procedure, steps: tuple[Step, ...], values: Mapping[str, Any], stack: Stack) -> str:
    # Who, when and why are left as names: they change from the dry run to the real one. So does a secret,
    # a sign-in of a minute's life, and nothing that is printed may depend on one.
    open_names = RESERVED | {param.name for param in procedure.params if param.is_secret}
    named = {name: f"${name}" for name in names_in(_plain(steps)) | open_names}
    fixed = {name: str(value) for name, value in values.items() if name not in open_names}
    plain = {
        "stack": stack.id,
        "environment": stack.environment.value,
        "procedure": procedure.id,
        "steps": [fill(_plain(step), {**named, **fixed, **step.values}) for step in steps],
        "values": fixed,
        "addresses": {
            name: stack.sources[name].url
            for name in {step.action.source for step in steps}
            if name in stack.sources
        },
    }
    if procedure.risk is not RiskClass.STOP:
        plain["demands"] = _plain(procedure.requires)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: _plain(item) for name, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
