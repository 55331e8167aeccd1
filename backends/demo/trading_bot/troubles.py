"""Turning the faults of the simulated trading bots on and off."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from backends.demo.faults import Switch
from backends.demo.systemd.units import stamp
from backends.demo.trading_bot.daemons import CHECKER, GATE
from backends.demo.trading_bot.seed import scorecard

if TYPE_CHECKING:
    from backends.demo.trading_bot.desk import Desk

TRADERS: Final = ("autopilot_green.py", "full_trading_bot.py")
_VENUE: Final = "deribit"
_LAST_WORDS: Final = ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'ccxt'")


class Troubles:
    """One switch for every fault."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def switches(self) -> dict[str, Switch]:
        """By the fault's name."""
        return {
            "live-orders": self._programs(*TRADERS, EXEC_MODE="live", DRY_RUN="0"),
            "halt-erased": self._programs(GATE),
            "failover": self._programs(CHECKER),
            "halt-ignored": self._halt_ignored,
            "mode-typo": self._text("mode", "HALT", "auto"),
            "recon-breach": self._breach,
            "policy-stale": self._stale,
            "influence": self._influence,
            "dollars": self._text("risk:capital_effective", "20000.0", "0.4"),
            "drawdown": self._drawdown,
            "slow-venue": self._slow_venue,
            "bot-crash-loop": self._crash_loop,
            "redis-hang": self._hang,
            "redis-refuse": self._desk.front.refuse,
        }

    def _programs(self, *names: str, **env: str) -> Callable[[bool], Awaitable[None]]:
        async def switch(is_on: bool) -> None:
            for name in names:
                await (self._desk.programs.start(name, env) if is_on else self._desk.programs.stop(name))

        return switch

    def _text(self, key: str, bad: str, good: str) -> Callable[[bool], Awaitable[None]]:
        async def switch(is_on: bool) -> None:
            await self._desk.redis.set(key, bad if is_on else good)

        return switch

    async def _halt_ignored(self, is_on: bool) -> None:
        self._desk.maker.ignores_halt = is_on

    async def _breach(self, is_on: bool) -> None:
        self._desk.daemons.has_breach = is_on

    async def _stale(self, is_on: bool) -> None:
        at = int(time.time()) - (7 * 3600 if is_on else 900)
        await self._desk.redis.set("policy:last_update_ts", str(at))

    async def _influence(self, is_on: bool) -> None:
        redis = self._desk.redis
        await redis.set("policy:allowed_influence_pct", "15" if is_on else "0")
        if is_on:
            await redis.mset({"policy:allowed_influence_pct:SOL-USD": "5", "influence:SOL-USD": "13.5"})
        else:
            await redis.delete("policy:allowed_influence_pct:SOL-USD", "influence:SOL-USD")

    async def _drawdown(self, is_on: bool) -> None:
        await self._desk.redis.hset("risk:stats", "drawdown", "-0.07" if is_on else "-0.012")

    async def _slow_venue(self, is_on: bool) -> None:
        self._desk.daemons.slow_venue = _VENUE if is_on else None
        card = scorecard(self._desk.dice("card"), time.time())
        poor = {"fill_rate": "np.float64(0.61)"} if is_on else {}
        await self._desk.redis.hset(f"tca:venue:{_VENUE}", mapping=card | poor)

    async def _crash_loop(self, is_on: bool) -> None:
        unit = "trading_bot.service"
        if is_on:
            for line in _LAST_WORDS:
                self._desk.units.say(unit, line, 3)
            self._desk.units.change(
                unit, ActiveState="activating", SubState="auto-restart", NRestarts="17", Result="exit-code",
                ExecMainCode="1", ExecMainStatus="1", ExecMainExitTimestamp=stamp(time.time()), breaks="yes",
            )  # fmt: skip
        else:
            self._desk.units.remove(unit)
            self._desk.units.started(unit, time.time(), NRestarts="0")

    async def _hang(self, is_on: bool) -> None:
        self._desk.front.hang(is_on)
