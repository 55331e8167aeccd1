"""What the platform's stores hold when the demo begins: a morning's work, from a seed."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis

from backends.demo.database import Database
from backends.demo.trading_platform import breaker
from backends.demo.trading_platform.broker import Holding
from backends.demo.trading_platform.market import OPENING

STRATEGY: Final = "alpha_baseline"
HELD: Final = {"AAPL": 60, "AMZN": 40, "MSFT": 24, "NVDA": 80, "TSLA": 30}
_PAST_ORDERS: Final = 40
_GONE: Final = ("filled", "filled", "filled", "filled", "canceled", "expired", "rejected")


def holdings() -> dict[str, Holding]:
    """What the broker has at the beginning."""
    return {symbol: Holding(qty, round(OPENING[symbol] * 0.998, 2)) for symbol, qty in HELD.items()}


async def seed_redis(redis: Redis, sessions: Redis, limits: Redis, held: Mapping[str, Holding]) -> None:
    """DB 0 (safety, reservations, queues, console sessions), DB 1 (logins) and DB 2 (API rate limits)."""
    now = datetime.now(UTC)
    async with redis.pipeline(transaction=False) as pipe:
        pipe.set(breaker.KEY, json.dumps(breaker.FRESH), nx=True)
        tripped = (now - timedelta(days=3)).isoformat(timespec="microseconds")
        reset = (now - timedelta(days=3) + timedelta(minutes=30)).isoformat(timespec="microseconds")
        past = {"tripped_at": tripped, "reason": "MANUAL", "details": {"tripped_by": "kim"},
                "reset_at": reset, "reset_by": "lee",
                "reset_reason": "drill ended, all positions verified"}  # fmt: skip
        pipe.zadd(breaker.HISTORY, {json.dumps(past): (now - timedelta(days=3)).timestamp()})
        for symbol, one in held.items():
            pipe.set(f"position_reservation:{symbol}", one.qty)
            pipe.set(f"adv:{symbol}", json.dumps({"symbol": symbol, "adv": 41_000_000}), ex=86_400)
        pipe.set("alert:queue:depth", 0)
        pipe.sadd("rq:workers", "rq:worker:backtest-dev", "rq:worker:alerts")
        pipe.sadd("rq:queues", "rq:queue:alerts", "rq:queue:backtest_normal")
        pipe.rpush("rq:queue:backtest_normal", "bt-0192", "bt-0193")
        pipe.set("backtest:progress:bt-0191", json.dumps({"pct": 40, "current_date": "2024-03-01"}), ex=3600)
        pipe.set("backtest:heartbeat:bt-0191", now.isoformat(), ex=3600)
        pipe.set("ng_session:demo-1", "encrypted", ex=28_800)
        pipe.sadd("ng_user_sessions:kim", "demo-1")
        await pipe.execute()
    await sessions.set("session:demo-1", "encrypted", ex=28_800)
    await limits.zadd("rl:order_submit:global", {"demo": now.timestamp()})
    await limits.expire("rl:order_submit:global", 3600)


async def seed_database(database: Database, rng: random.Random, held: Mapping[str, Holding]) -> None:
    """Strategy, models, the day's orders, trades and positions, and rows of every log an operator reads."""
    now = datetime.now(UTC)
    await database.rows(
        "INSERT INTO strategies (strategy_id, name, active, updated_by) VALUES"
        " ('alpha_baseline', 'Alpha Baseline', TRUE, 'kim'),"
        " ('mean_reversion', 'Mean Reversion', FALSE, 'lee')"
    )
    await database.rows(
        "INSERT INTO model_registry (strategy_name, version, model_path, status, performance_metrics,"
        " created_at, activated_at) VALUES"
        " ('alpha_baseline', 'v1.0.0', 'artifacts/models/alpha_baseline_v1.txt', 'inactive',"
        " '{\"ic\": 0.061}', now() - interval '90 days', now() - interval '88 days'),"
        " ('alpha_baseline', 'v1.1.0', 'artifacts/models/alpha_baseline_v1_1.txt', 'active',"
        " '{\"ic\": 0.082}', now() - interval '21 days', now() - interval '20 days')"
    )
    await database.many(
        "INSERT INTO positions (symbol, qty, avg_entry_price, current_price, unrealized_pl, realized_pl,"
        " last_trade_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            (symbol, one.qty, one.entry, OPENING[symbol], round(one.qty * (OPENING[symbol] - one.entry), 4),
             round(rng.uniform(-20, 60), 2), now - timedelta(minutes=rng.randint(3, 200)))
            for symbol, one in held.items()
        ],
    )  # fmt: skip
    orders = [_order(rng, now - timedelta(minutes=rng.uniform(2, 200))) for _ in range(_PAST_ORDERS)]
    await database.many(
        "INSERT INTO orders (client_order_id, strategy_id, symbol, side, qty, order_type, status,"
        " broker_order_id, error_message, created_at, updated_at, submitted_at, filled_at, filled_qty,"
        " filled_avg_price, is_terminal, status_rank) VALUES (%(id)s, %(strategy)s, %(symbol)s, %(side)s,"
        " %(qty)s, 'market', %(status)s, %(broker)s, %(error)s, %(at)s, %(done)s, %(at)s, %(filled)s,"
        " %(filled_qty)s, %(price)s, TRUE, 7)",
        orders,
    )
    await database.many(
        "INSERT INTO trades (trade_id, client_order_id, broker_order_id, strategy_id, symbol, side, qty,"
        " price, executed_at, realized_pnl) VALUES (%(trade)s, %(id)s, %(broker)s, %(strategy)s, %(symbol)s,"
        " %(side)s, %(qty)s, %(price)s, %(done)s, %(profit)s)",
        [order for order in orders if order["status"] == "filled"],
    )
    await database.rows(
        "INSERT INTO reconciliation_high_water_mark (name, last_check_time)"
        " VALUES ('orders', now()), ('alpaca_fills', now())"
    )
    await database.rows(
        "INSERT INTO audit_log (timestamp, user_id, action, event_type, resource_type, resource_id,"
        " outcome, reason) VALUES (now() - interval '3 days', 'kim', 'trip_circuit_breaker', 'admin',"
        " 'circuit_breaker', 'global', 'success', 'quarterly drill'),"
        " (now() - interval '2 hours', 'lee', 'login', 'auth', 'session', 'demo-1', 'success', NULL)"
    )
    await database.rows(
        "INSERT INTO auth_audit_log (timestamp, event_type, user_id, client_ip, auth_type, outcome) VALUES"
        " (now() - interval '2 hours', 'login', 'lee', '10.0.4.12', 'dev', 'success')"
    )
    await _seed_alerts(database, rng)
    await _seed_runs(database, rng, now)
    await database.rows(
        "INSERT INTO data_sync_logs (dataset, level, message) VALUES ('prices', 'info', 'sync completed')"
    )
    await database.rows(
        "INSERT INTO system_config (config_key, config_type, config_value, updated_by) VALUES"
        " ('risk_limits', 'risk', '{\"daily_loss_limit\": 5000}', 'kim')"
    )


