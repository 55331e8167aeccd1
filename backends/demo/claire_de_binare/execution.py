"""From orders to records: execution, the database writer and the paper runner."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import psycopg
from redis.asyncio import Redis

from backends.demo.claire_de_binare.service import HALT, STRATEGY, SYMBOL, Service
from backends.demo.database import Database
from backends.demo.dockerd.log_store import LogStore

_BASE: Final = 50_000.0
"""The simulator's price, whatever the market's."""
_SUCCESS: Final = 0.95
_EXECUTION_ROW: Final = """INSERT INTO orders (order_id, symbol, side, price, size, approved, status,
filled_size, avg_fill_price, submitted_at, filled_at, metadata)
VALUES (%s, %s, 'buy', %s, %s, TRUE, %s, %s, %s, now(), now(), %s::jsonb)"""
_SIGNAL_ROW: Final = """INSERT INTO signals (symbol, signal_type, price, source)
VALUES (%s, 'buy', %s, 'signal')"""
_INTENT_ROW: Final = "INSERT INTO orders (symbol, side, price, size) VALUES (%s, 'buy', %s, %s)"
_TRADE_ROW: Final = """INSERT INTO trades (symbol, side, price, size, execution_price, metadata)
VALUES (%s, 'buy', %s, %s, %s, %s::jsonb)"""


class Execution(Service):
    """``cdb_execution``: answers every order; once halted, every one with a rejection, until it ends."""

    logger = "execution_service"
    style = "{at} - {logger} - {level} - {text}"
    channels = ("orders",)

    def __init__(
        self, connect: Callable[[], Redis], log: LogStore, database: Database, rng: random.Random
    ) -> None:
        super().__init__(connect, log, database)
        self._database = database
        self._rng = rng
        self.mode = "mock"
        self.ignores_halt = False

    def forget(self) -> None:
        self.stats = dict.fromkeys(("orders_received", "orders_filled", "orders_rejected"), 0)
        self.is_latched = False
        self._last: dict[str, Any] | None = None

    def health(self) -> Mapping[str, Any]:
        return {"status": "ok", "service": "execution_service", "version": "0.1.0"}

    def status(self) -> Mapping[str, Any]:
        stats = {**self.stats, "start_time": self.started, "last_result": self._last}
        # Compared in the wrong case there: only the total is right.
        counted = {"filled": 0, "pending": 0, "rejected": 0, "total": self.stats["orders_received"]}
        return {"mode": self.mode, "stats": stats, "redis": {"connected": True}, "database": counted}

    def metrics(self) -> Mapping[str, float]:
        found = {f"execution_{name}_total": float(count) for name, count in self.stats.items()}
        return found | {"execution_uptime_seconds": time.time() - self.started}

    async def began(self) -> None:
        self.say("INFO", "Subscribed to topic: orders")

    def work(self) -> Sequence[Awaitable[None]]:
        return (self.follow(HALT, self._stopped),)

    async def _stopped(self, entry: dict[str, str]) -> None:
        if self.ignores_halt:
            return
        self.is_latched = True
        named = f"strategy_id={entry.get('strategy_id')}, bot_id={entry.get('bot_id')}"
        self.say("CRITICAL", f"Bot shutdown active ({named}, reason={entry.get('reason')})")

    async def hear(self, channel: str, message: dict[str, Any]) -> None:  # noqa: ARG002 # it has one channel
        self.stats["orders_received"] += 1
        await asyncio.sleep(self._rng.uniform(0.05, 0.2))
        result = self._result(message)
        is_filled = result["status"] == "FILLED"
        self.stats["orders_filled" if is_filled else "orders_rejected"] += 1
        self._last = {"order_id": result["order_id"], "status": result["status"]}
        await self.publish("order_results", result)
        stored = {**result, "filled_size": result["filled_quantity"], "avg_fill_price": result.get("price")}
        for stream in ("stream.fills", "stream.order_results"):
            await self.add(stream, stored)
        await self._record(result)

    def _result(self, order: dict[str, Any]) -> dict[str, Any]:
        said = {"type": "order_result", "symbol": SYMBOL, "side": order["side"],
                "quantity": order["quantity"], "timestamp": int(time.time()),
                "strategy_id": order.get("strategy_id", STRATEGY),
                "client_id": order.get("client_id")}  # fmt: skip
        ident = uuid.UUID(int=self._rng.getrandbits(128), version=4).hex[:8]
        if self.is_latched:
            self.say("WARNING", f"Order blocked by bot shutdown: SHUTDOWN_{ident}")
            return {**said, "order_id": f"SHUTDOWN_{ident}", "status": "REJECTED", "filled_quantity": 0.0,
                    "error_message": "Order blocked by bot shutdown"}  # fmt: skip
        if self._rng.random() > _SUCCESS:
            self.say("INFO", f"Order rejected by simulator: MOCK_{ident}")
            return {**said, "order_id": f"MOCK_{ident}", "status": "REJECTED", "filled_quantity": 0.0,
                    "error_message": "Simulated rejection"}  # fmt: skip
        price = round(_BASE * (1 + self._rng.gauss(0, 0.0005)), 2)
        self.say("INFO", f"Order filled: MOCK_{ident} {order['quantity']} @ {price}")
        return {**said, "order_id": f"MOCK_{ident}", "status": "FILLED",
                "filled_quantity": order["quantity"], "price": price}  # fmt: skip

    async def _record(self, result: dict[str, Any]) -> None:
        price, size = result.get("price"), result["quantity"]
        about = json.dumps({"order_id": result["order_id"]})
        try:
            await self._database.rows(
                _EXECUTION_ROW, result["order_id"], SYMBOL, price, size, result["status"].lower(),
                result["filled_quantity"], price, about,
            )  # fmt: skip
            if price is not None:
                await self._database.rows(_TRADE_ROW, SYMBOL, price, size, price, about)
        except psycopg.Error as error:
            self.say("ERROR", f"Failed to save order: {error}")


class Writer(Service):
    """``cdb_db_writer``: writes every order and every fill a second time."""

    logger = "db_writer"
    channels = ("signals", "orders", "order_results", "portfolio_snapshots")
    _processed = _failed = 0

    def __init__(self, connect: Callable[[], Redis], log: LogStore, database: Database) -> None:
        super().__init__(connect, log, database)
        self._database = database

    def forget(self) -> None:
        self._processed = self._failed = 0

    def metrics(self) -> Mapping[str, float]:
        return {
            "db_writer_events_processed_total": self._processed,
            "db_writer_events_failed_total": self._failed,
        }

    async def began(self) -> None:
        self.say("INFO", f"Subscribed to channels: {', '.join(self.channels)}")

    async def hear(self, channel: str, message: dict[str, Any]) -> None:
        try:
            if channel == "signals":
                await self._database.rows(_SIGNAL_ROW, SYMBOL, message["price"])
            elif channel == "orders":
                await self._database.rows(_INTENT_ROW, SYMBOL, message["price"], message["quantity"])
            elif message.get("status") == "FILLED":
                price = message["price"]
                await self._database.rows(_TRADE_ROW, SYMBOL, price, message["quantity"], price, "{}")
            self._processed += 1
        except psycopg.Error as error:
            self._failed += 1
            self.say("ERROR", f"Failed to persist {channel.removesuffix('s')}: {error}")


class PaperRunner(Service):
    """``cdb_paper_runner``: hears everything and keeps a journal."""

    logger = "__main__"
    channels = ("market_data", "signals", "orders", "order_results", "alerts")

    def forget(self) -> None:
        self._events = 0

    def health(self) -> Mapping[str, Any]:
        return {"status": "ok", "service": "paper_trading_runner", "events_logged": self._events,
                "uptime_seconds": round(time.time() - self.started, 1)}  # fmt: skip

    async def hear(self, channel: str, message: dict[str, Any]) -> None:  # noqa: ARG002 # it only counts
        self._events += 1
