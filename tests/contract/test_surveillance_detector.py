"""The simulated detector: what it fires, when, and what it says for ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from backends.demo.database import Database
from backends.demo.dockerd.log_store import LogStore
from backends.demo.surveillance.detector import Detector
from backends.demo.surveillance.settings import lay_out
from tests.clock import FakeClock
from tests.servers.redis import RedisServer

CALM: dict[str, Any] = {
    "exchange": "okx", "instrument": "BTC-USDT-PERP", "spread_bps": "0.1", "spread_zscore": "0.2",
    "depth_10bps_total": "900000", "basis_bps": "-1.5", "basis_zscore": "-0.3",
}  # fmt: skip
WIDE = CALM | {"basis_bps": "-25.0", "basis_zscore": "-4.1"}


class Stored(Database):
    """Takes every row and has none."""

    async def many(self, *_: Any) -> None:
        """Stored."""

    async def rows(self, *_: Any) -> list[dict[str, Any]]:
        return []


class Scene:
    """A detector between two messages."""

    def __init__(self, detector: Detector, redis: Redis, log: LogStore, clock: FakeClock) -> None:
        self._detector, self._redis, self._log, self._clock = detector, redis, log, clock

    async def hear(self, message: dict[str, Any], seconds: float = 0.0) -> set[str]:
        """The types that are active after it."""
        self._clock.advance(seconds)
        await self._detector.take(message)
        idents = await self._redis.smembers("alerts:active")
        documents = [json.loads(await self._redis.get(f"alert:{ident}") or "{}") for ident in idents]
        return {str(document["alert_type"]) for document in documents}

    def said(self, event: str) -> int:
        return sum(event.encode() in entry.text for entry in self._log.tail(None))


@pytest.fixture
async def scene(redis_db: RedisServer, tmp_path: Path, fake_clock: FakeClock) -> AsyncIterator[Scene]:
    lay_out(tmp_path / "project", tmp_path / "backups")
    redis = Redis(port=redis_db.port, decode_responses=True)
    log = LogStore()
    detector = Detector(
        redis, log, Stored(""), tmp_path / "project" / "config", lambda: fake_clock.now().mono
    )
    detector.begin()
    yield Scene(detector, redis, log, fake_clock)
    await redis.aclose()


async def test_a_basis_must_stay_wide_in_either_direction_before_it_is_an_alert(scene: Scene) -> None:
    assert await scene.hear(WIDE) == set()
    assert await scene.hear(WIDE, 59.0) == set()
    assert await scene.hear(WIDE, 1.0) == {"basis_critical"}
    assert await scene.hear(WIDE, 60.0) == {"basis_critical", "basis_warning"}
    assert await scene.hear(CALM, 1.0) == set()


async def test_a_basis_that_was_calm_in_between_begins_anew(scene: Scene) -> None:
    await scene.hear(WIDE)
    await scene.hear(CALM, 59.0)
    assert await scene.hear(WIDE, 1.0) == set()
    assert await scene.hear(WIDE, 59.0) == set()


async def test_a_spread_and_an_empty_book_are_alerts_at_once(scene: Scene) -> None:
    bad = CALM | {"spread_bps": "6", "spread_zscore": "3.5", "depth_10bps_total": "150000"}
    assert await scene.hear(bad) == {"spread_warning", "spread_critical", "depth_warning", "depth_critical"}
    assert scene.said("channel_not_found") == 4


async def test_the_five_dead_types_are_complained_of_with_each_message(scene: Scene) -> None:
    await scene.hear(CALM)
    await scene.hear(CALM)
    assert scene.said("unknown_metric_name") == 10


async def test_an_escalation_is_tried_every_half_minute_and_fails_while_a_p2_is_active(scene: Scene) -> None:
    await scene.hear(CALM, 31.0)
    assert scene.said("escalation_check_failed") == 0
    assert await scene.hear(CALM | {"depth_10bps_total": "400000"}, 1.0) == {"depth_warning"}
    for seconds in (29.0, 1.0, 30.0):
        await scene.hear(CALM | {"depth_10bps_total": "400000"}, seconds)
    assert scene.said("escalation_check_failed") == scene.said("get_alerts_for_escalation_failed") == 2
