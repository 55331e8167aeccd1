"""The data-ingestion service: books and health of both exchanges into Redis."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backends.demo.dockerd.log_store import LogStore
from backends.demo.surveillance.market import OPENING, REST, Feed
from backends.demo.surveillance.settings import load
from backends.demo.surveillance.structlog import stamp
from backends.demo.surveillance.worker import Worker

LIFE: Final = 60
"""Seconds a book or a health record lives in Redis."""
_STEP: Final = 0.5
_MESSAGES: Final = 5
"""Snapshots of one instrument that come in a step; the newest is kept."""
_BUDGET: Final = 10
_PONG: Final = 50
"""Steps from one pong of OKX to the next."""


class Adapter(Struct):
    """One exchange: its feeds, and what its health says. Counters begin with the process."""

    exchange: str
    feeds: list[Feed]
    messages: int = 0
    reconnects: int = 0
    gaps: int = 0
    last: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_begun: bool = True
    """It connected at the start; when it did not, nothing tries again."""

    @property
    def is_over(self) -> bool:
        """Nothing will come of it until the next start."""
        return not self.is_begun or self.reconnects >= _BUDGET

    def health(self, lag: int, *, is_quiet: bool) -> dict[str, Any]:
        gone = is_quiet or self.is_over
        status = "disconnected" if gone else "degraded" if self.gaps >= 5 else "connected"
        return {
            "exchange": self.exchange, "status": status, "last_message_at": stamp(self.last),
            "message_count": self.messages, "lag_ms": lag, "reconnect_count": self.reconnects,
            "gaps_last_hour": self.gaps,
        }  # fmt: skip


class Ingestion(Worker):
    service = "data-ingestion"

    def __init__(self, redis: Redis, log: LogStore, folder: Path, rng: random.Random) -> None:
        super().__init__(redis, log)
        self._folder = folder
        self._rng = rng
        self.adapters: dict[str, Adapter] = {}
        self.spreads: dict[str, float] = {}
        """Basis points at rest by exchange, where something widened them."""
        self.depths: dict[str, float] = {}
        """Factor on what rests in the books of an exchange, where something emptied them."""
        self.silent: set[tuple[str, str]] = set()
        """Sockets that died without anybody noticing: exchange and instrument."""
        self.refused: set[str] = set()
        """Exchanges that take no connection."""
        self.is_quiet = False
        """No message of any exchange comes."""
        self.lag = 0
        """Milliseconds on top of the usual."""

    async def run(self) -> None:
        config = load(self._folder)
        self.adapters = {}
        for name, entry in config["exchanges"].items():
            if not entry["enabled"]:
                continue
            if name not in ("binance", "okx"):
                self.log.warning("unknown_exchange", exchange=name)
                continue
            feeds = self._feeds(name, config["instruments"])
            self.adapters[name] = Adapter(name, feeds, is_begun=name not in self.refused)
            self._tell(self.adapters[name])
        beats = 0
        while True:
            beats += 1
            if beats % _PONG == 0 and "okx" in self.adapters:
                # The answer to a ping is text, and goes to the parser all the same.
                self.log.warning("websocket_invalid_json", exchange="okx", message="pong")
            try:
                await self._write(is_full=beats % 2 == 1)
            except RedisError as error:
                self.log.error("redis_store_failed", error=str(error))
            await self.pace(_STEP)

    def _feeds(self, exchange: str, instruments: list[dict[str, Any]]) -> list[Feed]:
        """OKX's names are fixed in the code: BTC only."""
        return [
            Feed(exchange, entry["id"], OPENING.get(entry["id"], 3_000.0))
            for entry in instruments
            if entry.get("enabled") and (exchange != "okx" or entry["base"] == "BTC")
        ]

    def _tell(self, adapter: Adapter) -> None:
        names = [feed.instrument for feed in adapter.feeds]
        self.log.info("adapter_created", exchange=adapter.exchange, instruments=names)
        if not adapter.is_begun:
            self.log.error("adapter_connection_failed", exchange=adapter.exchange, error="refused")
            return
        self.log.info("adapter_connected", exchange=adapter.exchange)
        self.log.info("adapter_subscribed", exchange=adapter.exchange, instruments=names)
        if adapter.exchange == "okx":
            self.log.info("websocket_subscription_confirmed", exchange="okx", channel="books5")

    async def _write(self, *, is_full: bool) -> None:
        """Books each step; health each second."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for adapter in self.adapters.values():
                for feed in adapter.feeds:
                    if not self._comes(adapter, feed):
                        continue
                    feed.spread = self.spreads.get(adapter.exchange, REST)
                    feed.depth = self.depths.get(adapter.exchange, 1.0)
                    book = feed.book(self._rng)
                    adapter.messages += _MESSAGES
                    adapter.last = datetime.now(UTC)
                    pipe.set(feed.key, json.dumps(book), ex=LIFE)
                    told = {
                        name: book[name] for name in ("exchange", "instrument", "sequence_id", "best_bid")
                    }
                    told |= {"best_ask": book["best_ask"], "spread_bps": book["spread_bps"]}
                    told["timestamp"] = book["timestamp"].replace("Z", "+00:00")
                    pipe.publish("updates:orderbook", json.dumps(told))
                if is_full:
                    said = json.dumps(adapter.health(self._lag_of(adapter), is_quiet=self.is_quiet))
                    pipe.set(f"health:{adapter.exchange}", said, ex=LIFE)
                    pipe.publish("updates:health", said)
            await pipe.execute()

    def _comes(self, adapter: Adapter, feed: Feed) -> bool:
        is_dead = self.is_quiet or adapter.is_over
        return not is_dead and (feed.exchange, feed.instrument) not in self.silent

    def _lag_of(self, adapter: Adapter) -> int:
        since = datetime.now(UTC) - adapter.last
        waited = int(since / timedelta(milliseconds=1)) if since > timedelta(seconds=1) else 0
        return self.lag + waited + self._rng.randrange(15, 60)
