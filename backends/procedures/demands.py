"""What the room itself demands before anything is restored, whatever the stack file demands besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from backends.model.board import CLOCK, SERVICE
from backends.model.condition import Condition
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Outcome, Reading
from backends.model.service import RunState, Service
from backends.model.stack import Source, SourceKind, Stack

APART: Final = 1.0
"""Seconds by which a clock may differ from this host's."""

NOTED: Final = 0.25
"""Seconds of difference that are told, and keep nothing from starting."""

_CLOCKS: Final = (SourceKind.REDIS, SourceKind.POSTGRES, SourceKind.DOCKER)


def clocks(procedure: Procedure, stack: Stack) -> tuple[Condition, ...]:
    """For a restore: that no clock it rests on differs too much; one condition for each server. One that it
    starts itself ``may_be_down``.
    """
    if procedure.risk is not RiskClass.RESTORE:
        return ()
    wanted = {
        *(step.action.source for step in procedure.steps),
        *(_source_of(condition.fact, stack) for condition in procedure.requires),
        *(_source_of(fact, stack) for fact in procedure.seen.values()),
        *(_source_of(gate.fact, stack) for gate in stack.gates),
    }
    servers: dict[tuple[SourceKind, str], str] = {}
    for name, source in stack.sources.items():
        if name in wanted and source.kind in _CLOCKS:
            servers.setdefault(_server(source), name)
    return tuple(_clock(name, stack.sources[name].title) for name in servers.values())


def may_be_down(
    condition: Condition,
    procedure: Procedure,
    stack: Stack,
    readings: Mapping[str, Reading[Any]],
    *,
    is_begun: bool,
) -> bool:
    """Whether it is about a server that does not answer and that the procedure itself starts: about its clock
    or, once that has begun and may have taken it down, about anything it holds."""
    reading, is_clock = readings.get(condition.fact), condition.fact.startswith(CLOCK)
    if reading is None or reading.outcome is not Outcome.FAILED or not (is_clock or is_begun):
        return False
    name = condition.fact.removeprefix(CLOCK) if is_clock else _source_of(condition.fact, stack)
    if name not in stack.sources:
        return False
    asked = _server(stack.sources[name])
    return any(_server(stack.sources[name]) == asked for name in procedure.starts)


def notes(readings: Mapping[str, Reading[Any]], stack: Stack) -> Iterator[str]:
    """Clocks that begin to differ: told before it starts."""
    for key, reading in readings.items():
        if key.startswith(CLOCK) and isinstance(reading.value, float) and NOTED < reading.value <= APART:
            title = stack.sources[key.removeprefix(CLOCK)].title
            yield f"The clock of {title} differs by {reading.value:.2f} s from this host's"


def instances(procedure: Procedure, stack: Stack) -> tuple[str, ...]:
    """For a restore: the keys of all services of which there are several instances."""
    if procedure.risk is not RiskClass.RESTORE:
        return ()
    return tuple(SERVICE + spec.name for spec in stack.services if spec.instance_of is not None)


def unlike(readings: Mapping[str, Reading[Any]], stack: Stack) -> Iterator[str]:
    """Why the running instances of a service cannot be taken for the same program."""
    groups: dict[str, list[str]] = {}
    for spec in stack.services:
        if spec.instance_of is not None and SERVICE + spec.name in readings:
            groups.setdefault(spec.instance_of, []).append(spec.name)
    for group, names in groups.items():
        found = {name: readings[SERVICE + name] for name in names}
        unread = [n for n, each in found.items() if each.outcome not in (Outcome.OK, Outcome.MISSING)]
        services = {n: each.value for n, each in found.items() if isinstance(each.value, Service)}
        running = {n: each.digest for n, each in services.items() if each.state is RunState.RUNNING}
        if unread:
            yield f"The version of {unread[0]}, an instance of {group}, cannot be read"
        elif None in running.values():
            name = next(name for name, digest in running.items() if digest is None)
            yield f"The version of {name}, an instance of {group}, is not known"
        elif len(set(running.values())) > 1:
            told = ", ".join(f"{name} {str(digest)[-12:]}" for name, digest in running.items())
            yield f"The instances of {group} run different versions: {told}"


def _server(source: Source) -> tuple[SourceKind, str]:
    parts = urlsplit(source.url)
    return source.kind, parts.netloc or parts.path


def _clock(source: str, title: str) -> Condition:
    because = f"The clock of {title} must not differ by more than {APART:g} s from this host's. Set it right"
    return Condition(f"clock-{source}", CLOCK + source, because, at_most=APART)


def _source_of(fact: str, stack: Stack) -> str:
    if fact.startswith(SERVICE):
        name = fact.removeprefix(SERVICE)
        return next((spec.source for spec in stack.services if spec.name == name), "")
    return stack.facts[fact].source if fact in stack.facts else ""
