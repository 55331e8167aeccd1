"""What sources say is made safe where it keeps no stop waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest

from backends.journal.redact import Redactor
from backends.model.fact import Fact, Finding, Found, Table
from backends.model.safetext import LINE_LIMIT, NAME_LIMIT, SafeText
from backends.veil import VeiledFacts


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
