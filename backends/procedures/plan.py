"""What exactly is going to be done: an intent and a procedure made concrete, with a hash to hold it to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from backends.model.clock import Instant
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Step
from backends.model.stack import Stack
from backends.model.substitution import RESERVED, fill, names_in, values_of


@dataclass(frozen=True, slots=True)
class Ladder:
    """One target and the ways to it, tried in order; any one of them will do."""

    target: str
    """Empty when the procedure has one target only."""
    rungs: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    intent: Intent
    procedure: Procedure
    ladders: tuple[Ladder, ...]
    values: Mapping[str, Any]
    """What ``$name`` in the steps stands for; the same for every try."""
    hash: str
    """Equal for two plans that would do the same to the same addresses, whoever asks and when."""

    @property
    def sources(self) -> frozenset[str]:
        """Every source something will be written to."""
        return frozenset(step.action.source for step in self.procedure.steps)


def make_plan(intent: Intent, procedure: Procedure, stack: Stack, now: Instant) -> Plan:
    """The plan as of ``now``. Never raises: a step that lacks a value will say so when it is tried."""
    targets = dict.fromkeys(step.target for step in procedure.steps)
    ladders = tuple(
        Ladder(target, tuple(step for step in procedure.steps if step.target == target)) for target in targets
    )
    return Plan(intent, procedure, ladders, values_of(intent, now), _hash(intent, procedure, stack))


def _hash(intent: Intent, procedure: Procedure, stack: Stack) -> str:
    steps = _plain(procedure.steps)
    # Who, when and why are left as names: they change from the dry run to the real one.
    kept = {name: f"${name}" for name in names_in(steps) | RESERVED}
    addresses = {step.action.source for step in procedure.steps}
    plain = {
        "stack": stack.id,
        "environment": stack.environment.value,
        "procedure": procedure.id,
        "steps": fill(steps, {**kept, **intent.params, **{name: kept[name] for name in RESERVED}}),
        "params": dict(intent.params),
        "addresses": {name: stack.sources[name].url for name in addresses if name in stack.sources},
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
