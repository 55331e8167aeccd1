"""What the trading platform offers to be read, row by row of its contract: each has its fact, or the reason
why the room does without."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

import pytest

from backends.model.fact import Fact, Level
from backends.model.query import Derivation, HttpQuery, RedisQuery, SqlQuery
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.building import can_become

LEFT_OUT: Final = "left out: "

# (database, a key as it stands there, the levels the contract gives it, the facts that judge it)
KEYS: Final = [
    (0, "kill_switch:state", "warn crit", "kill.state"),
    (0, "circuit_breaker:state", "warn crit", "breaker.state"),
    (0, "circuit_breaker:trip_reason", "", "left out: never exists; the reason is inside the state"),
    (0, "position_reservation:AAPL", "warn", "reservations.drift"),
    (0, "position_reservation:AAPL:token:0123456789abcdef", "", "left out: gone after 60 s"),
    (0, "quarantine:*:AAPL", "crit", "quarantine.keys"),
    (0, "quarantine:alpha_baseline:AAPL", "crit", "quarantine.keys"),
    (0, "orphan_exposure:external:AAPL", "warn", "orphans.exposure"),
    (0, "price:AAPL", "warn", "feed.age"),
    (0, "price:AAPL", "crit", "feed.unpriced"),
    (0, "signal:last_update:alpha_baseline", "warn", "signal.age"),
    (0, "market:last_update:prices", "", "left out: nothing writes it"),
    (0, "adv:AAPL", "", "left out: a cache, with no rule"),
    (0, "performance:daily:kim:2026-11-01:2026-11-21:ab", "", "left out: a cache, with no rule"),
    (0, "rl:flatten_all:kim", "", "limits.flatten"),
    (2, "rl:order_submit:global", "", "limits.api"),
    (2, "internal_nonce:orchestrator:n-1", "", "limits.nonces"),
    (0, "jti_seen:ab", "", "left out: used tokens, with no rule"),
    (0, "web_console:token_blacklist:ab", "", "left out: revoked tokens, with no rule"),
    (0, "ng_session:ab", "", "sessions.console"),
    (1, "session:ab", "", "sessions.oauth"),
    (0, "auth_lockout:kim", "warn", "sessions.locked"),
    (0, "auth_failures:kim", "", "left out: what comes of it, a lock-out, is watched"),
    (0, "api_key_revoked:ab", "", "left out: no rule"),
    (0, "alert:queue:depth", "warn crit", "alerts.depth"),
    (0, "alert_ratelimit:channel:email:1", "", "left out: throttles of the delivery, with no rule"),
    (0, "rq:queue:alerts", "warn", "jobs.alerts"),
    (0, "rq:queue:backtest_normal", "", "jobs.normal"),
    (0, "rq:workers", "", "jobs.workers"),
    (0, "backtest:heartbeat:bt-1", "warn", "jobs.silent"),
    (0, "backtest:progress:bt-1", "", "left out: no rule; a backtest moves no money"),
]  # fmt: skip

# (the table, what else the query names, the facts that ask it)
QUERIES: Final = [
    ("orders", "status count", "orders.by_status"),
    ("orders", "client_order_id strategy_id symbol side qty order_type status broker_order_id filled_qty"
     " created_at updated_at error_message", "orders.list"),
    ("orders", "is_terminal dry_run", "orders.open"),  # whatever is not terminal, not only some statuses
    ("positions", "symbol qty avg_entry_price current_price unrealized_pl realized_pl updated_at"
     " last_trade_at", "positions.list"),
    ("positions", "abs(qty) current_price avg_entry_price", "positions.gross"),
    ("positions", "qty current_price avg_entry_price", "positions.net"),
    ("trades", "realized_pnl superseded America/New_York", "pnl.today"),
    ("reconciliation_high_water_mark", "last_check_time 'orders'", "recon.checked"),
    ("reconciliation_high_water_mark", "last_check_time 'alpaca_fills'", "recon.fills"),
    ("orphan_orders", "broker_order_id symbol side qty estimated_notional status detected_at resolved_at",
     "orphans.list"),
    ("audit_log", "timestamp user_id action resource_type resource_id outcome amr_method reason details",
     "audit.list"),
    ("model_registry", "strategy_name version status activated_at created_at model_path", "models.active"),
    ("strategies", "strategy_id name active updated_at updated_by", "strategies.list"),
    ("orchestration_runs", "run_id strategy_id as_of_date status num_signals num_orders_submitted"
     " num_orders_accepted num_orders_rejected started_at completed_at error_message", "runs.list"),
    ("orders", "parent_order_id is_terminal open_slices", "orders.plans"),
    ("alert_events", "name triggered_at trigger_value alert_rules acknowledged_at", "alerts.list"),
    ("alert_deliveries", "id channel error_message attempts poison_at", "alerts.poison_list"),
    ("orders", r"client_order_id symbol side qty updated_at broker_order_id canceled manual\\_controls\\_%",
     "orders.unsent_list"),
    ("auth_audit_log", "timestamp event_type user_id client_ip auth_type outcome failure_reason",
     "audit.logins"),
]  # fmt: skip

_SCRAPED: Final = "left out: Prometheus scrapes it"
_FLAT: Final = "left out: /health says more"
_IN_DATABASE: Final = "left out: the database is asked, which wants no proof and hides no failure"

# (the source whose service it is, the path, the fact that asks it)
PATHS: Final = [
    ("gateway", "/health", "gateway.health"),
    ("gateway", "/", _FLAT),
    ("gateway", "/metrics/", _SCRAPED),
    ("gateway", "/api/v1/config", "gateway.paper"),
    ("gateway", "/api/v1/kill-switch/status", "gateway.kill"),
    ("gateway", "/api/v1/circuit-breaker/status", "left out: no service may read it (403); its key is read"),
    ("gateway", "/api/v1/positions", _IN_DATABASE),
    ("gateway", "/api/v1/positions/pnl/realtime", "pnl.status"),
    ("gateway", "/api/v1/account", "account.status"),
    ("gateway", "/api/v1/market_prices", "left out: the prices that stand in Redis"),
    ("gateway", "/api/v1/performance/daily", "left out: behind a flag; the drawdown is made from the trades"),
    ("gateway", "/api/v1/strategies", "left out: the room names some, so the console alone gets the 403"),
    ("gateway", "/api/v1/fat-finger/thresholds", "gateway.limits"),
    ("gateway", "/api/v1/reconciliation/status", "recon.complete"),
    ("gateway", "/api/v1/orders/{id}", _IN_DATABASE),
    ("gateway", "/api/v1/orders?status=open", "left out: does not exist (405)"),
    ("gateway", "/api/v1/orders/pending", _IN_DATABASE),
    ("gateway", "/api/v1/orders/recent-fills", _IN_DATABASE),
    ("gateway", "/api/v1/orders/{parent}/slices", _IN_DATABASE),
    ("orchestrator", "/health", "orchestrator.health"),
    ("orchestrator", "/", _FLAT),
    ("orchestrator", "/metrics/", _SCRAPED),
    ("orchestrator", "/api/v1/config", "orchestrator.paper"),
    ("orchestrator", "/api/v1/kill-switch/status", "orchestrator.kill"),
    ("orchestrator", "/api/v1/orchestration/runs", _IN_DATABASE),
    ("signal", "/health", "signal.health"),
    ("signal", "/ready", _FLAT),
    ("signal", "/metrics/", _SCRAPED),
    ("signal", "/api/v1/model/info", "left out: /health names the version too"),
    ("market-data", "/health", "feed.health"),
    ("market-data", "/api/v1/subscriptions", "feed.subscribed"),
    ("market-data", "/api/v1/subscriptions/stats", "feed.auto"),
    ("market-data", "/metrics/", _SCRAPED),
    ("market-data", "/api/v1/market-data/{symbol}/latest-quote", "left out: the prices that stand in Redis"),
    ("registry", "/health", "registry.health"),
    ("registry", "/api/v1/models/{type}/current", "left out: wants a token that compose gives to nobody"),
    ("console", "/healthz", "console.alive"),
    ("console", "/readyz", "console.ready"),
    ("console", "/metrics", "left out: for callers inside alone (403)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-platform"])


def read_for(stack: Stack, fact: Fact) -> list[Fact]:
    """The facts that are polled for this one: itself, or what it is made of."""
    if isinstance(fact.query, Derivation):
        return [stack.facts[name] for name in fact.query.of]
    return [fact]


@pytest.mark.parametrize(("database", "key", "levels", "name"), KEYS, ids=lambda each: str(each)[:40])
def test_every_key_an_operator_meets_is_read_and_judged(
    stack: Stack, database: int, key: str, levels: str, name: str
) -> None:
    asked = {
        (stack.sources[fact.source].url[-2:], fact.query.key)
        for fact in stack.facts.values()
        if isinstance(fact.query, RedisQuery)
    }
    matching = {pattern for place, pattern in asked if place == f"/{database}" and fnmatchcase(key, pattern)}
    if name.startswith(LEFT_OUT):
        assert not matching and not levels
        return
    fact = stack.facts[name]
    queries = [each.query for each in read_for(stack, fact)]
    assert any(isinstance(query, RedisQuery) and query.key in matching for query in queries)
    for level in levels.split():
        assert can_become(fact, Level(level)), level


@pytest.mark.parametrize(("table", "words", "name"), QUERIES, ids=lambda each: str(each)[:40])
def test_every_query_of_the_contract_is_asked(stack: Stack, table: str, words: str, name: str) -> None:
    query = stack.facts[name].query
    assert isinstance(query, SqlQuery)
    assert re.search(rf"\b(FROM|JOIN) {table}\b", query.text)
    lacking = [word for word in words.replace("\\\\", "\\").split() if word not in query.text]
    assert not lacking


@pytest.mark.parametrize(("source", "path", "name"), PATHS, ids=lambda each: str(each)[:40])
def test_every_page_of_the_services_is_asked_for(stack: Stack, source: str, path: str, name: str) -> None:
    def is_asked_by(fact: Fact) -> bool:
        there = stack.sources[source].url == stack.sources[fact.source].url
        return there and isinstance(fact.query, HttpQuery) and fact.query.path.partition("?")[0] == path

    if name.startswith(LEFT_OUT):
        assert not any(is_asked_by(fact) for fact in stack.facts.values())
    else:
        assert is_asked_by(stack.facts[name])


def test_whatever_is_left_out_says_why() -> None:
    rows = [row[-1] for table in (KEYS, QUERIES, PATHS) for row in table]
    assert all(len(row) > len(LEFT_OUT) for row in rows if row.startswith(LEFT_OUT))
