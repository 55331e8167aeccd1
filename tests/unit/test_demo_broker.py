"""The paper broker's books: what is earned, owned and spent always adds up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.demo.trading_platform.broker import PATIENCE, Holding, PaperBroker, Report
from backends.demo.trading_platform.market import Market

trades = st.lists(
    st.tuples(st.sampled_from(("buy", "sell")), st.integers(1, 500), st.integers(1, 900)), max_size=30
)


@given(trades)
def test_profit_and_what_is_owned_add_up_to_the_cash_that_moved(done: list[tuple[str, int, int]]) -> None:
    holding, cash, profit = Holding(), 0.0, 0.0
    for side, qty, price in done:
        profit += holding.take(side, qty, float(price))
        cash += qty * price * (-1 if side == "buy" else 1)
    owned = sum(qty if side == "buy" else -qty for side, qty, _ in done)
    assert holding.qty == owned
    assert cash + owned * holding.entry == pytest.approx(profit, abs=0.01)


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def broker(reports: list[Report]) -> PaperBroker:
    async def note(report: Report) -> None:
        reports.append(report)

    rng = random.Random(1)
    return PaperBroker(Market(rng), rng, note)


async def test_a_market_order_fills_at_once_and_is_owned(broker: PaperBroker, reports: list[Report]) -> None:
    broker.submit("a", "AAPL", "buy", 10, None)
    await broker.step(1.0)
    assert [report.event for report in reports] == ["fill"]
    assert broker.holdings["AAPL"].qty == 10
    assert reports[0].price == broker.market.quote("AAPL").ask
    assert broker.open == {}


async def test_a_limit_order_waits_for_its_price_and_then_expires(
    broker: PaperBroker, reports: list[Report]
) -> None:
    broker.submit("a", "AAPL", "buy", 10, 1.0)
    await broker.step(PATIENCE - 1)
    assert reports == []
    await broker.step(2.0)
    assert [report.event for report in reports] == ["expired"]
    assert "AAPL" not in broker.holdings


async def test_the_market_comes_to_a_limit_order_that_rests_near_it(
    broker: PaperBroker, reports: list[Report]
) -> None:
    limit = round(broker.market.quote("AAPL").bid * 0.995, 2)
    broker.submit("a", "AAPL", "buy", 10, limit)
    await broker.step(PATIENCE + 1)
    assert [(report.event, report.price) for report in reports] == [("fill", limit)]


async def test_a_cancelled_order_never_fills(broker: PaperBroker, reports: list[Report]) -> None:
    broker.submit("a", "AAPL", "buy", 10, None)
    assert broker.cancel("a")
    await broker.step(1.0)
    assert [report.event for report in reports] == ["canceled"]
    assert not broker.cancel("a")


def test_the_same_seed_makes_the_same_market() -> None:
    def walk(seed: int) -> list[float]:
        market = Market(random.Random(seed))
        prices = []
        for _ in range(50):
            market.step()
            prices.append(market.quote("TSLA").mid)
        return prices

    assert walk(3) == walk(3)
    assert walk(3) != walk(4)
