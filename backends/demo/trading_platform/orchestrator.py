"""The orchestrator: runs from signals to orders, and a kill-switch API that asks nobody who they are."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backends.demo.database import Database
from backends.demo.trading_platform.answers import InvalidError, Json, body_of, fail, metrics
from backends.demo.trading_platform.broker import PaperBroker
from backends.demo.trading_platform.gateway import RefusedError
from backends.demo.trading_platform.kill_switch import KillSwitch, MissingStateError, now_text
from backends.demo.trading_platform.kill_switch_api import KillSwitchApi
from backends.demo.voice import Voice

STRATEGY: Final = "alpha_baseline"
PAUSE: Final = 6.0
"""Seconds between two runs."""
_FIRST: Final = 1.0
_BETWEEN_ORDERS: Final = (0.8, 2.4)
_WANTED: Final = (3_000.0, 12_000.0)
"""Dollars of one symbol the strategy wants."""
_RESTING_QTY: Final = 5
_RESTING: Final = 0.3
"""Share of orders that wait at a limit."""

Submit = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
Answers = Callable[[], Awaitable[bool]]


class BlockedError(Exception):
    """A run does not start; ``detail`` is what the caller is told."""

    def __init__(self, detail: object) -> None:
        super().__init__(str(detail))
        self.detail = detail


class Orchestrator:
    def __init__(
        self, kill: KillSwitch, database: Database, broker: PaperBroker, submit: Submit, rng: random.Random,
        voice: Voice,
    ) -> None:  # fmt: skip
        """``submit`` is the way to the gateway; it raises RefusedError or OSError."""
        self.kill = kill
        self.voice = voice
        self.unavailable: set[str] = set()
        self.ignores_halt = False
        self.is_up: Callable[[], bool] = lambda: True
        self.signal_answers: Answers
        self.gateway_answers: Answers
        self._db = database
        self._broker = broker
        self._submit = submit
        self._rng = rng

    async def begin(self) -> None:
        """The process starts: an absent kill switch becomes ACTIVE."""
        self.unavailable.clear()
        try:
            await self.kill.construct()
        except RedisError:
            self.unavailable.add("kill_switch")

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be traded."""
        return tuple(self._broker.market.sizes)

    async def keep_running(self) -> None:
        """A run after the other until cancelled, while the container is up."""
        pause = _FIRST
        while True:
            await asyncio.sleep(pause)
            pause = PAUSE * self._rng.uniform(0.6, 1.4)
            if not self.is_up():
                continue
            symbols = self._rng.sample(sorted(self._broker.market.sizes), 4)
            try:
                await self.run(symbols, self._rng.uniform(*_BETWEEN_ORDERS))
            except BlockedError as error:
                self.voice.error(f"Orchestration blocked: {error.detail}")
            except psycopg.OperationalError:
                self.voice.error("Orchestration failed: database unavailable")

    async def run(self, symbols: Sequence[str], pause: float) -> str:
        """One run: asks the kill switch once, then posts its orders. Its id. Raises BlockedError."""
        await self._ask_switch()
        if not await self.signal_answers():
            raise BlockedError("signal service unavailable")
        run_id, began = str(uuid.UUID(int=self._rng.getrandbits(128), version=4)), time.monotonic()
        self.voice.info(f"Starting orchestration run {run_id} for {len(symbols)} symbols")
        await self._db.rows(
            "INSERT INTO orchestration_runs (run_id, strategy_id, as_of_date, status, capital, num_signals,"
            " started_at) VALUES (%s, %s, %s, 'running', 100000, %s, now())",
            run_id, STRATEGY, datetime.now(UTC).date(), len(symbols),
        )  # fmt: skip
        taken = refused = 0
        for number, symbol in enumerate(symbols):
            order = self._order(symbol, run_id)
            is_taken = await self._post(order)
            taken, refused = taken + is_taken, refused + (not is_taken)
            await self._db.rows(
                "INSERT INTO signal_order_mappings (run_id, symbol, rank, client_order_id, order_qty,"
                " order_side, skip_reason) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                run_id, symbol, number + 1, order["client_order_id"], order["qty"], order["side"],
                None if is_taken else "order_rejected",
            )  # fmt: skip
            await asyncio.sleep(pause)
        status = "completed" if not refused else "partial" if taken else "failed"
        await self._db.rows(
            "UPDATE orchestration_runs SET status = %s, num_orders_submitted = %s, num_orders_accepted = %s,"
            " num_orders_rejected = %s, completed_at = now(), duration_seconds = %s WHERE run_id = %s",
            status, len(symbols), taken, refused, round(time.monotonic() - began, 3), run_id,
        )  # fmt: skip
        self.voice.info(f"Orchestration run {run_id} {status}: {taken} accepted, {refused} rejected")
        return run_id

    async def _ask_switch(self) -> None:
        if "kill_switch" in self.unavailable:
            raise BlockedError({"error": "kill_switch_unavailable", "message": "restart this process"})
        try:
            state = await self.kill.status()
        except RedisError:
            raise BlockedError({"error": "kill_switch_unavailable", "message": "Redis is down"}) from None
        except MissingStateError:
            self.unavailable.add("kill_switch")
            raise BlockedError({"error": "kill_switch_unavailable", "message": "state missing"}) from None
        if state["state"] == "ENGAGED" and not self.ignores_halt:
            raise BlockedError(
                {"error": "Kill-switch engaged", "engaged_by": state.get("engaged_by"),
                 "reason": state.get("engagement_reason"), "engaged_at": state.get("engaged_at")}
            )  # fmt: skip

    async def _post(self, order: Mapping[str, Any]) -> bool:
        what = f"{order['symbol']} {order['side']} {order['qty']}"
        try:
            await self._submit(order)
        except RefusedError as error:
            self.voice.error(f"Order rejected by gateway: {what} ({error.status} {error.detail['error']})")
            return False
        except (OSError, MissingStateError, ValueError, LookupError, RedisError) as error:
            self.voice.error(f"Order submission failed: {what} ({error})")
            return False
        self.voice.info(f"Order accepted by gateway: {what} {order['client_order_id']}")
        return True

    def _order(self, symbol: str, run_id: str) -> dict[str, Any]:
        held = self._broker.holdings.get(symbol)
        quote = self._broker.market.quote(symbol)
        gap = int(self._rng.uniform(*_WANTED) / quote.mid) - (held.qty if held else 0)
        qty = min(max(abs(gap), 1), 60)
        side = "buy" if gap > 0 else "sell"
        is_resting = self._rng.random() < _RESTING
        if is_resting:
            # What is reserved for an order that expires is never given back: large ones would fill the limit.
            qty = min(qty, _RESTING_QTY)
        away = 1 - self._rng.uniform(0.0005, 0.003) * (1 if side == "buy" else -1)
        return {
            "client_order_id": f"{uuid.UUID(int=self._rng.getrandbits(128)).hex[:24]}",
            "strategy_id": STRATEGY, "symbol": symbol, "side": side, "qty": qty,
            "order_type": "limit" if is_resting else "market",
            "limit_price": round(quote.mid * away, 2) if is_resting else None, "run_id": run_id,
        }  # fmt: skip


