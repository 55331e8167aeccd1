"""The metrics engine: books into metrics and z-scores, into the database and to the detector."""

from __future__ import annotations

import json
import statistics
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import Any, Final

import psycopg
from redis.asyncio import Redis

from backends.demo.database import Database
from backends.demo.dockerd.log_store import LogStore
from backends.demo.surveillance.market import REST, depth
from backends.demo.surveillance.worker import Worker

WINDOW: Final = 300
LEAST: Final = 30
"""Samples before there is a z-score."""
_FLAT: Final = 0.0001
_INSERT: Final = (
    "INSERT INTO metrics (metric_name, exchange, instrument, timestamp, value, zscore)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)
_INSERT_BASIS: Final = (
    "INSERT INTO basis_metrics (perp_instrument, spot_instrument, exchange, timestamp, perp_mid, spot_mid,"
    " basis_abs, basis_bps, zscore) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def _depths(book: Mapping[str, Any]) -> dict[str, Decimal]:
    """What rests within each band, and how much more of it would buy than sell."""
    found: dict[str, Decimal] = {}
    for band in (5, 10, 25):
        bid, ask = depth(book, band, "bids"), depth(book, band, "asks")
        found |= {
            f"depth_{band}bps_bid": bid, f"depth_{band}bps_ask": ask, f"depth_{band}bps_total": bid + ask,
        }  # fmt: skip
    more, total = found["depth_10bps_bid"] - found["depth_10bps_ask"], found["depth_10bps_total"]
    return found | {"imbalance": more / total if total else Decimal(0)}


class MetricsEngine(Worker):
    service = "metrics-engine"

    def __init__(self, redis: Redis, log: LogStore, database: Database) -> None:
        super().__init__(redis, log)
        self._database = database
        self._samples: dict[tuple[str, str], deque[float]] = {}
        """By instrument and metric: both exchanges share them."""
        self._rows: list[tuple[Any, ...]] = []
        self._basis: list[tuple[Any, ...]] = []
        self._mids: dict[str, Decimal] = {}
        self._flushed = 0.0

    async def run(self) -> None:
        self._samples, self._mids, self._flushed = {}, {}, monotonic()
        self._rows, self._basis = [], []
        self.log.info("postgres_connected")
        heard = await self.listen("updates:orderbook")
        try:
            while True:
                message = json.loads(await self.hear(heard))
                book = await self.redis.get(f"orderbook:{message['exchange']}:{message['instrument']}")
                if book is not None:
                    await self._take(json.loads(book))
                if monotonic() - self._flushed >= 1.0:
                    await self._flush()
        finally:
            await heard.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    async def _take(self, book: Mapping[str, Any]) -> None:
        exchange, instrument = book["exchange"], book["instrument"]
        spread = float(book["spread_bps"])
        zscore = await self._zscore(exchange, instrument, "spread_bps", spread)
        self._mids[instrument] = Decimal(book["mid_price"])
        at = datetime.fromisoformat(book["timestamp"])
        measured = {"spread_bps": spread, "spread_abs": book["spread"], "mid_price": book["mid_price"]}
        measured |= _depths(book)
        self._rows += [
            (name, exchange, instrument, at, value, zscore if name == "spread_bps" else None)
            for name, value in measured.items()
        ]
        told = {
            "exchange": exchange, "instrument": instrument,
            "timestamp": book["timestamp"].replace("Z", "+00:00"), "spread_bps": book["spread_bps"],
            # Zero is told as null: the real one asks whether it is true.
            "spread_zscore": str(round(zscore, 4)) if zscore else None,
            "depth_10bps_total": str(measured["depth_10bps_total"]),
        }  # fmt: skip
        if instrument.endswith("-PERP") and (spot := self._mids.get("BTC-USDT-SPOT")) is not None:
            basis = (self._mids[instrument] - spot) / spot * 10_000
            score = await self._zscore(exchange, instrument, "basis_bps", float(basis))
            told |= {"basis_bps": f"{basis:.4f}", "basis_zscore": str(round(score, 4)) if score else None}
            mid = self._mids[instrument]
            row = (instrument, "BTC-USDT-SPOT", exchange, at, mid, spot, mid - spot, round(basis, 4), score)
            self._basis.append(row)
        await self.redis.publish("updates:metrics", json.dumps(told))

    def settle(self) -> None:
        """Every window is full of a calm market's spreads, as after some minutes without any excitement."""
        for (_, metric), samples in self._samples.items():
            if metric == "spread_bps":
                samples.extend(REST * (0.7 + 0.6 * place / WINDOW) for place in range(WINDOW))

    async def _zscore(self, exchange: str, instrument: str, metric: str, value: float) -> float | None:
        """None while it warms up, and as long as the exchange ever counted a gap."""
        samples = self._samples.setdefault((instrument, metric), deque(maxlen=WINDOW))
        health = await self.redis.get(f"health:{exchange}")
        if health is not None and json.loads(health)["gaps_last_hour"] > 0:
            samples.clear()
            self.log.warning("zscore_reset_on_gap", exchange=exchange, instrument=instrument)
            return None
        samples.append(value)
        if len(samples) < LEAST:
            if len(samples) % 10 == 0:
                self.log.info(
                    "zscore_warmup_progress", instrument=instrument, metric=metric,
                    samples=len(samples), required=LEAST, progress_pct=len(samples) * 100 // LEAST,
                )  # fmt: skip
            return None
        spread = statistics.pstdev(samples)
        return None if spread < _FLAT else (value - statistics.fmean(samples)) / spread

    async def _flush(self) -> None:
        """Write what was gathered. What cannot be written is kept, without a limit."""
        began = self._flushed = monotonic()
        try:
            await self._database.many(_INSERT, self._rows)
            await self._database.many(_INSERT_BASIS, self._basis)
        except psycopg.Error as error:
            self.log.error("batch_write_error", error=str(error))
            return
        took = round((monotonic() - began) * 1000, 1)
        self.log.info("spread_metrics_inserted", count=len(self._rows), elapsed_ms=took)
        self._rows, self._basis = [], []
