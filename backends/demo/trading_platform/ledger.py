"""Orders, trades and positions in PostgreSQL, as the execution gateway keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backends.demo.database import Database
from backends.demo.trading_platform.broker import Holding

TERMINAL: Final = frozenset(
    ("filled", "canceled", "expired", "failed", "rejected", "replaced", "done_for_day",
     "blocked_kill_switch", "blocked_circuit_breaker")
)  # fmt: skip
_RANK: Final = {
    "pending_new": 1,
    "accepted": 3,
    "pending_cancel": 4,
    "canceled": 6,
    "expired": 6,
    "filled": 7,
}

Order = Mapping[str, Any]


class Ledger:
    """Every method raises ``psycopg.OperationalError`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, order: Order) -> None:
        """A new order: ids, strategy, symbol, side, qty, type and limit."""
        await self._db.rows(
            "INSERT INTO orders (client_order_id, strategy_id, symbol, side, qty, order_type, limit_price,"
            " stop_price, time_in_force, status, broker_order_id, submitted_at, status_rank, execution_style)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), %s, 'instant')"
            " ON CONFLICT (client_order_id) DO NOTHING",
            order["client_order_id"], order["strategy_id"], order["symbol"], order["side"], order["qty"],
            order["order_type"], order.get("limit_price"), order.get("stop_price"),
            order.get("time_in_force", "day"), order["status"], order.get("broker_order_id"),
            _RANK.get(order["status"], 0),
        )  # fmt: skip

    async def one(self, client_order_id: str) -> dict[str, Any] | None:
        found = await self._db.rows("SELECT * FROM orders WHERE client_order_id = %s", client_order_id)
        return found[0] if found else None

    async def pending(self, symbol: str | None = None) -> list[dict[str, Any]]:
        """Orders that are not terminal, newest first."""
        return await self._db.rows(
            "SELECT * FROM orders WHERE is_terminal = FALSE AND status <> 'dry_run'"
            " AND (%s::text IS NULL OR symbol = %s) ORDER BY created_at DESC LIMIT 1000",
            symbol, symbol,
        )  # fmt: skip

    async def set_status(self, client_order_id: str, status: str) -> None:
        await self._db.rows(
            "UPDATE orders SET status = %s, is_terminal = %s, status_rank = %s, updated_at = now(),"
            " last_updated_at = now() WHERE client_order_id = %s AND is_terminal = FALSE",
            status, status in TERMINAL, _RANK.get(status, 5), client_order_id,
        )  # fmt: skip

    async def fill(
        self, client_order_id: str, trade_id: str, price: float, profit: float, holding: Holding
    ) -> None:
        """An order is filled whole: the order, the trade and the position."""
        order = await self.one(client_order_id)
        if order is None:
            return
        await self._db.rows(
            "UPDATE orders SET status = 'filled', is_terminal = TRUE, status_rank = 7, filled_at = now(),"
            " filled_qty = qty, filled_avg_price = %s, updated_at = now(), last_updated_at = now(),"
            " metadata = jsonb_build_object('fills', jsonb_build_array(jsonb_build_object("
            " 'fill_id', %s::text, 'fill_qty', qty, 'fill_price', %s::text)))"
            " WHERE client_order_id = %s",
            price, trade_id, f"{price:.2f}", client_order_id,
        )  # fmt: skip
        await self._db.rows(
            "INSERT INTO trades (trade_id, client_order_id, broker_order_id, strategy_id, symbol, side, qty,"
            " price, executed_at, realized_pnl) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now(), %s)"
            " ON CONFLICT DO NOTHING",
            trade_id, client_order_id, order["broker_order_id"], order["strategy_id"], order["symbol"],
            order["side"], order["qty"], price, profit,
        )  # fmt: skip
        await self._db.rows(
            "INSERT INTO positions AS p (symbol, qty, avg_entry_price, current_price, unrealized_pl,"
            " realized_pl, updated_at, last_trade_at) VALUES (%s, %s, %s, %s, %s, %s, now(), now())"
            " ON CONFLICT (symbol) DO UPDATE SET qty = EXCLUDED.qty,"
            " avg_entry_price = EXCLUDED.avg_entry_price, current_price = EXCLUDED.current_price,"
            " unrealized_pl = EXCLUDED.unrealized_pl, realized_pl = p.realized_pl + EXCLUDED.realized_pl,"
            " updated_at = now(), last_trade_at = now()",
            order["symbol"], holding.qty, round(holding.entry, 4), price,
            round(holding.qty * (price - holding.entry), 4), profit,
        )  # fmt: skip

    async def positions(self) -> list[dict[str, Any]]:
        return await self._db.rows("SELECT * FROM positions WHERE qty <> 0 ORDER BY symbol")

    async def reconcile(self, holdings: Mapping[str, tuple[int, float, float]]) -> None:
        """Write over the positions what the broker has: quantity, entry and price by symbol."""
        await self._db.many(
            "UPDATE positions SET qty = %s, avg_entry_price = %s, current_price = %s,"
            " unrealized_pl = %s, updated_at = now() WHERE symbol = %s",
            [
                (qty, round(entry, 4), price, round(qty * (price - entry), 4), symbol)
                for symbol, (qty, entry, price) in holdings.items()
            ],
        )
        await self._db.rows(
            "UPDATE reconciliation_high_water_mark SET last_check_time = now(), updated_at = now()"
        )

    async def fills(self, limit: int) -> list[dict[str, Any]]:
        """The newest trades."""
        return await self._db.rows(
            "SELECT client_order_id, symbol, side, qty, price, executed_at, realized_pnl FROM trades"
            " WHERE NOT superseded ORDER BY executed_at DESC LIMIT %s",
            limit,
        )

    async def audit(self, user: str, action: str, resource: str, outcome: str, reason: str | None) -> None:
        """One row of the audit log."""
        await self._db.rows(
            "INSERT INTO audit_log (user_id, action, reason, event_type, resource_type, resource_id, outcome)"
            " VALUES (%s, %s, %s, 'admin', 'order', %s, %s)",
            user, action, reason, resource, outcome,
        )  # fmt: skip
