"""From the exchange to signals: market feed, signal engine, candles and regime."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from backends.demo.claire_de_binare.service import STRATEGY, SYMBOL, Service
from backends.demo.dockerd.log_store import LogStore

_STEP: Final = 0.5
_SIGNAL: Final = 3.0
"""Seconds between two signals: far more often than the real engine, so that there is something to see."""
_CANDLE: Final = 60.0


class Feed(Service):
    """``cdb_ws``: healthy with or without prices."""

    logger = "ws_service"

    def __init__(self, connect: Callable[[], Redis], log: LogStore, rng: random.Random) -> None:
        super().__init__(connect, log)
        self._rng = rng
        self.price = 95_010.0
        self.is_silent = False
        self._last = 0.0
        self._decoded = 0

    def forget(self) -> None:
        self._last = time.time()

    async def began(self) -> None:
        self.say("INFO", "[ws] connected")

    def health(self) -> Mapping[str, Any]:
        age = int((time.time() - self._last) * 1000)
        return {"status": "healthy", "mode": "mexc", "ws_connected": 1, "redis_connected": True,
                "last_message_ts_ms": int(self._last * 1000), "last_message_age_ms": age}  # fmt: skip

    def metrics(self) -> Mapping[str, float]:
        return {"decoded_messages_total": self._decoded, "ws_connected": 1.0}

    def work(self) -> Sequence[Awaitable[None]]:
        return (self._stream(),)

    async def _stream(self) -> None:
        while True:
            await asyncio.sleep(_STEP)
            if self.is_silent:
                continue
            self.price = round(self.price * (1 + self._rng.gauss(0, 0.0002)), 1)
            self._last = time.time()
            self._decoded += 1
            await self.publish(
                "market_data",
                {"schema_version": "v1.0", "source": "mexc", "symbol": SYMBOL,
                 "ts_ms": int(self._last * 1000), "price": str(self.price),
                 "trade_qty": f"{self._rng.uniform(0.001, 0.02):.4f}",
                 "side": self._rng.choice(("buy", "sell"))},
            )  # fmt: skip


class Signal(Service):
    """``cdb_signal``: BUY only."""

    logger = "signal_engine"
    channels = ("market_data",)

    def forget(self) -> None:
        self.count = 0
        self._next = time.time() + 1.0
        self._last: dict[str, Any] | None = None

    def status(self) -> Mapping[str, Any]:
        return {"started_at": self.started, "status": "running", "signals_generated": self.count,
                "last_signal": self._last}  # fmt: skip

    def metrics(self) -> Mapping[str, float]:
        return {"signals_generated_total": self.count, "signal_engine_status": 1.0}

    async def hear(self, channel: str, message: dict[str, Any]) -> None:
        now = time.time()
        if channel != "market_data" or now < self._next:
            return
        self._next = now + _SIGNAL
        self.count += 1
        signal = {"type": "signal", "schema_version": "v1.0", "signal_id": f"sig-{self.count:08x}",
                  "strategy_id": STRATEGY, "symbol": SYMBOL, "strength": 0.0, "timestamp": int(now),
                  "side": "BUY", "reason": "Momentum: 1.21% over 60 s", "price": float(message["price"]),
                  "pct_change": 0.0121}  # fmt: skip
        self._last = {"symbol": SYMBOL, "side": "BUY", "timestamp": int(now)}
        self.say("INFO", f"Signal generated: BUY {SYMBOL} @ {message['price']}")
        await self.publish("signals", signal)
        await self.add("stream.signals", signal)


class Candles(Service):
    """``cdb_candles``: one a minute."""

    logger = "candle_service"
    channels = ("market_data",)

    def forget(self) -> None:
        self._prices: list[float] = []
        self._next = time.time() + _CANDLE

    async def began(self) -> None:
        await self._emit(95_000.0, 95_030.0, 94_980.0, 95_010.0, 40)

    async def hear(self, channel: str, message: dict[str, Any]) -> None:  # noqa: ARG002 # it has one channel
        self._prices.append(float(message["price"]))
        if time.time() >= self._next:
            seen, self._prices = self._prices, []
            self._next = time.time() + _CANDLE
            await self._emit(seen[0], max(seen), min(seen), seen[-1], len(seen))

    async def _emit(self, opened: float, high: float, low: float, closed: float, trades: int) -> None:
        prices = {"open": opened, "high": high, "low": low, "close": closed, "volume": trades * 0.01}
        fields = {name: f"{value:.8f}" for name, value in prices.items()}
        await self.add(
            "stream.candles_1m",
            {"ts": int(time.time()), "symbol": SYMBOL, "timeframe": "60s", **fields, "trades": trades,
             "schema_version": "1", "source_version": "1"},
            100_000,
        )  # fmt: skip


class Regime(Service):
    """``cdb_regime``: writes only when it changes, which here is once."""

    logger = "regime_service"

    async def began(self) -> None:
        if not await self.redis.exists("stream.regime_signals"):
            await self.add(
                "stream.regime_signals",
                {"ts": int(time.time()), "symbol": SYMBOL, "timeframe": "60s",
                 "regime": "HIGH_VOL_CHAOTIC", "adx": "18.20", "atr": "41.7", "schema_version": "1",
                 "source_version": "1"},
            )  # fmt: skip
