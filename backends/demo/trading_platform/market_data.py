"""The market data service, port 8004: a price stream that ends in ``price:SYMBOL`` keys of Redis."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.trading_platform.answers import Json, body_of, metrics
from backends.demo.trading_platform.gateway_auth import Authority
from backends.demo.trading_platform.kill_switch import now_text
from backends.demo.trading_platform.market import Market
from backends.demo.voice import Voice

PRICE_SECONDS: Final = 300
"""How long a price is kept in Redis."""
_TELL: Final = 20
"""Steps between two lines about how many prices were published."""


class MarketData:
    """Writes every price once a second while it is up and its stream is connected."""

    def __init__(self, redis: Redis, market: Market, rng: random.Random, voice: Voice) -> None:
        self.voice = voice
        self.market = market
        self.is_connected = True
        self.reconnects = 0
        self.is_up: Callable[[], bool] = lambda: True
        self._redis = redis
        self._rng = rng

    async def keep_streaming(self) -> None:
        """Move the market, and publish it, until cancelled."""
        steps = 0
        while True:
            self.market.step()
            if self.is_up() and self.is_connected:
                try:
                    await self.publish()
                except RedisError as error:
                    self.voice.error(f"Failed to cache prices: {error}")
                steps += 1
                if steps % _TELL == 0:
                    self.voice.info(f"Published {_TELL * len(self.market.sizes)} price updates")
            await asyncio.sleep(1.0)

    async def publish(self) -> None:
        """Write every price and tell who listens."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for symbol, (bid_size, ask_size) in self.market.sizes.items():
                quote = self.market.quote(symbol)
                at = now_text()
                price = {
                    "symbol": symbol, "bid": f"{quote.bid:.2f}", "ask": f"{quote.ask:.2f}",
                    "mid": f"{quote.mid:.3f}", "bid_size": bid_size, "ask_size": ask_size,
                    "timestamp": at, "exchange": self._rng.choice("VQNZ"),
                }  # fmt: skip
                pipe.set(f"price:{symbol}", json.dumps(price), ex=PRICE_SECONDS)
                event = {
                    "event_type": "price.updated",
                    "symbol": symbol,
                    "price": price["mid"],
                    "timestamp": at,
                }
                pipe.publish(f"price.updated.{symbol}", json.dumps(event))
            await pipe.execute()

    async def connect(self, is_connected: bool) -> None:
        """The stream breaks, or comes back."""
        self.is_connected = is_connected
        if is_connected:
            self.voice.info("WebSocket connected, resubscribed to all symbols")
        else:
            self.reconnects += 1
            self.voice.error("WebSocket connection lost: keepalive ping timeout; reconnecting")


def market_data_routes(service: MarketData, authority: Authority) -> list[Route]:
    api = _Api(service, authority)
    return [
        Route("/", api.root),
        Route("/health", api.health),
        Route("/metrics", metrics),
        Route("/metrics/", api.metrics),
        Route("/api/v1/subscriptions", api.subscriptions),
        Route("/api/v1/subscriptions/stats", api.stats),
        Route("/api/v1/subscribe", api.subscribe, methods=["POST"]),
        Route("/api/v1/market-data/{symbol}/latest-quote", api.quote),
    ]


class _Api:
    def __init__(self, service: MarketData, authority: Authority) -> None:
        self._service = service
        self._authority = authority

    async def root(self, _request: Request) -> Response:
        return Json({"service": "market_data_service", "version": "0.1.0", "status": "running"})

    async def health(self, _request: Request) -> Response:
        service = self._service
        return Json(
            {"status": "healthy" if service.is_connected else "degraded", "service": "market_data_service",
             "websocket_connected": service.is_connected, "subscribed_symbols": len(service.market.sizes),
             "reconnect_attempts": service.reconnects, "max_reconnect_attempts": 10, "data_feed": "iex"}
        )  # fmt: skip

    async def metrics(self, _request: Request) -> Response:
        service = self._service
        text = (
            "# TYPE market_data_websocket_connection_status gauge\n"
            f"market_data_websocket_connection_status {int(service.is_connected)}\n"
            "# TYPE market_data_subscribed_symbols_current gauge\n"
            f"market_data_subscribed_symbols_current {len(service.market.sizes)}\n"
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def subscriptions(self, _request: Request) -> Response:
        symbols = sorted(self._service.market.sizes)
        return Json({"symbols": symbols, "count": len(symbols)})

    async def stats(self, _request: Request) -> Response:
        count = len(self._service.market.sizes)
        return Json(
            {"auto_subscription_enabled": True, "total_subscriptions": count, "manual_subscriptions": 0,
             "position_subscriptions": count, "last_position_sync": now_text()}
        )  # fmt: skip

    async def subscribe(self, request: Request) -> Response:
        await self._authority.api(request, "market_data")
        symbols = [str(one).upper() for one in (await body_of(request, {"symbols": list}))["symbols"]]
        return Json({"message": f"Subscribed to {len(symbols)} symbols", "subscribed_symbols": symbols}, 201)

    async def quote(self, request: Request) -> Response:
        await self._authority.api(request, "market_data")
        symbol = request.path_params["symbol"].upper()
        if symbol not in self._service.market.sizes:
            return Json({"detail": f"No quote for {symbol}"}, 404)
        quote = self._service.market.quote(symbol)
        return Json({"symbol": symbol, "bid": quote.bid, "ask": quote.ask, "timestamp": now_text()})
