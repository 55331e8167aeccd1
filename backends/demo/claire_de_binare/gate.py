"""Between signals and orders: allocation and the risk gate. What they log is partly German, as there."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

from backends.demo.claire_de_binare.service import ALLOCATIONS, HALT, STRATEGY, SYMBOL, Service

LIMIT: Final = 3000.0
"""USDT of exposure at which every BUY is blocked."""
_ORDER: Final = 20.0
_COOLDOWN: Final = 72 * 3600
_NORMAL: Final = 0.02


class Allocation(Service):
    """``cdb_allocation``: forgets its cooldown when it starts, and decides anew."""

    logger = "allocation_service"

    def forget(self) -> None:
        self._target = 0.0
        self._is_stopped = False

    async def began(self) -> None:
        if not await self.redis.exists(HALT):
            await self.decide(_NORMAL, "bootstrap|regime=HIGH_VOL_CHAOTIC")

    def work(self) -> Sequence[Awaitable[None]]:
        return (self.follow(HALT, self._stopped),)

    async def cool_down(self) -> None:
        """Fall to 0, with the cooldown that brings."""
        await self.decide(0.0, "perf_not_ready|cooldown_set", int(time.time()) + _COOLDOWN)

    async def decide(self, target: float, reason: str, cooldown: int | None = None) -> None:
        self._target = target
        await self.add(
            ALLOCATIONS,
            {"ts": int(time.time()), "strategy_id": STRATEGY, "allocation_pct": f"{target:.6f}",
             "reason": reason, "cooldown_until": "" if cooldown is None else str(cooldown),
             "schema_version": "1", "source_version": "1"},
        )  # fmt: skip
        self.say("INFO", f"Allocation decision: {STRATEGY} {target:.6f} ({reason})")

    async def _stopped(self, entry: dict[str, str]) -> None:
        if entry.get("strategy_id") == STRATEGY and not self._is_stopped:
            self._is_stopped = True
            cooldown = int(time.time()) + _COOLDOWN if self._target > 0 else None
            await self.decide(0.0, "shutdown|cooldown_set", cooldown)


class Risk(Service):
    """``cdb_risk``: approves, blocks, and forgets everything when it starts."""

    logger = "risk_manager"
    channels = ("signals", "order_results")

    def forget(self) -> None:
        self.counts = dict.fromkeys(
            ("signals_received", "orders_approved", "orders_blocked", "orders_skipped", "alerts_generated",
             "order_results_received", "orders_rejected_execution"), 0,
        )  # fmt: skip
        self.exposure = 0.0
        self.pending = 0
        self._positions: dict[str, float] = {}
        self._blocked: set[str] = set()
        self._allocation: tuple[float, float] | None = None
        """Percentage and the end of the cooldown."""
        self._result: dict[str, Any] | None = None

    def status(self) -> Mapping[str, Any]:
        state = {"total_exposure": round(self.exposure, 2), "daily_pnl": 0.0,
                 "open_positions": len(self._positions), "circuit_breaker": False,
                 "signals_approved": self.counts["orders_approved"],
                 "signals_blocked": self.counts["orders_blocked"], "positions": self._positions,
                 "pending_orders": self.pending, "last_prices": {}}  # fmt: skip
        return {"status": "running", "started_at": self.started, **self.counts,
                "last_order_result": self._result, "risk_state": state}  # fmt: skip

    def metrics(self) -> Mapping[str, float]:
        return {f"{name}_total": float(count) for name, count in self.counts.items()} | {
            "risk_total_exposure_value": self.exposure, "circuit_breaker_active": 0.0,
        }  # fmt: skip

    async def began(self) -> None:
        self.say("INFO", "Subscribed zu Topic: signals")
        self.say("INFO", "Subscribed zu Order-Result Topic: order_results")

    def work(self) -> Sequence[Awaitable[None]]:
        return (self.follow(HALT, self._stopped), self.follow(ALLOCATIONS, self._allocated))

    async def hear(self, channel: str, message: dict[str, Any]) -> None:
        if channel == "order_results":
            self._settle(message)
        else:
            await self._judge(message)

    async def _stopped(self, entry: dict[str, str]) -> None:
        strategy = entry.get("strategy_id")
        self.say("WARNING", f"Bot-Shutdown empfangen: strategy_id={strategy} bot_id={entry.get('bot_id')}")
        if strategy:
            self._blocked.add(strategy)

    async def _allocated(self, entry: dict[str, str]) -> None:
        until = entry.get("cooldown_until") or "0"
        self._allocation = (float(entry["allocation_pct"]), float(until))

    def _objection(self, strategy: str) -> str | None:
        if strategy in self._blocked:
            return "Bot-Shutdown aktiv"
        if self._allocation is not None and self._allocation[1] > time.time():
            return "Cooldown aktiv"
        if self._allocation is None or self._allocation[0] <= 0:
            return "Keine Allokation"
        return "Exposure-Limit erreicht" if self.exposure >= LIMIT else None

    async def _judge(self, signal: dict[str, Any]) -> None:
        self.counts["signals_received"] += 1
        if (why := self._objection(str(signal["strategy_id"]))) is not None:
            self.counts["orders_blocked"] += 1
            self.say("WARNING", f"Signal blockiert: {why} ({signal['strategy_id']})")
            if self.exposure >= LIMIT:
                await self._alert("RISK_LIMIT", why)
            return
        self.counts["orders_approved"] += 1
        self.pending += 1
        order = {"type": "order", "symbol": SYMBOL, "side": "BUY",
                 "quantity": round(_ORDER / signal["price"], 8), "stop_loss_pct": 0.02,
                 "signal_id": signal["timestamp"], "reason": signal["reason"],
                 "timestamp": int(time.time()), "strategy_id": signal["strategy_id"],
                 "client_id": f"{SYMBOL}-{signal['signal_id']}", "price": signal["price"]}  # fmt: skip
        self.say("INFO", f"Order freigegeben: BUY {order['quantity']} {SYMBOL}")
        await self.publish("orders", order)
        await self.add("stream.orders", order)

    async def _alert(self, code: str, message: str) -> None:
        self.counts["alerts_generated"] += 1
        await self.publish(
            "alerts",
            {"type": "alert", "level": "WARNING", "code": code, "message": message,
             "context": {"signal": SYMBOL}, "timestamp": int(time.time())},
        )  # fmt: skip

    def _settle(self, result: dict[str, Any]) -> None:
        self.counts["order_results_received"] += 1
        self.pending = max(0, self.pending - 1)
        self._result = {"order_id": result["order_id"], "status": result["status"]}
        if result["status"] != "FILLED":
            self.counts["orders_rejected_execution"] += 1
            return
        self.exposure += result["filled_quantity"] * 50_000
        held = self._positions.get(SYMBOL, 0.0) + result["filled_quantity"]
        self._positions[SYMBOL] = round(held, 8)
