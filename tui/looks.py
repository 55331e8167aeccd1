"""What a procedure's dialog needs and no poll brings: looked up while the dialog is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from backends.model.procedure import Procedure
from backends.model.reading import Reading
from backends.model.stack import Stack
from tui.moment import Moment


class Looks(Protocol):
    """A stack's desk, as far as single looks go."""

    @property
    def looked(self) -> Mapping[str, Reading[Any]]: ...

    def look(self, facts: Iterable[str]) -> None: ...


def looked_up(moment: Moment, procedure: Procedure, looks: Looks) -> Moment:
    """The moment with what was looked up for this procedure on its board; asks for it to be kept fresh."""
    wanted = on_demand(moment.stack, procedure)
    if not wanted:
        return moment
    looks.look(wanted)
    found = {name: looks.looked[name] for name in wanted if name in looks.looked}
    return replace(moment, board=replace(moment.board, readings={**moment.board.readings, **found}))


def on_demand(stack: Stack, procedure: Procedure) -> tuple[str, ...]:
    """The facts that are never polled and that the procedure demands, shows, repeats over or lets choose."""
    names = [it.fact for it in procedure.requires]
    names += procedure.shows
    names += [param.fact for param in procedure.params if param.fact is not None]
    names += [step.each.fact for step in procedure.steps if step.each is not None]
    names += procedure.seen.values()
    names += [procedure.challenge] if procedure.challenge is not None else []
    return tuple(name for name in dict.fromkeys(names) if name in stack.facts and stack.facts[name].on_demand)
