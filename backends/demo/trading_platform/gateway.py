"""The execution gateway: takes orders past its safety gates, sends them to the broker, keeps the books."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backends.demo.trading_platform import breaker
from backends.demo.trading_platform.broker import PaperBroker, Report
from backends.demo.trading_platform.kill_switch import KillSwitch, MissingStateError
from backends.demo.trading_platform.ledger import Ledger
from backends.demo.trading_platform.reservation import LIMIT, reserve
from backends.demo.voice import Voice

SAFETY: Final = frozenset({"kill_switch", "circuit_breaker", "position_reservation"})
"""The components without which no order is taken."""
_FAT_NOTIONAL: Final = 100_000.0
_FAT_QTY: Final = 10_000


class RefusedError(Exception):
    """An order is not taken: HTTP status, the platform's word for it, and a sentence."""

    def __init__(self, status: int, error: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.detail = {"error": error, "message": message, **(more or {})}


class Gateway:
    """One process of it; ``begin`` starts its memory anew."""

    def __init__(self, redis: Redis, ledger: Ledger, broker: PaperBroker, voice: Voice) -> None:
        self.redis = redis
        self.kill = KillSwitch(redis)
        self.ledger = ledger
        self.broker = broker
        self.voice = voice
        self.dry_run = False
        self.paper = True
        self.ignores_halt = False
        self.unavailable: set[str] = set()
        """Of ``SAFETY``: what failed and was not recovered."""
        self.is_reconciled = False
        self.has_tried = False
        self.override: dict[str, Any] | None = None
        self.thresholds: dict[str, float | int | None] = {
            "max_notional": _FAT_NOTIONAL, "max_qty": _FAT_QTY, "max_adv_pct": 0.05,
        }  # fmt: skip
        self.started = time.monotonic()

    async def begin(self) -> None:
        """The process starts: an absent kill switch becomes ACTIVE, the reconciliation gate is closed."""
        self.unavailable.update(SAFETY)
        self.is_reconciled = self.has_tried = False
        self.override = None
        self.started = time.monotonic()
        try:
            await self.kill.construct()
        except RedisError as error:
            self.voice.error(f"Kill-switch initialization failed: {error}")
        await self.recover()

    async def recover(self) -> None:
        """Test again what is unavailable, as GET /health does. Without Redis everything is."""
        try:
            await self.redis.ping()
        except RedisError:
            self.unavailable.update(SAFETY)
            return
        self.unavailable.discard("position_reservation")
        tests = {"kill_switch": self.kill.status, "circuit_breaker": self._breaker}
        for part in tests.keys() & self.unavailable:
            try:
                await tests[part]()
            except (MissingStateError, breaker.NoBreakerError, RedisError):
                continue
            except (ValueError, LookupError, TypeError):
                pass  # malformed state counts as available: orders then fail with 500, as on the platform
            self.unavailable.discard(part)

    async def _breaker(self) -> dict[str, Any]:
        return await breaker.status(self.redis)

    async def is_database_up(self) -> bool:
        try:
            await self.ledger.positions()
        except psycopg.OperationalError:
            return False
        return True

    async def reconcile(self) -> None:
        """One run: broker over database. Raises ``psycopg.OperationalError``."""
        self.has_tried = True
        began = time.monotonic()
        holdings = {
            symbol: (one.qty, one.entry, self.broker.market.quote(symbol).mid)
            for symbol, one in self.broker.holdings.items()
        }
        await self.ledger.reconcile(holdings)
        voice = self.voice.named("apps.execution_gateway.reconciliation.service")
        if not self.is_reconciled:
            voice.info("Startup reconciliation gate opened")
        self.is_reconciled = True
        voice.info(
            f"Reconciliation completed: {len(self.broker.open)} open orders, {len(holdings)} positions "
            f"({time.monotonic() - began:.3f}s)"
        )

    async def submit(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Take an order past every gate, in the platform's order. Raises RefusedError.

        Raises MissingStateError, ValueError, KeyError or ``psycopg.OperationalError`` where the platform
        answers 500.
        """
        began = time.monotonic()
        voice = self.voice.named("apps.execution_gateway.routes.orders")
        what = f"{order['symbol']} {order['side']} {order['qty']}"
        for part in ("kill_switch", "circuit_breaker", "position_reservation"):
            if part in self.unavailable:
                voice.error(f"{part} unavailable, order refused (fail closed): {what}")
                raise RefusedError(503, f"{part}_unavailable", "Trading blocked: safety state cannot be read")
        await self._ask_switches(what, voice)
        await self._ask_quarantine(str(order["symbol"]), order["strategy_id"])
        if not self.is_reconciled and self.override is None:
            raise RefusedError(503, "reconciliation_in_progress", "Startup reconciliation has not completed")
        ident = order.get("client_order_id") or order_id(order)
        if known := await self.ledger.one(ident):
            return known
        await self._reserve(order, ident, what, voice)
        self._ask_fat_finger(order, what, voice)
        broker_id = self.broker.submit(
            ident, order["symbol"], order["side"], int(order["qty"]), order.get("limit_price")
        )
        await self.ledger.add(
            {**order, "client_order_id": ident, "status": "accepted", "broker_order_id": broker_id}
        )
        voice.info(f"Order submitted successfully: {ident} ({time.monotonic() - began:.3f}s)")
        return await self.ledger.one(ident) or {}

    async def on_report(self, report: Report) -> None:
        """The broker's webhook: fills and ends of orders, written down."""
        voice = self.voice.named("apps.execution_gateway.routes.webhooks")
        order = report.order
        try:
            if report.event == "fill":
                holding = self.broker.holdings[order.symbol]
                trade = hashlib.sha256(f"fill {order.broker_id}".encode()).hexdigest()[:24]
                await self.ledger.fill(order.client_id, trade, report.price, report.profit, holding)
                voice.info(
                    f"Webhook received: fill {order.client_id} {order.side} {order.qty} {order.symbol} "
                    f"@ {report.price:.2f}"
                )
            else:
                await self.ledger.set_status(order.client_id, report.event)
                voice.info(f"Webhook received: {report.event} {order.client_id} {order.symbol}")
        except psycopg.OperationalError as error:
            voice.error(f"Webhook processing failed: {str(error).splitlines()[0] if str(error) else error!r}")

    async def _ask_switches(self, what: str, voice: Voice) -> None:
        try:
            state = await self.kill.status()
            circuit = await breaker.status(self.redis)
        except RedisError:
            self.unavailable.add("kill_switch")
            raise RefusedError(503, "kill_switch_unavailable", "Redis does not answer") from None
        except MissingStateError:
            self.unavailable.add("kill_switch")
            voice.critical("CRITICAL: Kill-switch state missing from Redis, trading blocked")
            raise
        except breaker.NoBreakerError:
            self.unavailable.add("circuit_breaker")
            voice.critical("CRITICAL: Circuit breaker state missing from Redis, trading blocked")
            raise RefusedError(503, "circuit_breaker_unavailable", "Circuit breaker state missing") from None
        if state["state"] == "ENGAGED" and not self.ignores_halt:
            voice.error(f"Order blocked by kill-switch: {what} (engaged by {state.get('engaged_by')})")
            more = {"engaged_by": state.get("engaged_by"), "engaged_at": state.get("engaged_at"),
                    "reason": state.get("engagement_reason")}  # fmt: skip
            raise RefusedError(503, "kill_switch_engaged", "All trading halted by kill-switch", more)
        if circuit["state"] == "TRIPPED":
            voice.error(f"Order blocked by circuit breaker: {what} ({circuit.get('trip_reason')})")
            more = {"trip_reason": circuit.get("trip_reason"), "tripped_at": circuit.get("tripped_at")}
            raise RefusedError(503, "circuit_breaker_tripped", "New orders are blocked", more)

    async def _ask_quarantine(self, symbol: str, strategy: str) -> None:
        # The asterisk is part of the key: the platform's own oddity.
        found = await self.redis.mget(f"quarantine:*:{symbol}", f"quarantine:{strategy}:{symbol}")
        if why := next((value for value in found if value), None):
            self.voice.warning(f"Order blocked by quarantine: {symbol} ({why!s})")
            raise RefusedError(503, "symbol_quarantined", f"{symbol} is quarantined: {why!s}")

    async def _reserve(self, order: Mapping[str, Any], ident: str, what: str, voice: Voice) -> None:
        delta = int(order["qty"]) * (1 if order["side"] == "buy" else -1)
        owned = self.broker.holdings[order["symbol"]].qty if order["symbol"] in self.broker.holdings else 0
        if not await reserve(self.redis, order["symbol"], delta, ident[:16], owned):
            voice.error(f"Order blocked by position limits: {what} (limit {LIMIT} shares)")
            raise RefusedError(
                422, "position_limit_exceeded", f"Position limit exceeded for {order['symbol']}"
            )

    def _ask_fat_finger(self, order: Mapping[str, Any], what: str, voice: Voice) -> None:
        qty = int(order["qty"])
        try:
            price = self.broker.market.quote(order["symbol"]).mid
        except KeyError:
            voice.error(f"Order blocked by fat-finger validation: {what} (data_unavailable)")
            raise RefusedError(400, "fat_finger", f"no price for {order['symbol']}") from None
        most, notional = self.thresholds["max_qty"], self.thresholds["max_notional"]
        if (most and qty > most) or (notional and qty * price > notional):
            voice.error(f"Order blocked by fat-finger validation: {what} ({qty * price:.2f} USD)")
            raise RefusedError(400, "fat_finger", f"Order exceeds fat-finger thresholds: {what}")


def order_id(order: Mapping[str, Any]) -> str:
    """The platform's deterministic id: the same order on the same UTC day has the same."""
    parts = [str(order.get(name)) for name in ("symbol", "side", "qty", "limit_price", "strategy_id")]
    day = datetime.now(UTC).date().isoformat()
    return hashlib.sha256("|".join([*parts, day]).encode()).hexdigest()[:24]
