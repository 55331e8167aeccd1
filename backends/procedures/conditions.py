"""Preconditions: what must be so before anything but a stop, and since when it has been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from backends.model.action import Action, RedisTransition, RedisUnit, RedisWrite
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.fact import Fact
from backends.model.procedure import Procedure, Step
from backends.model.query import FileQuery, RedisQuery
from backends.model.row import demanded
from backends.model.substitution import fill, names_in
from backends.model.weigh import Weighed

GAP: Final = 5.0
"""Seconds without a look after which nobody can say that a precondition has held."""


def filled(condition: Condition, values: Mapping[str, Any]) -> Condition:
    """The condition for one run. A name that has no value stays, and nothing will match it."""

    def put(text: str) -> str:
        return str(fill(text, values)) if names_in(text) <= values.keys() else text

    where = {column: demanded(text, values) for column, text in condition.where.items()}
    fact, because = put(condition.fact), put(condition.because)
    return replace(
        condition, fact=fact, because=because, where=where, equals=tuple(map(put, condition.equals))
    )


def is_fixed(condition: Condition) -> bool:
    """Whether it is the same whatever is chosen for a run."""
    return not names_in((condition.fact, dict(condition.where), condition.equals))


def needed(conditions: Iterable[Condition]) -> list[str]:
    """The facts that are asked for, each once."""
    return list(dict.fromkeys(condition.fact for condition in conditions))


def lasting(procedures: Iterable[Procedure]) -> dict[str, list[Condition]]:
    """Of each procedure that demands that they have held for a while, those known before a choice is made."""
    return {each.id: [it for it in each.requires if is_fixed(it)] for each in procedures if each.held_for > 0}


def changed_by(steps: Iterable[Step], facts: Mapping[str, Fact]) -> set[str]:
    """What those steps have changed themselves: the facts they prove, and whatever else is read of the same
    Redis key or file, or of a key they write."""
    proved = {proof.fact for step in steps for proof in step.proof}
    places = {_place(facts[name]) for name in proved if name in facts}
    places |= {place for step in steps for place in _written(step.action)}
    return proved | {name for name, fact in facts.items() if _place(fact) in places - {None}}


def _place(fact: Fact) -> tuple[str, str] | None:
    """Where exactly it is kept; None where that is no key and no file."""
    match fact.query:
        case RedisQuery(key=key) if key:
            return fact.source, key
        case FileQuery(path=path):
            return fact.source, path
    return None


def _written(action: Action) -> Iterator[tuple[str, str]]:
    match action:
        case RedisWrite() | RedisTransition():
            yield action.source, action.key
        case RedisUnit():
            yield from ((action.source, write.key) for write in action.writes)


class Holding:
    """Since when all preconditions of each procedure have held without a break, as seen on boards.

    One that lacks nothing but time breaks nothing: how long a halt must last is counted beside this.
    """

    def __init__(self) -> None:
        self._since: dict[str, Instant] = {}
        self._last: dict[str, Instant] = {}

    def note(self, procedure: str, weighed: Iterable[Weighed], now: Instant) -> None:
        """Take in one look at all of them, as far as the first that is not well."""
        is_well = all(each.is_well for each in weighed)
        last = self._last.get(procedure)
        if last is not None and now.since(last) > GAP:
            self._since.pop(procedure, None)
        self._last[procedure] = now
        if is_well:
            self._since.setdefault(procedure, now)
        else:
            self._since.pop(procedure, None)

    def held(self, procedure: str, now: Instant) -> float:
        """Seconds they have held; 0 when they do not, or were not looked at lately."""
        since, last = self._since.get(procedure), self._last.get(procedure)
        if since is None or last is None or now.since(last) > GAP:
            return 0.0
        return max(0.0, now.since(since))
