"""A value that was chosen or read is a word where rows are counted, whatever sign it begins with."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.fact import Table
from backends.model.procedure import Proof
from backends.model.safetext import SafeText
from backends.model.weigh import counted
from backends.procedures.conditions import filled
from backends.procedures.plan import make_plan
from tests.sim.virtual import EPOCH
from tests.sim.world import HALT, intent, tiny_stack

SYMBOLS = ("^VIX", "~X", "!X", "<X", ">=1", "=X", "!=X", "AAPL")


def positions(*symbols: str) -> Table:
    return Table(("symbol",), tuple((SafeText(each),) for each in symbols), len(symbols))


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("said", ["$symbol", "!$symbol"])
def test_a_position_that_is_still_there_is_counted_under_any_name(symbol: str, said: str) -> None:
    """That none is left must not be proved, nor that no order of it is open demanded in vain, by its name."""
    chosen = {"symbol": symbol}
    demand = filled(Condition("cancelled", "orders", "Open", at_most=0, where={"symbol": said}), chosen)
    step = replace(HALT.steps[0], proof=(Proof("positions", at_most=0, where={"symbol": said}),))
    plan = make_plan(
        replace(intent(), params=chosen), replace(HALT, steps=(step,)), tiny_stack(), Instant(0.0, EPOCH)
    )
    for where in (demand.where, plan.steps[0].proof[0].where):
        assert counted(positions(symbol), where)[0] == (0 if said.startswith("!") else 1)
        assert counted(positions("OTHER"), where)[0] == (1 if said.startswith("!") else 0)


def test_a_bound_stays_a_bound_and_a_beginning_a_beginning() -> None:
    rows = positions("1", "5", "abc")
    bound = filled(Condition("it", "rows", "No", where={"symbol": ">=$least"}), {"least": "4"}).where
    assert counted(positions("1", "5"), bound)[0] == 1
    begins = filled(Condition("it", "rows", "No", where={"symbol": "^$word"}), {"word": "ab"}).where
    assert counted(rows, begins)[0] == 1
