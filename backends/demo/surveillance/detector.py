"""The anomaly detector: raises and resolves alerts, and forgets all of them when it is restarted."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psycopg
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backends.demo.database import Database
from backends.demo.dockerd.log_store import LogStore
from backends.demo.surveillance.settings import load
from backends.demo.surveillance.structlog import now
from backends.demo.surveillance.worker import Worker

_KINDS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    # type: metric, condition, priority, severity
    "spread_warning": ("spread_bps", "gt", "P2", "warning"),
    "spread_critical": ("spread_bps", "gt", "P1", "critical"),
    "basis_warning": ("basis_bps", "abs_gt", "P2", "warning"),
    "basis_critical": ("basis_bps", "abs_gt", "P1", "critical"),
    "depth_warning": ("depth_10bps_total", "lt", "P2", "warning"),
    "depth_critical": ("depth_10bps_total", "lt", "P1", "critical"),
}
_PERSISTENCE: Final = {"basis_warning": 120.0, "basis_critical": 60.0}
"""Seconds a condition must hold before it fires; any other fires at once."""
_DEAD: Final = {
    "depth_drop": "depth_10bps_change_pct",
    "mark_deviation_warning": "mark_index_deviation_bps",
    "mark_deviation_critical": "mark_index_deviation_bps",
    "cross_exchange_divergence": "cross_exchange_spread_bps",
    "data_gap": "gap_duration_seconds",
}
"""Types whose metric nobody computes: each is complained of with each message."""
_ESCALATION: Final = 30.0
"""Seconds from one check for escalation to the next."""
THROTTLE: Final = 30.0
INSERT: Final = """
INSERT INTO alerts (alert_id, alert_type, priority, severity, exchange, instrument, trigger_metric,
  trigger_value, trigger_threshold, trigger_condition, zscore_value, zscore_threshold,
  triggered_at, peak_value, peak_at)
VALUES (%(alert_id)s, %(alert_type)s, %(priority)s, %(severity)s, %(exchange)s, %(instrument)s,
  %(trigger_metric)s, %(trigger_value)s, %(trigger_threshold)s, %(trigger_condition)s, %(zscore_value)s,
  %(zscore_threshold)s, %(triggered_at)s, %(peak_value)s, %(peak_at)s)"""


class Situation(Struct, frozen=True):
    """What one message says about one definition."""

    kind: str
    exchange: str
    instrument: str
    value: float
    zscore: float | None
    threshold: float
    z_threshold: float | None

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.instrument}:{self.exchange}"

    @property
    def is_met(self) -> bool:
        condition = _KINDS[self.kind][1]
        value = abs(self.value) if condition == "abs_gt" else self.value
        is_over = value < self.threshold if condition == "lt" else value > self.threshold
        return is_over and (self.z_threshold is None or abs(self.zscore or 0.0) > self.z_threshold)

    @property
    def is_warming(self) -> bool:
        return self.z_threshold is not None and self.zscore is None


def alert_of(what: Situation) -> dict[str, Any]:
    """A new alert as its document is written."""
    metric, condition, priority, severity = _KINDS[what.kind]
    at = now()
    return {
        "alert_id": str(uuid.uuid4()), "alert_type": what.kind, "priority": priority, "severity": severity,
        "exchange": what.exchange, "instrument": what.instrument, "trigger_metric": metric,
        "trigger_value": str(what.value), "trigger_threshold": str(what.threshold),
        "trigger_condition": condition,
        "zscore_value": None if what.zscore is None else str(what.zscore),
        "zscore_threshold": None if what.z_threshold is None else str(what.z_threshold),
        "triggered_at": at, "acknowledged_at": None, "resolved_at": None, "duration_seconds": None,
        "peak_value": str(what.value), "peak_at": at, "escalated": False, "escalated_at": None,
        "original_priority": None, "context": {}, "resolution_type": None, "resolution_value": None,
    }  # fmt: skip


async def save(redis: Redis, alert: Mapping[str, Any]) -> None:
    """Its document and its three indexes, in one transaction."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set(f"alert:{alert['alert_id']}", json.dumps(alert))
        pipe.sadd("alerts:active", alert["alert_id"])
        pipe.sadd(f"alerts:by_priority:{alert['priority']}", alert["alert_id"])
        pipe.sadd(f"alerts:by_instrument:{alert['instrument']}", alert["alert_id"])
        await pipe.execute()


