"""The room itself: what it makes of readings that are faulty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from backends.board.derivation import Deriver
from backends.board.ingest import answer
from backends.model.fact import Absent, Broken, Fact, Finding, Found, Table
from backends.model.query import Derivation
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import SourceKind, Stack
from tests.contract.fault_table.subject import Subject, every_stack
from tests.contract.fault_table.trial import FAILED, MISSING, NOW, Door, Ground, Stage, Staged, Trial

WORD = SafeText("word")
_WHY = SafeText("its source has a fault")


@dataclass
class _Room:
    """Makes every derived fact of every stack from inputs that all read alike."""

    outcome: Outcome
    value: Any = None

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        del facts
        return {
            f"{name} {ident}": _found(self._made(stack, Deriver(stack), ident))
            for name, stack in every_stack()
            for ident, fact in stack.facts.items()
            if isinstance(fact.query, Derivation)
        }

    async def close(self) -> None:
        """Nothing is open."""

    def _made(self, stack: Stack, deriver: Deriver, ident: str) -> Reading[Any]:
        fact = stack.facts[ident]
        if not isinstance(fact.query, Derivation):
            why = None if self.outcome in (Outcome.OK, Outcome.MISSING) else _WHY
            place = stack.sources[fact.source]
            return answer(ident, place, 1.0, self.outcome, self.value, now=NOW, before=None, error=why)
        readings = {each: self._made(stack, deriver, each) for each in fact.query.inputs}
        deriver.remember(readings)
        return deriver.make(ident, readings, NOW)


def _found(reading: Reading[Any]) -> Finding:
    if reading.outcome is Outcome.OK:
        return Found(reading.value)
    return Absent() if reading.outcome is Outcome.MISSING else Broken(reading.error or SafeText(""))


def _inputs(outcome: Outcome, value: Any = None) -> Stage:
    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        yield _Room(outcome, value), subjects

    return stage


def _does(*ops: str) -> Any:
    return lambda fact: isinstance(fact.query, Derivation) and fact.query.op in ops


_ALIKE = {"two that read alike do, whatever they read": _does("same")}
_CELL = (SafeText("x"),)

ROOM = Door(
    SourceKind.ROOM,
    {
        "refused": {"its inputs failed": Trial(_inputs(Outcome.FAILED))},
        "hang": {"its inputs were not read yet": Trial(_inputs(Outcome.NEVER))},
        "garbage": "what cannot be understood has failed before the room makes anything of it",
        "wrong type": {
            "text": Trial(_inputs(Outcome.OK, WORD), but=_ALIKE),
            "a flag": Trial(_inputs(Outcome.OK, True), FAILED | MISSING, but=_ALIKE),
            "another table": Trial(
                _inputs(Outcome.OK, Table((SafeText("other"),), (_CELL,), 1)),
                but=_ALIKE | {"of a table its rows are counted": _does("minus", "sum", "age")},
            ),
        },
        "huge": {
            "a table read in part": Trial(
                _inputs(Outcome.OK, Table((SafeText("name"),), (_CELL,), 10_000)),
                but=_ALIKE | {"of a table its rows are counted": _does("minus", "sum", "age")},
            )
        },
        "missing": {"its inputs are missing": Trial(_inputs(Outcome.MISSING), MISSING)},
    },
)
