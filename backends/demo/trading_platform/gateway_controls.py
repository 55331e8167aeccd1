"""The gateway's manual controls (class J): pending orders, cancel-all, cancel, close, flatten."""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any, Final

import psycopg
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.trading_platform.answers import InvalidError, Json, body_of
from backends.demo.trading_platform.gateway import Gateway
from backends.demo.trading_platform.gateway_auth import AuthError, Authority
from backends.demo.trading_platform.kill_switch import now_text
from backends.demo.trading_platform.sign_in import MfaError

_MANUAL: Final = {"reason": str, "requested_by": str, "requested_at": str}
_AT_ONCE: Final = 100
"""Orders that one cancel-all takes at most, newest first."""
_RATES: Final = {
    "orders_pending": (10, 60), "recent_fills": (5, 60), "cancel_all": (5, 60), "cancel": (10, 60),
    "close": (10, 60), "flatten_all": (1, 300),
}  # fmt: skip
"""Calls a user may make, in so many seconds."""


def control_routes(gateway: Gateway, authority: Authority) -> list[Route]:
    api = _Controls(gateway, authority)
    return [
        Route("/api/v1/orders/pending", api.pending),
        Route("/api/v1/orders/recent-fills", api.recent_fills),
        Route("/api/v1/orders/cancel-all", api.cancel_all, methods=["POST"]),
        Route("/api/v1/manual/orders/{id}/cancel", api.cancel, methods=["POST"]),
        Route("/api/v1/positions/flatten-all", api.flatten_all, methods=["POST"]),
        Route("/api/v1/positions/{symbol}/close", api.close, methods=["POST"]),
    ]


