"""What sources say is made safe where it keeps no stop waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from backends.arming import make_effectors
from backends.journal.redact import Redactor
from backends.model.action import Action
from backends.model.fact import Fact, Finding, Found, Table
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.safetext import LINE_LIMIT, NAME_LIMIT, SafeText
from backends.model.secret import Secret
from backends.procedures.permit import arm
from backends.stacks.loader import built_in, load_stack
from backends.veil import VeiledEffector, VeiledFacts
from tests.sim.world import HALT, KIM


class Rows:
    """A reader that found one table of so many rows."""

    def __init__(
        self, rows: int, text: str = "password=hunter2x", limit: int = LINE_LIMIT, column: str = "line"
    ) -> None:
        self._table = Table((SafeText(column),), ((SafeText(text, limit),),) * rows, rows)

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        return {"lines": Found(self._table)}

    async def close(self) -> None: ...


@pytest.mark.parametrize(("rows", "is_on_loop"), [(2, True), (2000, False)])
async def test_a_long_table_is_made_safe_beside_the_loop_that_stops_run_on(
    rows: int, is_on_loop: bool
) -> None:
    threads: set[int] = set()

    def redact(text: str, limit: int | None = None, *, is_cut: bool = False) -> str:
        threads.add(threading.get_ident())
        return text.replace("hunter2x", "[masked]")

    found = (await VeiledFacts(Rows(rows), redact).read(()))["lines"]
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    assert {row[0] for row in found.value.rows} == {"password=[masked]"}
    assert (threads == {threading.get_ident()}) is is_on_loop


async def test_a_name_too_long_for_its_column_keeps_its_beginning() -> None:
    found = (await VeiledFacts(Rows(1, "x" * 80, NAME_LIMIT), Redactor().text).read(()))["lines"]
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    assert found.value.rows == (("x" * NAME_LIMIT + "… +16 chars",),)


@pytest.mark.parametrize(("cell", "left"), [("true", "true"), ("false", "false"), ("truest", "****")])
async def test_a_yes_or_no_is_no_secret_though_its_column_is_named_like_one(cell: str, left: str) -> None:
    """``pass`` of a check in a report is its verdict."""
    found = (await VeiledFacts(Rows(1, cell, column="repeat_pass"), Redactor().text).read(()))["lines"]
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    assert found.value.rows == ((left,),)


class Quoting:
    """A writer of a service that quotes a secret in all that it tells."""

    async def act(self, _action: Action, _values: Mapping[str, Any], _step: Step) -> Receipt:
        text = SafeText("refused: canary-4711 is not valid")
        return Receipt(ReceiptKind.FAILED, text, text, text, text, text)

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


async def test_what_a_writer_is_told_is_on_the_screen_without_secrets() -> None:
    step = HALT.steps[0]
    effector = VeiledEffector(Quoting(), Redactor([Secret("canary-4711")]).text)
    told = await effector.act(step.action, {}, step)
    text = SafeText("refused: **** is not valid")
    assert told == Receipt(ReceiptKind.FAILED, text, text, text, text, text)


def test_every_writer_that_acts_is_behind_it() -> None:
    permit = arm(KIM, is_watch=False)
    assert permit is not None
    for stack in map(load_stack, built_in().values()):
        made = make_effectors(permit, stack, Redactor().text)
        assert made
        assert {type(each) for each in made.values()} == {VeiledEffector}