def orchestrator_routes(orchestrator: Orchestrator, database: Database) -> list[Route]:
    api = _Api(orchestrator, database)
    switch = KillSwitchApi(orchestrator.kill, orchestrator.voice, orchestrator.unavailable, None)
    return [
        Route("/", api.root),
        Route("/health", api.health),
        Route("/metrics", metrics),
        Route("/metrics/", api.metrics),
        Route("/api/v1/config", api.config),
        *switch.routes(),
        Route("/api/v1/orchestration/run", api.run, methods=["POST"]),
        Route("/api/v1/orchestration/runs", api.runs),
        Route("/api/v1/orchestration/runs/{id:uuid}", api.one),
    ]


class _Api:
    def __init__(self, orchestrator: Orchestrator, database: Database) -> None:
        self._orchestrator = orchestrator
        self._db = database
        self._runs: set[asyncio.Task[str]] = set()

    async def root(self, _request: Request) -> Response:
        return Json({"service": "orchestrator", "version": "0.1.0", "status": "running"})

    async def health(self, _request: Request) -> Response:
        signal, gateway = (
            await self._orchestrator.signal_answers(),
            await self._orchestrator.gateway_answers(),
        )
        try:
            await self._db.rows("SELECT 1 AS one")
            database = True
        except psycopg.OperationalError:
            database = False
        status = "unhealthy" if not database else "healthy" if signal and gateway else "degraded"
        return Json(
            {"status": status, "service": "orchestrator", "version": "0.1.0", "timestamp": now_text(),
             "signal_service_healthy": signal, "execution_gateway_healthy": gateway,
             "database_connected": database,
             "details": {"capital": 100000.0, "max_position_size": 20000.0, "strategy_id": STRATEGY}}
        )  # fmt: skip

    async def metrics(self, _request: Request) -> Response:
        rows = await self._db.rows(
            "SELECT count(*) FILTER (WHERE status = 'failed') AS bad, count(*) AS n FROM orchestration_runs"
        )
        text = (
            "# TYPE orchestrator_runs_total counter\n"
            f'orchestrator_runs_total{{status="success"}} {rows[0]["n"] - rows[0]["bad"]}\n'
            f'orchestrator_runs_total{{status="error"}} {rows[0]["bad"]}\n'
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def config(self, _request: Request) -> Response:
        return Json(
            {"service": "orchestrator", "version": "0.1.0", "environment": "development", "dry_run": False,
             "alpaca_paper": True, "circuit_breaker_enabled": True, "timestamp": now_text()}
        )  # fmt: skip

    async def run(self, request: Request) -> Response:
        body = await body_of(request, {"symbols": list})
        asked = [str(symbol).upper() for symbol in body["symbols"]]
        if not asked:
            raise InvalidError(("symbols", "expected at least one"))
        # For a symbol that no price comes for there is no signal, and so no order.
        symbols = [symbol for symbol in asked if symbol in self._orchestrator.symbols]
        try:
            run_id = await self._orchestrator.run(symbols, 0.05)
        except BlockedError as error:
            return fail(503, error.detail)
        return await self._answer(run_id)

    async def runs(self, request: Request) -> Response:
        query = request.query_params
        limit, offset = min(int(query.get("limit", 50)), 100), int(query.get("offset", 0))
        rows = await self._db.rows(
            "SELECT * FROM orchestration_runs WHERE (%s::text IS NULL OR status = %s)"
            " ORDER BY started_at DESC LIMIT %s OFFSET %s",
            query.get("status"), query.get("status"), limit, offset,
        )  # fmt: skip
        return Json({"runs": rows, "total": len(rows), "limit": limit, "offset": offset})

    async def one(self, request: Request) -> Response:
        return await self._answer(str(request.path_params["id"]))

    async def _answer(self, run_id: str) -> Response:
        rows = await self._db.rows("SELECT * FROM orchestration_runs WHERE run_id = %s", run_id)
        return Json(rows[0]) if rows else fail(404, f"Run not found: {run_id}")
