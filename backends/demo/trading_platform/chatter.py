"""Lines of the programs that are only there to be heard: their native formats, now and then."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.voice import line_of

_PAUSE: Final = 1.6
"""Seconds between two lines, on average."""
_PAST: Final = 240.0
_PAST_LINES: Final = 120

_PLAIN: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "alert_worker": (
        ("apps.alert_worker", "INFO", "Queue depth 0, 0 deliveries in progress"),
        ("libs.platform.alerts.delivery_service", "INFO", "Delivery poll completed: 0 pending"),
        ("libs.platform.alerts.delivery_service", "WARNING", "Recipient throttled, delivery delayed by 30 s"),
    ),
    "web_console_dev": (
        ("apps.web_console_ng.core.realtime", "INFO", "Realtime updater: 2 clients, 6 channels"),
        ("apps.web_console_ng.core.client", "DEBUG", "GET /api/v1/positions 200 (0.012s)"),
    ),
    "backtest_worker_dev": (
        ("libs.trading.backtest.worker", "INFO", "Job bt-0191: 41 % (2024-03-04)"),
        ("rq.worker", "INFO", "*** Listening on backtest_high, backtest_normal, backtest_low..."),
    ),
}
_WORKING: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "execution_gateway": (
        ("apps.execution_gateway.reconciliation.service", "INFO", "Reconciliation completed: 3 open orders"),
        ("apps.execution_gateway.routes.webhooks", "INFO", "Webhook received: fill"),
    ),
    "signal_service": (("apps.signal_service.signal_generator", "INFO", "Generated 6 signals with v1.1.0"),),
    "orchestrator": (("apps.orchestrator.orchestrator", "INFO", "Orchestration run completed: 4 accepted"),),
    "market_data_service": (
        ("apps.market_data_service.alpaca_stream", "INFO", "Published 120 price updates"),
        ("apps.market_data_service.alpaca_stream", "WARNING", "Quote for TSLA is 1.2 s old"),
    ),
}
"""Services with work of their own speak for themselves; this is only what they said before."""
_LOGFMT: Final[Mapping[str, tuple[str, ...]]] = {
    "prometheus": (
        'ts={iso} caller=head.go:1293 level=info component=tsdb msg="Head GC completed" duration=4.1ms',
        'ts={iso} caller=compact.go:523 level=info component=tsdb msg="write block" ulid=01HQDEMO',
    ),
    "loki_server": (
        "level=info ts={iso} caller=metrics.go:159 component=frontend org_id=fake latency=fast status=200",
        'level=info ts={iso} caller=table_manager.go:136 index-store=tsdb msg="uploading tables"',
    ),
    "promtail": (
        'level=info ts={iso} caller=target_group.go:128 msg="added Docker target"',
        'level=warn ts={iso} caller=client.go:419 msg="error sending batch, will retry" status=429',
    ),
    "grafana": (
        'logger=cleanup t={iso} level=info msg="Completed cleanup jobs" duration=4.7ms',
        'logger=live t={iso} level=info msg="Initialized channel handler" channel=grafana/track7-slo',
    ),
}


async def chatter(logs: Mapping[str, LogStore], is_up: Callable[[str], bool], rng: random.Random) -> None:
    """Let one of the programs that run say something, again and again, until cancelled."""
    names = sorted({*_PLAIN, *_LOGFMT})
    while True:
        await asyncio.sleep(_PAUSE * rng.uniform(0.5, 1.5))
        name = rng.choice(names)
        if is_up(name):
            logs[name].write([_line(name, rng, time.time()).encode()])


def _line(name: str, rng: random.Random, at: float) -> str:
    if name in _PLAIN:
        return line_of(at, *rng.choice(_PLAIN[name]))
    iso = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return rng.choice(_LOGFMT[name]).format(iso=iso)


def write_history(logs: Mapping[str, LogStore], rng: random.Random) -> None:
    """What every program said in the minutes before the demo began, oldest first."""
    now = time.time()
    moments = sorted((rng.uniform(2.0, _PAST) for _ in range(_PAST_LINES)), reverse=True)
    for ago in moments:
        name = rng.choice(sorted({*_PLAIN, *_LOGFMT, *_WORKING}))
        if name in _WORKING:
            line = line_of(now - ago, *rng.choice(_WORKING[name]))
        else:
            line = _line(name, rng, now - ago)
        logs[name].write([line.encode()], ago=ago)
