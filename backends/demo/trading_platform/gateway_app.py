"""The execution gateway's HTTP API, port 8002: watching, the kill switch, and the core order calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import psycopg
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.trading_platform import breaker
from backends.demo.trading_platform.answers import InvalidError, Json, body_of, fail, metrics
from backends.demo.trading_platform.gateway import Gateway, RefusedError
from backends.demo.trading_platform.gateway_auth import Authority
from backends.demo.trading_platform.kill_switch import MissingStateError, now_text
from backends.demo.trading_platform.kill_switch_api import KillSwitchApi
from backends.demo.trading_platform.ledger import TERMINAL

_LIMITS = ("max_notional", "max_qty", "max_adv_pct")


def gateway_routes(gateway: Gateway, authority: Authority) -> list[Route]:
    api = _Api(gateway, authority)
    switch = KillSwitchApi(gateway.kill, gateway.voice, gateway.unavailable, authority)
    return [
        Route("/", api.root),
        Route("/health", api.health),
        Route("/metrics", metrics),
        Route("/metrics/", api.metrics),
        Route("/api/v1/config", api.config),
        *switch.routes(),
        Route("/api/v1/circuit-breaker/status", api.breaker),
        Route("/api/v1/positions", api.positions),
        Route("/api/v1/positions/pnl/realtime", api.pnl),
        Route("/api/v1/account", api.account),
        Route("/api/v1/market_prices", api.prices),
        Route("/api/v1/strategies", api.strategies),
        Route("/api/v1/fat-finger/thresholds", api.thresholds),
        Route("/api/v1/fat-finger/thresholds", api.set_thresholds, methods=["PUT"]),
        Route("/api/v1/reconciliation/status", api.reconciliation),
        Route("/api/v1/reconciliation/run", api.reconcile, methods=["POST"]),
        Route("/api/v1/reconciliation/force-complete", api.force, methods=["POST"]),
        Route("/api/v1/reconciliation/fills-backfill", api.backfill, methods=["POST"]),
        Route("/api/v1/orders", api.submit, methods=["POST"]),
        Route("/api/v1/orders/{id}/cancel", api.cancel, methods=["POST"]),
        Route("/api/v1/orders/{id}", api.order),
    ]


class _Api:
    def __init__(self, gateway: Gateway, authority: Authority) -> None:
        self._gateway = gateway
        self._authority = authority

    async def root(self, _request: Request) -> Response:
        about = {"service": "execution_gateway", "version": "0.1.0", "status": "running"}
        return Json({**about, "dry_run": self._gateway.dry_run})

    async def health(self, _request: Request) -> Response:
        gateway = self._gateway
        await gateway.recover()
        is_database_up = await gateway.is_database_up()
        status = "unhealthy" if not is_database_up else "degraded" if gateway.unavailable else "healthy"
        return Json(
            {"status": status, "service": "execution_gateway", "version": "0.1.0", "dry_run": gateway.dry_run,
             "database_connected": is_database_up, "alpaca_connected": True, "timestamp": now_text(),
             "details": {"strategy_id": "alpha_baseline", "alpaca_base_url": "https://paper-api.alpaca.markets"}}
        )  # fmt: skip

    async def metrics(self, _request: Request) -> Response:
        gateway = self._gateway
        numbers = {
            "execution_gateway_dry_run_mode": int(gateway.dry_run),
            "execution_gateway_database_connection_status": int(await gateway.is_database_up()),
            "execution_gateway_redis_connection_status": int(
                "position_reservation" not in gateway.unavailable
            ),
            "execution_gateway_alpaca_connection_status": 1,
        }
        lines = [f"# TYPE {name} gauge\n{name} {value}" for name, value in numbers.items()]
        return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def config(self, _request: Request) -> Response:
        gateway = self._gateway
        return Json(
            {"service": "execution_gateway", "version": "0.1.0", "environment": "development",
             "dry_run": gateway.dry_run, "alpaca_paper": gateway.paper, "circuit_breaker_enabled": True,
             "liquidity_check_enabled": True, "max_slice_pct_of_adv": 0.01, "timestamp": now_text()}
        )  # fmt: skip

    async def breaker(self, request: Request) -> Response:
        await self._authority.api(request, "view_circuit_breaker")
        try:
            return Json(await breaker.status(self._gateway.redis))
        except (breaker.NoBreakerError, RedisError) as error:
            return fail(503, str(error))

    async def positions(self, request: Request) -> Response:
        await self._authority.api(request, "view_positions")
        names = ("symbol", "qty", "avg_entry_price", "current_price", "unrealized_pl", "realized_pl",
                 "updated_at", "last_trade_at")  # fmt: skip
        rows = [{name: row[name] for name in names} for row in await self._gateway.ledger.positions()]
        return Json(
            {"positions": rows, "total_positions": len(rows),
             "total_unrealized_pl": sum((row["unrealized_pl"] or Decimal(0) for row in rows), Decimal(0)),
             "total_realized_pl": sum((row["realized_pl"] for row in rows), Decimal(0))}
        )  # fmt: skip

    async def pnl(self, request: Request) -> Response:
        await self._authority.user_context(request)
        gateway = self._gateway
        try:
            rows = await gateway.ledger.positions()
        except psycopg.OperationalError:
            rows = []  # the platform masks it: an empty answer, status 200
        shown = [self._priced(row) for row in rows]
        total = sum((row["unrealized_pl"] for row in shown), Decimal(0))
        return Json(
            {"positions": shown, "total_positions": len(shown), "total_unrealized_pl": total,
             "total_unrealized_pl_pct": None, "realtime_prices_available": len(shown),
             "timestamp": now_text()}
        )  # fmt: skip

    async def account(self, request: Request) -> Response:
        await self._authority.user_context(request)
        broker = self._gateway.broker
        held = sum(one.qty * broker.market.quote(symbol).mid for symbol, one in broker.holdings.items())
        return Json(
            {"account_number": "PA-DEMO", "status": "ACTIVE", "currency": "USD",
             "buying_power": f"{200_000 - held:.2f}", "cash": f"{100_000 - held:.2f}",
             "portfolio_value": "100000.00", "pattern_day_trader": False, "trading_blocked": False,
             "transfers_blocked": False}
        )  # fmt: skip

    async def prices(self, request: Request) -> Response:
        await self._authority.user_context(request)
        market = self._gateway.broker.market
        at = now_text()
        return Json(
            [
                {"symbol": name, "mid": f"{market.quote(name).mid:.2f}", "timestamp": at}
                for name in market.sizes
            ]
        )

    async def strategies(self, request: Request) -> Response:
        await self._authority.user_context(request)
        if not request.headers.get("x-user-strategies", "").strip():
            return fail(403, "No strategy access")
        pending = await self._gateway.ledger.pending()
        one = {"strategy_id": "alpha_baseline", "name": "Alpha Baseline",
               "status": "active" if pending else "idle",
               "positions_count": len({row["symbol"] for row in pending}), "open_orders_count": len(pending),
               "today_pnl": "0", "last_signal_at": None}  # fmt: skip
        return Json({"strategies": [one], "total_count": 1, "timestamp": now_text()})

    async def thresholds(self, _request: Request) -> Response:
        return Json(
            {"default_thresholds": self._gateway.thresholds, "symbol_overrides": {}, "updated_at": now_text()}
        )

    async def set_thresholds(self, request: Request) -> Response:
        await self._authority.user_context(request)
        body = await body_of(request, {})
        if isinstance(limits := body.get("default_thresholds"), Mapping):
            self._gateway.thresholds = {name: limits.get(name) for name in _LIMITS}
        return await self.thresholds(request)

    async def reconciliation(self, _request: Request) -> Response:
        gateway = self._gateway
        is_open = gateway.is_reconciled or gateway.override is not None
        return Json(
            {"startup_complete": is_open, "dry_run": gateway.dry_run,
             "startup_elapsed_seconds": round(time.monotonic() - gateway.started, 3),
             "startup_timed_out": not is_open and time.monotonic() - gateway.started > 300,
             "override_active": gateway.override is not None, "override_context": gateway.override or {},
             "message": "Reconciliation complete" if is_open else "Startup reconciliation in progress"}
        )  # fmt: skip

    async def reconcile(self, request: Request) -> Response:
        await self._authority.user_context(request)
        try:
            await self._gateway.reconcile()
        except psycopg.OperationalError:
            return fail(503, "Reconciliation failed")
        return Json({"status": "ok"})

    async def force(self, request: Request) -> Response:
        await self._authority.user_context(request)
        reason = (await body_of(request, {})).get("reason")
        if not reason or not self._gateway.has_tried:
            raise ValueError("a reason and an earlier attempt are required")
        self._gateway.override = {"reason": reason, "user": request.headers["x-user-id"], "at": now_text()}
        self._gateway.voice.critical(f"Startup reconciliation gate FORCED BYPASSED: {reason}")
        return Json({"status": "override_enabled", **self._gateway.override})

    async def backfill(self, request: Request) -> Response:
        await self._authority.user_context(request)
        raise TypeError("rate_limit() missing 1 required positional argument")

    async def submit(self, request: Request) -> Response:
        await self._authority.api(request, "submit_order")
        order = {"strategy_id": "alpha_baseline", **_checked(await body_of(request, _ORDER))}
        try:
            return Json(await self._gateway.submit(order))
        except RefusedError as error:
            return fail(error.status, error.detail)
        except MissingStateError as error:
            raise ValueError(str(error)) from error

    async def cancel(self, request: Request) -> Response:
        await self._authority.api(request, "cancel_order")
        ident = request.path_params["id"]
        order = await self._gateway.ledger.one(ident)
        if order is None:
            return fail(404, f"Order not found: {ident}")
        if order["status"] in TERMINAL:
            said = f"Order already in terminal state: {order['status']}"
            return Json({"client_order_id": ident, "status": order["status"], "message": said})
        if self._gateway.broker.cancel(ident):
            await self._gateway.ledger.set_status(ident, "pending_cancel")
            return Json({"client_order_id": ident, "status": "pending_cancel", "message": "Cancel requested"})
        await self._gateway.ledger.set_status(ident, "canceled")
        return Json({"client_order_id": ident, "status": "canceled", "message": "Order canceled"})

    async def order(self, request: Request) -> Response:
        await self._authority.api(request, "submit_order")
        order = await self._gateway.ledger.one(request.path_params["id"])
        return Json(order) if order else fail(404, f"Order not found: {request.path_params['id']}")

    def _priced(self, row: Mapping[str, Any]) -> dict[str, Any]:
        mid = Decimal(str(self._gateway.broker.market.quote(row["symbol"]).mid))
        profit = (mid - row["avg_entry_price"]) * row["qty"]
        cost = row["avg_entry_price"] * abs(row["qty"])
        return {
            "symbol": row["symbol"], "qty": row["qty"], "avg_entry_price": row["avg_entry_price"],
            "current_price": mid, "price_source": "real-time", "unrealized_pl": profit,
            "unrealized_pl_pct": round(profit / cost * 100, 4) if cost else None,
            "last_price_update": now_text(),
        }  # fmt: skip


_ORDER: Mapping[str, type] = {"symbol": str, "side": str, "qty": int, "order_type": str}


def _checked(order: dict[str, Any]) -> dict[str, Any]:
    """The order as it is kept. Raises InvalidError."""
    wrong = []
    if order["side"] not in ("buy", "sell"):
        wrong.append(("side", "Input should be 'buy' or 'sell'"))
    if isinstance(order["qty"], bool) or order["qty"] <= 0:
        wrong.append(("qty", "Input should be greater than 0"))
    if order["order_type"] not in ("market", "limit", "stop", "stop_limit"):
        wrong.append(("order_type", "Input should be 'market', 'limit', 'stop' or 'stop_limit'"))
    limit = order.get("limit_price")
    if "limit" in order["order_type"] and not limit:
        wrong.append(("limit_price", "Field required"))
    if wrong:
        raise InvalidError(*wrong)
    return {**order, "symbol": order["symbol"].upper(), "limit_price": float(limit) if limit else None}
