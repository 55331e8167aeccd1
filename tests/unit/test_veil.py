"""What sources say is made safe where it keeps no stop waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest

from backends.model.fact import Fact, Finding, Found, Table
from backends.model.safetext import SafeText
from backends.veil import VeiledFacts


class Rows:
    """A reader that found one table of so many rows."""

    def __init__(self, rows: int) -> None:
        self._table = Table((SafeText("line"),), ((SafeText("password=hunter2x"),),) * rows, rows)

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        return {"lines": Found(self._table)}

    async def close(self) -> None: ...


@pytest.mark.parametrize(("rows", "is_on_loop"), [(2, True), (2000, False)])
async def test_a_long_table_is_made_safe_beside_the_loop_that_stops_run_on(
    rows: int, is_on_loop: bool
) -> None:
    threads: set[int] = set()

    def redact(text: str) -> str:
        threads.add(threading.get_ident())
        return text.replace("hunter2x", "[masked]")

    found = (await VeiledFacts(Rows(rows), redact).read(()))["lines"]
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    assert {row[0] for row in found.value.rows} == {"password=[masked]"}
    assert (threads == {threading.get_ident()}) is is_on_loop
