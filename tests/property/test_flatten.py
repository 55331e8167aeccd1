"""Whatever happens to the closing orders and whoever presses again: no position is ever turned round."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.journal.entry import Kind
from backends.model.procedure import Run, Verdict
from tests.sim.desk import CLOSE, FLATTEN, Desk, Office, asked, office
from tests.sim.virtual import simulate
from tests.sim.world import Paper, now

ORDERED = replace(CLOSE, requires=FLATTEN.requires)
FAULTS = ("ok", "refuse", "lost", "dropped", "stuck", "bug", "lies", "slow")
MOMENT = 0.01
_ENDS = (Kind.OUTCOME, Kind.REFUSED)


@dataclass
class Market(Desk):
    """A closing order is as large as the position is when it is sent, and is filled some seconds later."""

    fills_in: float = 0.0

    def apply(self, path: str, body: Mapping[str, Any]) -> str | None:
        if path != "/close":
            return super().apply(path, body)
        symbol = str(body["symbol"])
        if size := self.positions.get(symbol, 0):
            self.orders += 1
            asyncio.get_running_loop().call_later(self.fills_in, self._fill, symbol, -size)
        return None

    def _fill(self, symbol: str, size: int) -> None:
        self.orders -= 1
        self.positions[symbol] += size


class Shared(Paper):
    """One journal for two rooms, as each of them reads it."""

    def numbered(self) -> list[dict[str, Any]]:
        return [{"seq": number, **each} for number, each in enumerate(self.records())]

    def under_way(self, before: int | None) -> list[str]:
        """Of either room. Whoever looks without knowing a number may see the journal of a moment ago."""
        seen = [entry for at, entry in self.entries if before is not None or at <= now() - MOMENT]
        ended = {entry.operation for entry in seen if entry.kind in _ENDS}
        begun = [(n, e) for n, e in enumerate(seen) if e.kind is Kind.INTENT and e.operation not in ended]
        return [entry.procedure for number, entry in begun if before is None or number < before]


def two_rooms(desk: Market, wire: dict[str, str]) -> list[Office]:
    paper = Shared()
    stack = {"procedures": {each.id: each for each in (FLATTEN, ORDERED)}}
    made = [office(desk, wire, paper=paper, recent=paper.numbered, **stack) for _ in range(2)]
    for each in made:
        each.procedures._gate._elsewhere = paper.under_way
    return made


presses = st.lists(
    st.tuples(
        st.integers(0, 6).map(float), st.integers(0, 1), st.sampled_from(["all", "AAPL", "MSFT"])
    ),
    min_size=1, max_size=4, unique_by=lambda press: press[:2],
)  # fmt: skip
"""When, in which room and what. Two rooms may begin at one moment; in one room nobody confirms two at once,
and where that were done each would be refused for the other."""


@given(fault=st.sampled_from(FAULTS), fills_in=st.floats(0, 10), presses=presses)
@example(fault="ok", fills_in=2.0, presses=[(0.0, 0, "all"), (0.0, 1, "all")])
@example(fault="lost", fills_in=8.0, presses=[(0.0, 0, "all"), (4.0, 1, "AAPL"), (6.0, 0, "all")])
@settings(max_examples=150, deadline=None)
def test_no_position_is_turned_round(
    fault: str, fills_in: float, presses: list[tuple[float, int, str]]
) -> None:
    desk = Market(fills_in=fills_in)
    before = dict(desk.positions)

    async def press(number: int, late: float, rooms: list[Office], which: int, what: str) -> Run:
        await asyncio.sleep(late)
        typed = str(sum(1 for size in desk.positions.values() if size))
        name, params = ("flatten", {}) if what == "all" else ("close", {"symbol": what})
        wanted = asked(name, id=f"op-{number}", challenge=typed, params=params)
        return await rooms[which].procedures.execute(wanted)

    async def go() -> list[Run]:
        rooms = two_rooms(desk, {"/close": fault})
        runs = await asyncio.gather(*(press(n, late, rooms, *it) for n, (late, *it) in enumerate(presses)))
        await asyncio.sleep(fills_in)
        return list(runs)

    runs = simulate(go())
    assert all(size in (0, before[symbol]) for symbol, size in desk.positions.items()), desk.positions
    if fault == "ok":
        assert {run.verdict for run in runs} & {Verdict.VERIFIED, Verdict.UNCONFIRMED, Verdict.CONTRADICTED}
