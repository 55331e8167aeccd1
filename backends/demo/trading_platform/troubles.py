"""What each fault does to the platform, and how it is taken back."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from backends.demo.course import end
from backends.demo.faults import Switch
from backends.demo.trading_platform.flood import flood
from backends.demo.trading_platform.hostile import Hostile
from backends.demo.trading_platform.kill_switch import KEY, MissingStateError
from backends.demo.trading_platform.market import OPENING

if TYPE_CHECKING:
    from backends.demo.trading_platform.platform import Platform

_LIFE: Final = 1.2
"""Seconds a container lives at each turn of its crash loop."""
_LAST_WORDS: Final = (
    "Traceback (most recent call last):",
    '  File "/app/apps/signal_service/main.py", line 212, in lifespan',
    "    model_registry.reload_if_changed()",
    "lightgbm.basic.LightGBMError: Model format error, expect a tree here. met artifacts/models/alpha",
    "ERROR:    Application startup failed. Exiting.",
)
_QUARANTINED: Final = "TSLA"
_LOSSES: Final = (-1480.0, -2210.5, -1725.25, -1190.0)
"""Dollars; together past the platform's configured limits of 5,000 a day."""


class Troubles:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._hostile = Hostile(platform.engine, platform.redis, platform.logs)
        self._flood: asyncio.Task[None] | None = None
        self._kept: str | None = None

    def switches(self) -> Mapping[str, Switch]:
        return {
            "crash-loop": self._crash_loop,
            "unhealthy": self._unhealthy,
            "gateway-down": self._gateway_down,
            "redis-hang": self._redis_hang,
            "redis-refuse": self._platform.front.refuse,
            "postgres-down": self._postgres_down,
            "kill-key-missing": self._kill_key_missing,
            "halt-not-obeyed": self._halt_not_obeyed,
            "halt-ignored": self._halt_ignored,
            "drawdown": self._drawdown,
            "stale-prices": self._stale_prices,
            "market-closed": self._market_closed,
            "quarantine": self._quarantine,
            "auth-enforced": self._auth_enforced,
            "hostile": self._hostile.switch,
            "log-flood": self._log_flood,
        }

    async def close(self) -> None:
        await self._log_flood(False)
        await self._hostile.close()

    async def _crash_loop(self, is_on: bool) -> None:
        container = self._platform.engine.service("signal_service")
        container.crashes_after = _LIFE if is_on else None
        container.last_words = _LAST_WORDS if is_on else ()
        if is_on:
            await container.crash(1)
        elif container.state == "restarting":
            await container.restart()

    async def _unhealthy(self, is_on: bool) -> None:
        self._platform.registry.is_well = not is_on
        self._platform.engine.service("model_registry").hurry()

    async def _gateway_down(self, is_on: bool) -> None:
        await self._down("execution_gateway", is_on, signal.SIGKILL)

    async def _postgres_down(self, is_on: bool) -> None:
        await self._down("postgres", is_on, signal.SIGTERM)

    async def _down(self, service: str, is_on: bool, how: signal.Signals) -> None:
        container = self._platform.engine.service(service)
        if not is_on:
            await container.start()
        elif container.state in ("running", "paused"):
            await container.kill(how)

    async def _redis_hang(self, is_on: bool) -> None:
        self._platform.front.hang(is_on)

    async def _kill_key_missing(self, is_on: bool) -> None:
        redis = self._platform.redis
        if is_on:
            kept = await redis.getdel(KEY)
            self._kept = str(kept) if kept else None
        elif self._kept:
            await redis.set(KEY, self._kept, nx=True)

    async def _halt_not_obeyed(self, is_on: bool) -> None:
        hook = self._undo_halt if is_on else None
        self._platform.front.before_answer = hook
        self._platform.gateway.kill.after_engage = hook
        self._platform.orchestrator.kill.after_engage = hook

    async def _undo_halt(self) -> None:
        """Somebody else's hand on the switch: whoever engages it, it is ACTIVE again before they look."""
        kill = self._platform.gateway.kill
        try:
            if await kill.is_engaged():
                await kill.disengage("position_scheduler", "auto-resume")
        except (MissingStateError, RedisError) as error:
            self._platform.gateway.voice.error(f"auto-resume failed: {error}")

    async def _halt_ignored(self, is_on: bool) -> None:
        self._platform.gateway.ignores_halt = is_on
        self._platform.orchestrator.ignores_halt = is_on

    async def _drawdown(self, is_on: bool) -> None:
        database, rng = self._platform.database, self._platform.rng
        if not is_on:
            await database.rows("UPDATE trades SET superseded = TRUE WHERE source = 'demo_drawdown'")
            return
        trades = []
        for loss in _LOSSES:
            symbol = rng.choice(sorted(OPENING))
            ident = uuid.UUID(int=rng.getrandbits(128), version=4).hex[:24]
            trades.append((f"t{ident}", ident, symbol, 120, round(OPENING[symbol] * 0.93, 2), loss))
            self._platform.gateway.voice.warning(
                f"Webhook received: fill {ident} sell 120 {symbol}, realized P&L {loss:.2f}"
            )
        await database.many(
            "INSERT INTO trades (trade_id, client_order_id, strategy_id, symbol, side, qty, price,"
            " executed_at, realized_pnl, source)"
            " VALUES (%s, %s, 'alpha_baseline', %s, 'sell', %s, %s, now(), %s, 'demo_drawdown')",
            trades,
        )

    async def _stale_prices(self, is_on: bool) -> None:
        await self._platform.market_data.connect(not is_on)

    async def _market_closed(self, is_on: bool) -> None:
        self._platform.broker.is_closed = is_on

    async def _quarantine(self, is_on: bool) -> None:
        key = f"quarantine:*:{_QUARANTINED}"
        if not is_on:
            await self._platform.redis.delete(key, f"orphan_exposure:external:{_QUARANTINED}")
            await self._platform.database.rows(
                "UPDATE orphan_orders SET resolved_at = now(), status = 'resolved' WHERE resolved_at IS NULL"
            )
            return
        await self._platform.redis.set(key, "orphan_order_detected")
        await self._platform.redis.set(f"orphan_exposure:external:{_QUARANTINED}", "12340.00")
        broker_id = str(uuid.UUID(int=self._platform.rng.getrandbits(128), version=4))
        await self._platform.database.rows(
            "INSERT INTO orphan_orders (broker_order_id, symbol, side, qty, estimated_notional)"
            " VALUES (%s, %s, 'buy', 50, 12340.00)",
            broker_id, _QUARANTINED,
        )  # fmt: skip
        what = json.dumps({"symbol": _QUARANTINED, "broker_order_id": broker_id})
        self._platform.gateway.voice.error(f"Orphan order detected and quarantined {what}")

    async def _auth_enforced(self, is_on: bool) -> None:
        self._platform.authority.enforces = is_on

    async def _log_flood(self, is_on: bool) -> None:
        task, self._flood = self._flood, None
        if task is not None:
            await end(task)
        if is_on:
            self._flood = asyncio.create_task(flood(self._platform.running, self._platform.flood_rate))