class _Controls:
    def __init__(self, gateway: Gateway, authority: Authority) -> None:
        self._gateway = gateway
        self._authority = authority

    async def pending(self, request: Request) -> Response:
        await self._enter(request, "orders_pending", None)
        query = request.query_params
        rows = await self._gateway.ledger.pending(query.get("symbol"))
        limit, offset = min(int(query.get("limit", 100)), 1000), int(query.get("offset", 0))
        names = ("client_order_id", "strategy_id", "symbol", "side", "qty", "order_type", "limit_price",
                 "status", "created_at", "updated_at", "filled_qty")  # fmt: skip
        shown = [{name: row[name] for name in names} for row in rows[offset : offset + limit]]
        return Json(
            {"orders": shown, "total": len(rows), "limit": limit, "offset": offset,
             "filtered_by_strategy": False, "user_strategies": ["alpha_baseline"]}
        )  # fmt: skip

    async def recent_fills(self, request: Request) -> Response:
        await self._enter(request, "recent_fills", None)
        limit = min(int(request.query_params.get("limit", 50)), 200)
        return Json({"events": await self._gateway.ledger.fills(limit)})

    async def cancel_all(self, request: Request) -> Response:
        user, body = await self._enter(request, "cancel_all", {"symbol": str})
        symbol = body["symbol"].upper()
        if not (symbol.isalnum() and len(symbol) <= 5):
            raise InvalidError(("symbol", "Symbol must be 1-5 alphanumerics"))
        rows = (await self._gateway.ledger.pending(symbol))[:_AT_ONCE]
        if not rows:
            raise _Refused(404, "no_pending_orders", f"No pending orders for {symbol}")
        for row in rows:
            await self._cancel(row)
        await self._audit(user, "cancel_all_orders", symbol, body["reason"])
        idents = [row["client_order_id"] for row in rows]
        return Json(
            {"status": "cancelled", "symbol": symbol, "cancelled_count": len(idents), "order_ids": idents,
             "strategies_affected": sorted({row["strategy_id"] for row in rows})}
        )  # fmt: skip

    async def cancel(self, request: Request) -> Response:
        user, body = await self._enter(request, "cancel", {})
        ident = request.path_params["id"]
        row = await self._gateway.ledger.one(ident)
        if row is None:
            raise _Refused(404, "order_not_found", f"Order not found: {ident}")
        await self._cancel(row)
        await self._audit(user, "cancel_order", ident, body["reason"])
        return Json({"status": "cancelled", "order_id": ident, "cancelled_at": now_text()})

    async def close(self, request: Request) -> Response:
        user, body = await self._enter(request, "close", {})
        symbol = request.path_params["symbol"].upper()
        held = self._gateway.broker.holdings.get(symbol)
        if held is None:
            raise _Refused(404, "position_not_found", f"No position in {symbol}")
        if held.qty == 0:
            return Json({"status": "already_flat", "order_id": None, "qty_to_close": 0})
        qty = body.get("qty", abs(held.qty))
        if isinstance(qty, float) and not qty.is_integer():
            raise _Refused(422, "invalid_quantity", "Quantity must be whole shares")
        if not isinstance(qty, int | float) or not 0 < qty <= abs(held.qty):
            raise _Refused(422, "invalid_quantity", f"Position has {abs(held.qty)} shares")
        order = await self._send(symbol, held.qty, int(qty), "manual_controls_close_position", user)
        await self._audit(user, "close_position", symbol, body["reason"])
        return Json({"status": "closing", "order_id": order, "qty_to_close": int(qty)})

    async def flatten_all(self, request: Request) -> Response:
        # The one call in 300 s is spent before MFA is looked at, as on the platform.
        user, body = await self._enter(request, "flatten_all", {"id_token": str}, shortest=20)
        try:
            await self._authority.second_factor(body["id_token"], user)
        except MfaError as error:
            raise _Refused(403, error.code, str(error)) from None
        orders = [
            await self._send(symbol, held.qty, abs(held.qty), "manual_controls_flatten_all", user)
            for symbol, held in self._gateway.broker.holdings.items()
            if held.qty
        ]
        await self._audit(user, "flatten_all_positions", "all", body["reason"])
        return Json(
            {"status": "flattening", "positions_closed": len(orders), "orders_created": orders,
             "strategies_affected": ["alpha_baseline"]}
        )  # fmt: skip

    async def _enter(
        self, request: Request, action: str, body: dict[str, type] | None, shortest: int = 10
    ) -> tuple[str, dict[str, Any]]:
        """Who asks and for what: proven, well-formed and within the rate; spends one call of it.

        Raises AuthError or InvalidError.
        """
        user = await self._authority.manual(request)
        given = {} if body is None else await _manual(request, body, shortest)
        await self._spend(action, user)
        return user, given

    async def _spend(self, action: str, user: str) -> None:
        most, seconds = _RATES[action]
        key, now = f"rl:{action}:{user}", time.time()
        try:
            async with self._gateway.redis.pipeline(transaction=True) as pipe:
                pipe.zremrangebyscore(key, "-inf", now - seconds)
                pipe.zcard(key)
                pipe.zrange(key, 0, 0, withscores=True)
                count, oldest = (await pipe.execute())[1:]
                if count >= most:
                    wait = math.ceil(oldest[0][1] + seconds - now)
                    raise _Refused(429, "rate_limited", f"Retry in {wait} s", retry_after=wait)
                pipe.zadd(key, {f"{now}": now})
                pipe.expire(key, seconds)
                await pipe.execute()
        except RedisError:
            raise _Refused(503, "rate_limiter_unavailable", "Redis does not answer") from None

    async def _cancel(self, row: dict[str, Any]) -> None:
        gateway = self._gateway
        ident = row["client_order_id"]
        # A row without a broker id becomes canceled although the broker was never asked.
        is_asked = row["broker_order_id"] is not None and gateway.broker.cancel(ident)
        await gateway.ledger.set_status(ident, "pending_cancel" if is_asked else "canceled")

    async def _send(self, symbol: str, held: int, qty: int, strategy: str, user: str) -> str:
        """A market order against a position, written down without the broker's id as the platform does."""
        gateway = self._gateway
        minute = int(time.time() // 60)
        ident = hashlib.sha256(f"{strategy} {symbol} {qty} {user} {minute}".encode()).hexdigest()[:24]
        side = "sell" if held > 0 else "buy"
        gateway.broker.submit(ident, symbol, side, qty, None)
        await gateway.ledger.add(
            {"client_order_id": ident, "strategy_id": strategy, "symbol": symbol, "side": side, "qty": qty,
             "order_type": "market", "status": "pending_new"}
        )  # fmt: skip
        gateway.voice.info(f"Manual close submitted: {ident} {side} {qty} {symbol} by {user}")
        return ident

    async def _audit(self, user: str, action: str, resource: str, reason: str) -> None:
        try:
            await self._gateway.ledger.audit(user, action, resource, "success", reason)
        except psycopg.OperationalError as error:
            self._gateway.voice.error(f"Audit write failed: {error}")


class _Refused(AuthError):  # noqa: N818 # answered like any other refusal of the gateway
    def __init__(self, status: int, error: str, message: str, **more: Any) -> None:
        super().__init__(status, {"error": error, "message": message, "timestamp": now_text(), **more})


async def _manual(request: Request, also: dict[str, type], shortest: int) -> dict[str, Any]:
    """The body of a manual control, its reason at least ``shortest`` characters. Raises InvalidError."""
    body = await body_of(request, {**_MANUAL, **also})
    if len(body["reason"]) < shortest:
        raise InvalidError(("reason", f"String should have at least {shortest} characters"))
    return body
