"""The desk's generations: R1, and in what R0 (before) and H (after) are otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from backends.demo.hummingbot_desk.evidence import GATES
from backends.demo.hummingbot_desk.generation import Generation, Monitoring, Part, Trader
from backends.demo.hummingbot_desk.rules import NEW_IN_R1, OF_H, RULES

_ME: Final = "127.0.0.1"
_ALL: Final = "0.0.0.0"  # noqa: S104 # what compose publishes, as shown in a list; nothing listens there
_CODE: Final = "/home/hummingbot/controllers"
_IMAGE: Final = "hummingbot/hummingbot"
_BUS: Final = ("EXT_SIGNAL_RISK_ENABLED=true", "BUS_SOFT_PAUSE_ON_OUTAGE=true")
_PAPER: Final = ("BOT_MODE=paper", "EXT_SIGNAL_RISK_ENABLED=true", "BUS_SOFT_PAUSE_ON_OUTAGE=false")
_ROLE: Final = "BOT_POLICY_ROLE=live_microcap_primary"


def _plane(image: str, *services: str) -> dict[str, Part]:
    return dict.fromkeys(services, Part(image, 0.8, 60))


_PLANE: Final = "hbot-control-plane:20260222"
_WORKERS: Final = {
    **_plane(_PLANE, "signal-service", "risk-service", "coordination-service", "event-store-service"),
    "signal-service": Part(_PLANE, 0.8, 60, environment=("ML_ENABLED=false",)),
    "coordination-service": Part(
        _PLANE, 0.8, 60, environment=("COORD_ENABLED=false", "COORD_REQUIRE_ML_ENABLED=true")
    ),
    **_plane(
        _PLANE, "reconciliation-service", "shadow-parity-service", "portfolio-risk-service", "ops-db-writer"
    ),
}
"""In every generation."""
_JOBS: Final = _plane(
    _PLANE, "event-store-monitor", "day2-gate-monitor", "exchange-snapshot-service", "soak-monitor",
    "daily-ops-reporter", "control-plane-metrics-exporter",
)  # fmt: skip
"""Services that H has merged into one."""
_GUARDS: Final = {
    "kill-switch": Part(
        _PLANE, 0.8, 60, port=(_ALL, 9900),
        environment=("KILL_SWITCH_DRY_RUN=false", "KILL_SWITCH_EXCHANGE=bitget"),
    ),
    "bot-watchdog": Part(_PLANE, 0.1, 30, is_checked=False),
    "telegram-bot": Part(_PLANE, 0.2, 36, is_checked=False),
}  # fmt: skip
"""Since R1."""
_STORAGE: Final = {
    "redis": Part("redis:7.2-alpine", 0.9, 24, port=(_ME, 6379)),
    "postgres": Part("postgres:16-alpine", 1.4, 90, port=(_ME, 5432)),
}
_MONITORING: Final = {
    "prometheus": Part("prom/prometheus:v2.51.2", 1.2, 120, port=(_ME, 9090)),
    "grafana": Part("grafana/grafana:10.4.2", 0.6, 80, port=(_ME, 3000)),
    "node-exporter": Part("prom/node-exporter:v1.8.1", 0.3, 16, port=(_ME, 9100)),
    "cadvisor": Part("gcr.io/cadvisor/cadvisor:v0.49.1", 2.1, 70, port=(_ME, 8080)),
}
_LOGS: Final = {
    "loki": Part("grafana/loki:2.9.8", 1.0, 100, port=(_ME, 3100)),
    "promtail": Part("grafana/promtail:2.9.8", 0.5, 40, is_checked=False),
    "bot-metrics-exporter": Part("python:3.11-slim", 0.4, 40),
}
"""Until R1."""

R1: Final = Generation(
    id="R1",
    prefix="hbot-",
    project="hbot",
    database="hbot_ops",
    owner="hbot",
    env_file="env/.env",
    bot_image=f"{_IMAGE}:version-2.12.0",
    bots={
        "bot1": Trader("epp_v2_4_bot_a", "bitget_perpetual", True, ("BOT_MODE=paper", *_BUS, _ROLE)),
        "bot3": Trader("epp_v2_4_bot3_paper_smoke", "bitget_paper_trade"),
        "bot4": Trader("epp_v2_4_bot4_binance_smoke", "binance_perpetual_testnet"),
    },
    parts={
        **_WORKERS, **_JOBS, **_GUARDS, **_STORAGE, **_MONITORING, **_LOGS,
        "mosquitto": Part("eclipse-mosquitto:2.0", 0.1, 8, port=(_ME, 1883)),
    },
    monitoring=Monitoring(
        bots="bot-metrics-exporter",
        plane="control-plane-metrics-exporter",
        rules=RULES,
        alerts={"ControlPlaneReportStale": "event_store_integrity is stale"},
        missed="ContainerDown",
        dashboards={"hbot-control-plane": "Trading Desk Control Plane"},
    ),
    gates=GATES,
    columns=("bot_mode", "position_base"),
    risk_scope=("bot1",),
    paper_exchanges=("bitget", "bitget_perpetual"),
    code_folders=(_CODE, "/home/hummingbot/scripts/controllers"),
)  # fmt: skip

R0: Final = replace(
    R1,
    id="R0",
    bots={
        "bot1": Trader("epp_v2_4_bot_a", "binance_perpetual_testnet", environment=(*_BUS, _ROLE)),
        "bot3": R1.bots["bot3"],
        "bot4": R1.bots["bot4"],
    },
    parts={
        **_WORKERS, **_JOBS, **_STORAGE, **_MONITORING, **_LOGS,
        "clickhouse": Part("clickhouse/clickhouse-server:24.8", 2.0, 400, port=(_ME, 8123)),
        "clickhouse-ingest": Part(_PLANE, 0.3, 60),
    },
    monitoring=replace(
        R1.monitoring,
        rules=tuple(rule for rule in RULES if rule not in NEW_IN_R1),
        dashboards={
            "hbot-trading-overview": "Hummingbot Trading Desk Overview",
            "hbot-bot-deep-dive": "Hummingbot Bot Deep Dive",
            "hbot-control-plane": "Trading Desk Control Plane",
            "hbot-wallet-blotter": "Trading Desk Wallet and Blotter",
            "hbot-ops-db-overview": "Trading Desk Ops DB Overview",
        },
        sources=(("prometheus", "Prometheus"), ("clickhouse-events", "ClickHouse Events")),
    ),
    columns=(),
    risk_scope=("bot1", "bot4"),
    paper_exchanges=("bitget",),
    writer_without_database="dies",
    has_banner=False,
    has_telemetry=False,
)  # fmt: skip

_NEW_PLANE: Final = "kzay-capital-control-plane:latest"
_MOVED: Final = "compose/docker-compose.yml does not exist"

H: Final = replace(
    R1,
    id="H",
    prefix="",
    project="kzay-capital",
    database="kzay_capital_ops",
    owner="kzay_capital",
    env_file="infra/env/.env",
    bot_image=f"{_IMAGE}:latest",
    bots={
        "bot1": Trader("epp_v2_4_bot1_wider_spread_exp", "bitget_perpetual", True, (*_PAPER, _ROLE)),
        "bot3": Trader("epp_v2_4_bot3_paper_smoke", "bitget_perpetual", True, _PAPER),
        "bot4": Trader("epp_v2_4_bot4_binance_smoke", "binance_perpetual_testnet", True, _PAPER),
        "bot5": Trader("epp_v2_4_bot5_bitget_paper", "bitget_perpetual", True, _PAPER),
        "bot6": Trader("epp_v2_4_bot6_bitget_cvd_paper", "bitget_perpetual", True, _PAPER),
        "bot7": Trader("epp_v2_4_bot7_bitget_paper", "bitget_perpetual", True, _PAPER),
    },
    parts={
        **{name: replace(part, image=_NEW_PLANE) for name, part in (_WORKERS | _GUARDS).items()},
        "telegram-bot": Part(_NEW_PLANE, 0.2, 36),
        **_plane(
            _NEW_PLANE, "ops-scheduler", "market-data-service", "portfolio-allocator-service",
            "metrics-exporter", "research-worker",
        ),
        "desk-snapshot-service": Part(_NEW_PLANE, 0.3, 60, container="desk-snapshot"),
        "realtime-ui-api": Part(_NEW_PLANE, 0.9, 120, port=(_ME, 9910)),
        "realtime-ui-web": Part("nginx:1.27-alpine", 0.1, 10, is_checked=False, port=(_ME, 8088)),
        "redis": Part("redis:latest", 0.9, 24, port=(_ME, 6379)),
        "postgres": Part("timescale/timescaledb:latest-pg16", 1.4, 90, port=(_ME, 5432)),
        **_MONITORING,
    },
    monitoring=Monitoring(
        bots="metrics-exporter",
        plane="metrics-exporter",
        rules=(*RULES, *OF_H),
        alerts={"MetricsExporterScrapeFailed": "metrics exporter is not scraped"},
        missed="BotFrozen",
        dashboards=R1.monitoring.dashboards,
    ),
    gates={
        **GATES,
        **dict.fromkeys(
            (
                "bot_startup_preflight", "recon_exchange_live_gate", "go_live_checklist_evidence_gate",
                "telegram_alerting_gate", "event_stream_coverage", "ops_db_writer_freshness",
            ),
            "critical",
        ),
        **dict.fromkeys(("portfolio_diversification", "data_plane_consistency"), "warning"),
    },
    columns=(*R1.columns, "min_base_pct", "max_base_pct"),
    risk_scope=("bot1", "bot6", "bot7"),
    code_folders=(_CODE,),
    has_own_groups=True,
    has_heartbeat=True,
    is_pause_kept=True,
    floods=False,
    recovers_after=30.0,
    is_kill_frank=True,
    writer_without_database="tells",
    stamps_integrity=True,
    password="demo-redis",  # noqa: S106 # of a world that ends with the demo
    failing={
        "policy/latest.json": {"status": "fail", "errors": ["risk scope is bot1, bot6, bot7"]},
        "policy/coordination_policy_latest.json": {"status": "fail", "errors": [_MOVED]},
        "upgrade/latest.json": {"status": "fail"},
    },
)  # fmt: skip

GENERATIONS: Final[Mapping[str, Generation]] = {each.id: each for each in (R1, R0, H)}
"""By the name that each has in the stack file; the first is the one that is meant where none is named."""
