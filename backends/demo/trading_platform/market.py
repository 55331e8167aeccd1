"""The market: prices that wander from a seed, with nothing in common with any real one."""

from __future__ import annotations

import random
from typing import Final

from msgspec import Struct

OPENING: Final = {
    "AAPL": 190.10,
    "AMZN": 187.35,
    "MSFT": 415.20,
    "NVDA": 128.40,
    "SPY": 571.90,
    "TSLA": 246.80,
}
_STEP: Final = 0.0004
"""Size of one second's move, as a share of the price."""
_PULL: Final = 0.002
"""How strongly a price is drawn back to its opening."""


class Quote(Struct, frozen=True):
    """Dollars."""

    bid: float
    ask: float

    @property
    def mid(self) -> float:
        return round((self.bid + self.ask) / 2, 4)


class Market:
    """The price of every symbol; ``step`` moves them on by a second."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._mids = dict(OPENING)
        self.sizes = dict.fromkeys(OPENING, (3, 4))

    def step(self) -> None:
        for symbol, mid in self._mids.items():
            opening = OPENING[symbol]
            self._mids[symbol] = mid * (1 + self._rng.gauss(0, _STEP)) + (opening - mid) * _PULL
            self.sizes[symbol] = (self._rng.randint(1, 9), self._rng.randint(1, 9))

    def quote(self, symbol: str) -> Quote:
        """Raises KeyError for a symbol nobody trades."""
        mid = self._mids[symbol]
        half = max(0.01, mid * 0.00005)
        return Quote(round(mid - half, 2), round(mid + half, 2))