class Detector(Worker):
    service = "anomaly-detector"

    def __init__(
        self,
        redis: Redis,
        log: LogStore,
        database: Database,
        folder: Path,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(redis, log)
        self._clock = clock
        self._database = database
        self._folder = folder
        self._active: dict[str, str] = {}
        self._fired: dict[str, float] = {}
        self._held: dict[str, float] = {}
        """Since when a condition holds that must persist, by its key."""
        self._escalated = 0.0
        self._limits: dict[str, Any] = {}

    def begin(self) -> None:
        """Read the limits; of what was active before it knows nothing."""
        self._limits = load(self._folder)["thresholds"]
        self._active, self._fired, self._held = {}, {}, {}
        self._escalated = self._clock()

    async def run(self) -> None:
        self.begin()
        self.log.info("postgres_connected")
        self.log.info("alert_components_initialized", definitions=11, instruments=sorted(self._limits))
        heard = await self.listen("updates:metrics")
        try:
            while True:
                await self.take(json.loads(await self.hear(heard)))
        finally:
            await heard.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    async def take(self, message: Mapping[str, Any]) -> None:
        """Every definition is evaluated with every message."""
        for kind in _KINDS:
            await self._evaluate(kind, message)
        for kind, metric in _DEAD.items():
            self.log.warning("unknown_metric_name", alert_type=kind, metric_name=metric)
        self._try_to_escalate()

    def _try_to_escalate(self) -> None:
        """It fails as soon as any P2 is active: what it subtracts are times with and without a zone."""
        if self._clock() - self._escalated < _ESCALATION:
            return
        self._escalated = self._clock()
        if any(_KINDS[key.partition(":")[0]][2] == "P2" for key in self._active):
            why = "can't subtract offset-naive and offset-aware datetimes"
            self.log.error("get_alerts_for_escalation_failed", error=why)
            self.log.error("escalation_check_failed", error=why)

    async def _evaluate(self, kind: str, message: Mapping[str, Any]) -> None:
        metric = _KINDS[kind][0]
        limits = self._limits.get(message["instrument"], self._limits.get("*", {})).get(kind)
        if limits is None or metric not in message:
            return
        zscore = message.get(f"{metric.removesuffix('_bps')}_zscore")
        what = Situation(
            kind, message["exchange"], message["instrument"], float(message[metric]),
            None if zscore is None else float(zscore), float(limits["threshold"]), limits.get("zscore"),
        )  # fmt: skip
        if what.key in self._active:
            if not what.is_met:
                await self._resolve(what)
        elif what.is_warming:
            if what.value > what.threshold:
                self.log.info("alert_skipped", alert_type=kind, reason="zscore_warmup")
        elif not what.is_met:
            self._held.pop(what.key, None)
        elif self._persists(what) and self._clock() - self._fired.get(what.key, -THROTTLE) >= THROTTLE:
            await self._fire(what)

    def _persists(self, what: Situation) -> bool:
        """Whether it has held as long as it must."""
        since = self._held.setdefault(what.key, self._clock())
        return self._clock() - since >= _PERSISTENCE.get(what.kind, 0.0)

    async def _fire(self, what: Situation) -> None:
        alert = alert_of(what)
        await save(self.redis, alert)
        self.log.warning("alert_triggered", alert_id=alert["alert_id"], alert_type=what.kind)
        try:
            await self._database.many(INSERT, [alert])
        except psycopg.Error as error:
            # Neither remembered nor throttled: the next message raises the next one.
            self.log.error("alert_insert_failed", error=str(error))
            return
        self._active[what.key], self._fired[what.key] = alert["alert_id"], self._clock()
        self._held.pop(what.key, None)
        self.log.warning("channel_not_found", channel="slack")
        self.log.info("alert_dispatched", alert_id=alert["alert_id"], channels=["console"])

    async def _resolve(self, what: Situation) -> None:
        ident = self._active[what.key]
        is_listed = await self.redis.sismember("alerts:active", ident)
        raw = await self.redis.get(f"alert:{ident}")
        if not is_listed or raw is None:
            # It cannot be found, so it stays in memory: that condition is mute until the next start.
            self.log.error("alert_not_found_for_resolution", alert_id=ident)
            return
        alert = json.loads(raw)
        since = datetime.now(UTC) - datetime.fromisoformat(alert["triggered_at"])
        took = int(since.total_seconds())
        alert |= {"resolved_at": now(), "resolution_type": "auto", "duration_seconds": took}
        alert["resolution_value"] = str(what.value)
        try:
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.set(f"alert:{ident}", json.dumps(alert))
                pipe.srem("alerts:active", ident)
                await pipe.execute()
            await self._database.rows(
                "UPDATE alerts SET resolved_at = now(), resolution_type = 'auto', resolution_value = %s,"
                " duration_seconds = %s WHERE alert_id = %s", what.value, took, ident,
            )  # fmt: skip
        except (psycopg.Error, RedisError) as error:
            self.log.error("alert_resolution_failed", alert_id=ident, error=str(error))
            return
        del self._active[what.key]
        self.log.info("alert_auto_resolved", alert_id=ident, alert_type=what.kind)
