"""The two strategies that obey the mode as upstream's do: exactly the word halt stops them, nothing else."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from time import time
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backends.demo.systemd.units import Units
from backends.demo.trading_bot.seed import Fields

SYMBOLS: Final = {"BTCUSDT": 96_500.0, "ETHUSDT": 3_300.0, "SOLUSDT": 190.0}
QUOTE_EVERY: Final = 1.0
BASIS_EVERY: Final = 4.0
"""Seconds between two ticks; upstream's are ten, within which it must obey."""
LEAST_CAPITAL: Final = 0.1


class MarketMaker:
    """``mm_as``: quotes while its unit is active and the mode does not say halt."""

    def __init__(self, redis: Redis, units: Units, dice: random.Random) -> None:
        self._redis = redis
        self._units = units
        self._dice = dice
        self._placed: set[str] = set()
        self.ignores_halt = False

    async def keep_quoting(self) -> None:
        while True:
            try:
                await self._tick()
            except RedisError:
                self._say("Error talking to Redis")
            await asyncio.sleep(QUOTE_EVERY)

    async def _tick(self) -> None:
        if not self._units.is_active("mm_as.service"):
            # It was ended: its quotes stay, and whoever comes after knows nothing of them.
            self._placed.clear()
            return
        if await may_trade(self._redis) or self.ignores_halt:
            await self._quote()
        elif self._placed:
            await self._redis.delete(*self._placed)
            self._placed.clear()
            self._say("\U0001f6d1 halted: all quotes cancelled")

    async def _quote(self) -> None:
        for symbol, middle in SYMBOLS.items():
            price = middle * self._dice.uniform(0.999, 1.001)
            for side, sign in (("bid", -1), ("ask", 1)):
                key = f"mm:quote:{symbol}:{side}"
                quote = {
                    "quote_id": uuid.UUID(int=self._dice.getrandbits(128)).hex[:12],
                    "symbol": symbol,
                    "side": side,
                    "price": round(price * (1 + sign * 0.0005), 2),
                    "size": 0.01,
                    "timestamp": time(),
                    "status": "active",
                }
                await self._redis.set(key, json.dumps(quote))
                self._placed.add(key)

    def _say(self, text: str) -> None:
        self._units.say("mm_as.service", text)


class BasisCarry:
    """``basis_carry``: one simulated position each of some symbols, closed when it reads halt."""

    def __init__(self, redis: Redis, units: Units, dice: random.Random) -> None:
        self._redis = redis
        self._units = units
        self._dice = dice
        self._held: dict[str, str] = {}

    async def keep_carrying(self) -> None:
        while True:
            try:
                await self._tick()
            except RedisError:
                self._units.say("basis_carry.service", "Error talking to Redis")
            await asyncio.sleep(BASIS_EVERY)

    async def _tick(self) -> None:
        if not self._units.is_active("basis_carry.service"):
            self._held.clear()
            return
        if not await may_trade(self._redis):
            for symbol in list(self._held):
                await self._close(symbol)
        elif not self._held:
            await self._open(self._dice.choice(list(SYMBOLS)))

    async def _open(self, symbol: str) -> None:
        ident = f"{symbol}-{int(time())}"
        position = {
            "position_id": ident,
            "symbol": symbol,
            "strategy_type": "basis_carry",
            "entry_time": time(),
            "notional_usd": 5000.0,
            "entry_basis_bps": round(self._dice.uniform(5, 40), 2),
            "status": "open",
            "hedge_ratio": 1.0,
        }
        await self._redis.set(f"strategy:basis:{symbol}:pos", json.dumps(position))
        self._held[symbol] = ident
        self._units.say("basis_carry.service", f"opened {ident}")

    async def _close(self, symbol: str) -> None:
        ident = self._held.pop(symbol)
        await self._redis.delete(f"strategy:basis:{symbol}:pos")
        event: Fields = {
            "action": "close",
            "position_id": ident,
            "reason": "system_halt",
            "timestamp": str(time()),
        }
        await self._redis.xadd("strategy:basis:events", event, maxlen=100)
        self._units.say("basis_carry.service", f"closed {ident}: system_halt")


async def may_trade(redis: Redis) -> bool:
    """Upstream's own test: any word but halt, and no key at all, is leave to trade."""
    mode, capital = await redis.mget("mode", "risk:capital_effective")
    try:
        is_starved = float(capital or 0.4) < LEAST_CAPITAL
    except ValueError:
        is_starved = False
    return mode != "halt" and not is_starved
