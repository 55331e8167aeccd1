"""What each fault does to the surveillance, and how it is taken back."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from backends.demo.course import end
from backends.demo.faults import Switch
from backends.demo.surveillance.detector import INSERT, Situation, alert_of, save
from backends.demo.surveillance.settings import USER
from backends.demo.surveillance.structlog import stamp

if TYPE_CHECKING:
    from backends.demo.surveillance.system import System

_BEFORE: Final = timedelta(hours=5)
"""How long ago a stuck alert was triggered: before every container's start."""
_INSERT_GAP: Final = (
    "INSERT INTO data_gaps (exchange, instrument, gap_start, gap_end, duration_seconds, reason)"
    " VALUES (%(exchange)s, %(instrument)s, now() - make_interval(mins => %(ago)s),"
    " now() - make_interval(mins => %(ago)s) + interval '10 seconds', 10, %(reason)s)"
)
_PARTIAL: Final = "\n  - id: SOL-USDT-PERP\n    enabled: true\n"
_PAIRS: Final = "\nbasis_pairs:"


class Troubles:
    def __init__(self, system: System) -> None:
        self._system = system
        self._second: asyncio.Task[None] | None = None

    def switches(self) -> Mapping[str, Switch]:
        return {
            "gap": self._gap,
            "degraded": self._degraded,
            "time-gaps": self._time_gaps,
            "spot-dead": self._spot_dead,
            "okx-refused": self._okx_refused,
            "okx-reconnects": partial(self._reconnect, "okx", 8),
            "okx-exhausted": partial(self._reconnect, "okx", 10),
            "feeds-silent": self._feeds_silent,
            "lag": self._lag,
            "wide-spread": self._wide_spread,
            "thin-books": self._thin_books,
            "orphan": self._orphan,
            "ghost": self._ghost,
            "bare-srem": self._bare_srem,
            "redis-only": self._redis_only,
            "second-detector": self._second_detector,
            "database-down": self._database_down,
            "password-changed": self._password_changed,
            "redis-hang": self._redis_hang,
            "redis-refuse": self._system.front.refuse,
            "file-refused": self._file_refused,
            "unreachable": self._unreachable,
        }

    async def close(self) -> None:
        await self._second_detector(False)

    async def _gap(self, is_on: bool) -> None:
        self._count("okx", 1 if is_on else 0)

    async def _degraded(self, is_on: bool) -> None:
        self._count("binance", 6 if is_on else 0)

    async def _time_gaps(self, is_on: bool) -> None:
        if not is_on:
            await self._system.database.rows("DELETE FROM data_gaps")
            return
        gap = {"exchange": "okx", "instrument": "BTC-USDT-PERP", "reason": "time_gap"}
        await self._system.database.many(_INSERT_GAP, [gap | {"ago": 5 * number} for number in range(1, 7)])
        for _ in range(6):
            self._system.ingestion.log.warning("gap_detected", **gap, duration_seconds=10.0)
            self._system.ingestion.log.info("gap_marker_inserted", **gap)

    def _count(self, exchange: str, gaps: int) -> None:
        if adapter := self._system.ingestion.adapters.get(exchange):
            adapter.gaps = gaps
            if gaps:
                self._system.ingestion.log.warning(f"{exchange}_gap_detected", expected=771, received=768)

    async def _spot_dead(self, is_on: bool) -> None:
        silent = self._system.ingestion.silent
        (silent.add if is_on else silent.discard)(("binance", "BTC-USDT-SPOT"))

    async def _okx_refused(self, is_on: bool) -> None:
        refused = self._system.ingestion.refused
        (refused.add if is_on else refused.discard)("okx")
        if is_on:
            await self._system.engine.service("data-ingestion").restart()

    async def _reconnect(self, exchange: str, times: int, is_on: bool) -> None:
        if adapter := self._system.ingestion.adapters.get(exchange):
            adapter.reconnects = times if is_on else 0
            if adapter.is_over:
                self._system.ingestion.log.error("websocket_max_reconnect_exceeded", exchange=exchange)

    async def _feeds_silent(self, is_on: bool) -> None:
        self._system.ingestion.is_quiet = is_on

    async def _lag(self, is_on: bool) -> None:
        self._system.ingestion.lag = 700 if is_on else 0

    async def _wide_spread(self, is_on: bool) -> None:
        spreads = self._system.ingestion.spreads
        if is_on:
            # During the warm-up it would be the norm from the beginning, and nobody would hear of it.
            self._system.metrics.settle()
            spreads["binance"] = 9.0
        else:
            spreads.pop("binance", None)

    async def _thin_books(self, is_on: bool) -> None:
        depths = self._system.ingestion.depths
        if is_on:
            depths["binance"] = 0.02
        else:
            depths.pop("binance", None)

    async def _orphan(self, is_on: bool) -> None:
        if is_on:
            alert = self._stuck("spread_warning")
            await save(self._system.redis, alert)
            await self._system.database.many(INSERT, [alert])

    async def _ghost(self, is_on: bool) -> None:
        if is_on:
            await self._system.redis.sadd("alerts:active", str(uuid.UUID(int=self._dice(), version=4)))

    async def _bare_srem(self, is_on: bool) -> None:
        if is_on:
            alert = self._stuck("depth_warning")
            await save(self._system.redis, alert)
            await self._system.database.many(INSERT, [alert])
            await self._system.redis.srem("alerts:active", alert["alert_id"])

    async def _redis_only(self, is_on: bool) -> None:
        if is_on:
            await save(self._system.redis, self._stuck("spread_critical"))

    async def _second_detector(self, is_on: bool) -> None:
        second, self._second = self._second, None
        if second is not None:
            await end(second)
        if is_on:
            self._second = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Listens as the detector does, and raises an alert now and then."""
        heard = self._system.redis.pubsub()
        await heard.subscribe("updates:metrics")
        try:
            while True:
                with suppress(TimeoutError):
                    await heard.get_message(ignore_subscribe_messages=True, timeout=1.0)
        finally:
            await heard.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    async def _database_down(self, is_on: bool) -> None:
        container = self._system.engine.service("timescaledb")
        if not is_on:
            await container.start()
        elif container.state in ("running", "paused"):
            await container.kill(signal.SIGTERM)

    async def _password_changed(self, is_on: bool) -> None:
        server = self._system.postgres_server
        await server.let_in(USER, "of-somebody-else" if is_on else server.passwords[USER])

    async def _redis_hang(self, is_on: bool) -> None:
        self._system.front.hang(is_on)

    async def _file_refused(self, is_on: bool) -> None:
        path = self._system.project / "config" / "instruments.yaml"
        text = path.read_text().replace(_PARTIAL + _PAIRS, _PAIRS)
        path.write_text(text.replace(_PAIRS, _PARTIAL + _PAIRS, 1) if is_on else text)

    async def _unreachable(self, is_on: bool) -> None:
        self._system.programs.unreached = {"spot"} if is_on else set()

    def _stuck(self, kind: str) -> dict[str, Any]:
        """An alert that no detector knows any more; its condition does not hold."""
        alert = alert_of(Situation(kind, "okx", "BTC-USDT-PERP", 3.4, 2.2, 3.0, 2.0))
        at = stamp(datetime.now(UTC) - _BEFORE)
        return alert | {"triggered_at": at, "peak_at": at}

    def _dice(self) -> int:
        return self._system.rng.getrandbits(128)
