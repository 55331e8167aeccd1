"""The paper broker: it takes orders, fills market orders soon and limit orders when the price comes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct, field

from backends.demo.trading_platform.market import Market

PATIENCE: Final = 45.0
"""Seconds a resting limit order waits before the market comes to it or, if it is far, it expires."""
NEAR: Final = 0.01
"""Share of the price within which the market comes. What expires is never given back to its reservation: a
world without faults would drift away from it."""


class BrokerOrder(Struct):
    broker_id: str
    client_id: str
    symbol: str
    side: str
    qty: int
    limit: float | None
    age: float = 0.0
    fills_at: float = 1.0
    """Age in seconds at which a market order fills."""
    is_cancelling: bool = False


class Report(Struct, frozen=True):
    """What the broker tells by webhook: ``fill``, ``canceled`` or ``expired``."""

    event: str
    order: BrokerOrder
    price: float = 0.0
    profit: float = 0.0
    """Dollars that the fill realised."""


class Holding(Struct):
    qty: int = 0
    entry: float = 0.0
    """Average price of the open quantity."""

    def take(self, side: str, qty: int, price: float) -> float:
        """Trade; the profit realised by the part that closes, in dollars."""
        signed = qty if side == "buy" else -qty
        closing = min(qty, abs(self.qty)) if self.qty * signed < 0 else 0
        direction = 1 if self.qty > 0 else -1
        profit = closing * (price - self.entry) * direction
        rest = signed + direction * closing if closing else signed
        left = self.qty + signed
        if left == 0:
            self.entry = 0.0
        elif not closing:
            self.entry = (abs(self.qty) * self.entry + qty * price) / abs(left)
        elif rest:
            self.entry = price
        self.qty = left
        return round(profit, 4)


class PaperBroker(Struct):
    """Holds what is really ordered and owned; PostgreSQL only mirrors it."""

    market: Market
    rng: random.Random
    report: Callable[[Report], Awaitable[None]]
    """Where webhooks go."""
    open: dict[str, BrokerOrder] = field(default_factory=dict)
    """By client order id."""
    holdings: dict[str, Holding] = field(default_factory=dict)
    is_closed: bool = False
    """Nothing fills or expires: orders wait for the market to open. They can be cancelled."""

    def submit(self, client_id: str, symbol: str, side: str, qty: int, limit: float | None) -> str:
        """Take an order; the broker's id for it. Raises KeyError for an unknown symbol."""
        self.market.quote(symbol)
        order = BrokerOrder(
            str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), client_id, symbol, side, qty, limit,
            fills_at=self.rng.uniform(0.1, 0.35),
        )  # fmt: skip
        self.open[client_id] = order
        return order.broker_id

    def cancel(self, client_id: str) -> bool:
        """Ask for an order to be cancelled; False when it is not open here."""
        order = self.open.get(client_id)
        if order is None:
            return False
        order.is_cancelling = True
        return True

    async def step(self, seconds: float) -> None:
        """Let ``seconds`` pass: cancel, fill and expire."""
        for order in list(self.open.values()):
            order.age += seconds
            if outcome := self._outcome(order):
                del self.open[order.client_id]
                await self.report(outcome)

    def _outcome(self, order: BrokerOrder) -> Report | None:
        quote = self.market.quote(order.symbol)
        price = quote.ask if order.side == "buy" else quote.bid
        if order.is_cancelling:
            return Report("canceled", order)
        if self.is_closed:
            return None
        if order.limit is None:
            return self._fill(order, price) if order.age >= order.fills_at else None
        if price <= order.limit if order.side == "buy" else price >= order.limit:
            return self._fill(order, order.limit)
        if order.age <= PATIENCE:
            return None
        is_near = abs(order.limit / price - 1) <= NEAR
        return self._fill(order, order.limit) if is_near else Report("expired", order)

    def _fill(self, order: BrokerOrder, price: float) -> Report:
        holding = self.holdings.setdefault(order.symbol, Holding())
        return Report("fill", order, price, holding.take(order.side, order.qty, price))
