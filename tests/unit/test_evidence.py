"""What a look can count, and what it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backends.model.fact import Table
from backends.model.safetext import SafeText
from backends.procedures.evidence import counted

ORDERS = Table(("id", "symbol"), ((SafeText("o-1"), SafeText("AAPL")), (SafeText("o-2"), SafeText("SPY"))), 2)
RATES = Table(
    ("venue", "fill_rate"),
    ((SafeText("BINANCE"), SafeText("np.float64(0.91)")), (SafeText("FTX"), SafeText("0.4"))),
    2,
)
CUT = Table(("id", "symbol"), ((SafeText("o-1"), SafeText("AAPL")),), 9)


@pytest.mark.parametrize(
    ("value", "where", "number"),
    [
        (ORDERS, {}, 2.0),
        (ORDERS, {"symbol": "SPY"}, 1.0),
        (ORDERS, {"symbol": "TSLA"}, 0.0),
        (Table((), (), 0), {"symbol": "SPY"}, 0.0),
        (CUT, {}, 9.0),
        (CUT, {"symbol": "SPY"}, None),
        (RATES, {"fill_rate": "<0.8"}, 1.0),
        (RATES, {"venue": "^BIN|COIN", "fill_rate": ">=0.8"}, 1.0),
        (RATES, {"venue": ">1"}, None),
        (ORDERS, {"venue": "X"}, None),
        (True, {}, None),
        (3, {}, 3.0),
        (None, {}, None),
    ],
    ids=[
        "all rows", "those asked for", "none of them", "an answer without rows, which names no columns",
        "more than was read", "perhaps among those not read", "below a bound", "how it begins",
        "no number to compare", "no such column", "no number", "a number",
        "nothing",
    ],
)  # fmt: skip
def test_what_is_counted_is_complete_or_it_is_no_count(
    value: Any, where: Mapping[str, str], number: float | None
) -> None:
    assert counted(value, where)[0] == number
