"""Two markets of two exchanges: prices that wander, and order books around them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from backends.demo.surveillance.structlog import stamp

OPENING: Final = {"BTC-USDT-PERP": 60_010.0, "BTC-USDT-SPOT": 60_000.0, "ETH-USDT-PERP": 3_001.0}
LEVELS: Final = {"binance": 20, "okx": 5}
_TICK: Final = Decimal("0.1")
_BPS: Final = Decimal(10_000)


REST: Final = 0.15
"""Basis points between the best prices of a calm market."""


class Feed(Struct):
    """One instrument of one exchange, as its socket tells it."""

    exchange: str
    instrument: str
    price: float
    spread: float = REST
    """In basis points, between the best prices."""
    depth: float = 1.0
    """Factor on all quantities."""
    sequence: int = 1_000

    @property
    def key(self) -> str:
        return f"orderbook:{self.exchange}:{self.instrument}"

    def book(self, rng: random.Random) -> dict[str, Any]:
        """The next snapshot, every number a decimal in text."""
        self.price *= 1 + rng.gauss(0, 0.00002)
        self.sequence += rng.randrange(1, 5)
        half = Decimal(self.price * self.spread * rng.uniform(0.7, 1.3) / 20_000).quantize(_TICK) or _TICK
        mid = Decimal(self.price).quantize(_TICK)
        bids, asks = self._side(mid - half, -_TICK, rng), self._side(mid + half, _TICK, rng)
        best_bid, best_ask = Decimal(bids[0]["price"]), Decimal(asks[0]["price"])
        middle = (best_bid + best_ask) / 2
        now = datetime.now(UTC)
        return {
            "exchange": self.exchange, "instrument": self.instrument,
            "timestamp": stamp(now - timedelta(milliseconds=rng.randrange(8, 40))),
            "local_timestamp": stamp(now),
            "sequence_id": self.sequence, "bids": bids, "asks": asks, "depth_levels": len(bids),
            "best_bid": str(best_bid), "best_ask": str(best_ask), "mid_price": str(middle),
            "spread": str(best_ask - best_bid), "spread_bps": f"{(best_ask - best_bid) / middle * _BPS:.7f}",
            "best_bid_quantity": bids[0]["quantity"], "best_ask_quantity": asks[0]["quantity"],
        }  # fmt: skip

    def _side(self, best: Decimal, step: Decimal, rng: random.Random) -> list[dict[str, str]]:
        levels = []
        for number in range(LEVELS[self.exchange]):
            price = best + step * number
            size = rng.uniform(0.4, 2.4) * self.depth * 20 / LEVELS[self.exchange]
            quantity = Decimal(size).quantize(Decimal("0.001"))
            levels.append({"price": str(price), "quantity": str(quantity), "notional": str(price * quantity)})
        return levels


def depth(book: Mapping[str, Any], bps: int, side: str) -> Decimal:
    """USD within so many basis points of the middle."""
    middle = Decimal(book["mid_price"])
    reach = middle * bps / _BPS
    near = (level for level in book[side] if abs(Decimal(level["price"]) - middle) <= reach)
    return sum((Decimal(level["notional"]) for level in near), Decimal(0))