async def _seed_runs(database: Database, rng: random.Random, now: datetime) -> None:
    starts = [now - timedelta(minutes=20 * number + 4) for number in range(8)]
    await database.many(
        "INSERT INTO orchestration_runs (run_id, strategy_id, as_of_date, status, capital, num_signals,"
        " num_orders_submitted, num_orders_accepted, started_at, completed_at, duration_seconds)"
        " VALUES (%s, %s, %s, 'completed', 100000, 4, 4, 4, %s, %s, 6.2)",
        [
            (
                uuid.UUID(int=rng.getrandbits(128), version=4),
                STRATEGY,
                at.date(),
                at,
                at + timedelta(seconds=6.2),
            )
            for at in starts
        ],
    )


async def _seed_alerts(database: Database, rng: random.Random) -> None:
    rule, event, delivery = (uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(3))
    await database.rows(
        "INSERT INTO alert_rules (id, name, condition_type, threshold_value, comparison, channels) VALUES"
        " (%s, 'Daily loss', 'drawdown', -3000, 'lt', '[\"email\"]')",
        rule,
    )
    await database.rows(
        "INSERT INTO alert_events (id, rule_id, triggered_at, trigger_value, acknowledged_at,"
        " acknowledged_by) VALUES"
        " (%s, %s, now() - interval '4 days', -3120.5, now() - interval '4 days', 'lee')",
        event, rule,
    )  # fmt: skip
    await database.rows(
        "INSERT INTO alert_deliveries (id, alert_id, channel, recipient, status, attempts, delivered_at)"
        " VALUES (%s, %s, 'email', 'oncall@desk.example', 'delivered', 1, now() - interval '4 days')",
        delivery, event,
    )  # fmt: skip


def _order(rng: random.Random, at: datetime) -> dict[str, Any]:
    """One order of this morning that is done with."""
    symbol, status = rng.choice(sorted(OPENING)), rng.choice(_GONE)
    ident = hashlib.sha256(f"{rng.random()}".encode()).hexdigest()[:24]
    is_filled = status == "filled"
    qty = rng.randint(5, 60)
    done = at + timedelta(seconds=rng.uniform(0.1, 0.45))
    return {
        "id": ident, "trade": f"t{ident}", "strategy": STRATEGY, "symbol": symbol,
        "side": rng.choice(("buy", "sell")), "qty": qty, "status": status,
        "broker": None if status == "rejected" else str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "error": "insufficient buying power" if status == "rejected" else None, "at": at, "done": done,
        "filled": done if is_filled else None, "filled_qty": qty if is_filled else 0,
        "price": round(OPENING[symbol] * rng.uniform(0.996, 1.004), 2) if is_filled else None,
        "profit": round(rng.gauss(4, 40), 2),
    }  # fmt: skip
