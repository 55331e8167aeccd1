"""One bot: it says its state on the bus each second, writes its minutes, reads its controller's file."""

from __future__ import annotations

import csv
import json
import random
import signal
import time
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from backends.demo.dockerd.log_store import LogStore
from backends.demo.hummingbot_desk.generation import Generation

COLUMNS: Final = (
    "ts",
    "bot_variant",
    "exchange",
    "trading_pair",
    "state",
    "regime",
    "mid",
    "equity_quote",
    "base_pct",
    "target_base_pct",
    "spread_pct",
    "net_edge_pct",
    "turnover_today_x",
    "cancel_per_min",
    "orders_active",
    "fills_count_today",
    "fees_paid_today_quote",
    "daily_loss_pct",
    "drawdown_pct",
    "risk_reasons",
    "fee_source",
)
"""Of every generation."""
FILLS: Final = ("ts", "side", "price", "amount_base", "notional_quote", "fee_quote", "order_id")
_HISTORY: Final = 25 * 60
"""Minutes there are when the demo begins."""
_MINUTE: Final = 6.0
"""Seconds between two rows while the demo runs: a minute is long for who looks."""
_TICKS_PAUSED: Final = 30
"""Ticks, of a second each, after which a healthy ping undoes a soft pause of the bus."""


class Bot:
    """The process in a bot's container. A headless one trades by itself; at the prompt of another somebody
    types start as soon as it is there, unless it is left alone."""

    def __init__(
        self, name: str, generation: Generation, folder: Path, redis: Redis, log: LogStore, rng: random.Random
    ) -> None:
        self.name = name
        self.controller = generation.bots[name].controller
        self.connector = generation.bots[name].connector
        self._is_headless = generation.bots[name].is_headless
        self._is = generation
        self._data = folder / "data" / name
        self._minutes = self._data / "logs" / "epp_v24" / f"{name}_a"
        self._columns = (*COLUMNS, *generation.columns)
        self._redis, self._log, self._rng = redis, log, rng
        self.is_up = False
        """Its strategy runs. Its container may, without."""
        self.is_defiant = False
        """Deaf to its file and the bus."""
        self.reads_file = True
        self.is_connected = True
        """Whether its connector is ready: else it takes no order of the bus."""
        self.reasons = ""
        self.orders = 0
        self.loss = 0.003
        self.fills = 0
        self.told: deque[tuple[int, str]] = deque(maxlen=1000)
        """The newest lines of its own log, with nanoseconds."""
        self._has_process = False
        self._is_left_alone = False
        self._ran = False
        self._is_manual = False
        self._is_idle = False
        self._paused = 0.0
        self._killed = False
        self._broke_at = 0.0
        self._next_minute = 0.0
        self._mid = 68_000.0

    def prepare(self, past: Mapping[int, Mapping[str, str]]) -> None:
        """Its folders and the minutes of a day; ``past`` has, by minutes ago, what was otherwise then."""
        conf = self._data / "conf"
        logs = self._data / "logs"
        for part in (conf / "controllers", conf / "scripts", conf / "connectors", self._minutes):
            part.mkdir(parents=True)
        if self._is.has_heartbeat:
            (logs / "heartbeat").mkdir()
            (logs / "recovery").mkdir()
        (logs / "errors.log").touch()
        now = time.time()
        with (self._minutes / "minute.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, self._columns, extrasaction="ignore")
            rows.writeheader()
            for minute in range(_HISTORY, 0, -1):
                is_paused = minute % 97 < 4
                row = self._row(now - minute * 60, "soft_pause" if is_paused else "running", 2)
                rows.writerow({**row, **past.get(minute, {})})
        with (self._minutes / "fills.csv").open("w", newline="") as file:
            fills = csv.DictWriter(file, FILLS)
            fills.writeheader()
            for hour in range(24, 0, -1):
                fills.writerow(self._fill(now - hour * 3600))

    async def start(self) -> None:
        self._has_process = True
        if not self._is_headless:
            # A full screen, which says nothing to who reads lines.
            self._log.write([b"\x1b[?25l\x1b[2J\x1b[1;1H\x1b[7m Hummingbot \x1b[0m\x1b[40;1H>>> "])
        if self._is_headless or not self._is_left_alone:
            self._begin()

    async def stop(self, how: signal.Signals) -> None:
        self._end(is_orderly=how != signal.SIGKILL)
        self._has_process = False

    def freeze(self, is_on: bool) -> None:
        if is_on:
            self._ran = self.is_up
        self.is_up = self._ran and not is_on

    def leave_alone(self, is_on: bool) -> None:
        """Somebody types stop at its prompt and leaves it, or comes back and types start."""
        self._is_left_alone = is_on
        if is_on and not self._is_headless:
            self._end(is_orderly=True)
        elif self._has_process and not self.is_up:
            self._begin()

    def _begin(self) -> None:
        self.is_up, self._paused, self._killed, self._is_manual = True, 0.0, False, False
        if self._is.has_banner:
            self._say("script_strategy_base", f"EPP v2.4 STARTUP bot={self.name} mode=PAPER")
        self._say("script_strategy_base", "Preflight validation passed.")
        self._say("bitget_perpetual_derivative", "Installed Bitget WS stability patch")

    def _end(self, *, is_orderly: bool) -> None:
        if self.is_up and is_orderly:
            self._say("trading_core", "Stopping strategy, cancelling executors")
        self.is_up, self.orders = False, 0
        if self._is.has_heartbeat and is_orderly:
            self._write_files()

    async def check(self) -> tuple[bool, str]:
        return self.is_up, "" if self.is_up else "minute.csv is older than 300 s"

    @property
    def state(self) -> str:
        if self.is_defiant:
            return "running"
        if self._paused and not self._is_manual:
            return "soft_pause"  # it hides a hard stop
        return "hard_stop" if self._is_manual or self._killed or self.reasons else "running"

    async def tick(self) -> None:
        """One second of its life."""
        if not self.is_up:
            return
        if self.reads_file:
            self._read_file()
        if self.reasons and time.monotonic() - self._broke_at > self._is.recovers_after:
            self.reasons = ""
        state = self.state
        self.orders = 2 if state == "running" and not self._is_idle else 0
        self._mid *= 1 + self._rng.uniform(-2e-5, 2e-5)
        await self._put("hb.market_data.v1", self._snapshot(state), 50_000)
        # A kill by the bus holds for one tick, a pause until a few healthy pings.
        self._killed, self._paused = False, max(0.0, self._paused - 1)
        if self._is.has_heartbeat:
            self._write_files()
        if time.monotonic() >= self._next_minute:
            self._next_minute = time.monotonic() + _MINUTE
            self._append(state)
            if self._is.has_telemetry:
                await self._put("hb.bot_telemetry.v1", self._telemetry(state), 100_000)

    def apply(self, action: str) -> bool:
        """An intent of the bus for this bot's controller; False for an action it does not know."""
        match action:
            case "soft_pause":
                self._paused = float("inf") if self._is.is_pause_kept else _TICKS_PAUSED
            case "kill_switch":
                self._killed = True
            case "resume":
                self._paused = 0.0
            case _:
                return False
        return True

    def break_limit(self, is_on: bool) -> None:
        """It loses more than it may in a day, or has not after all."""
        self.reasons, self.loss = ("daily_loss_hard_limit", 0.0172) if is_on else ("", 0.003)
        self._broke_at = time.monotonic()

    def cancel(self, failing: int = 0) -> tuple[list[str], list[str]]:
        """What the exchange cancels when it is asked to, and what it does not, whatever the bot knows of."""
        found = [f"{self.name}-{number}" for number in range(max(failing, self.orders))]
        self.orders = 0
        return found[failing:], found[:failing]

    def _read_file(self) -> None:
        path = self._data / "conf" / "controllers" / f"{self.controller}.yml"
        try:
            said = YAML(typ="safe").load(path.read_text())
        except (OSError, YAMLError):
            return
        if not isinstance(said, dict):
            return  # written in place, and not yet whole
        is_manual = bool(said.get("manual_kill_switch"))
        if is_manual and not self._is_manual and not self.is_defiant:
            self._say("v2_with_controllers", f"Manual cash out for controller {self.controller}.")
        if self._is_manual and not is_manual:
            self._say("v2_with_controllers", f"Restarting controller {self.controller}.")
        self._is_manual, self._is_idle = is_manual, bool(said.get("no_trade"))

    async def _put(self, stream: str, said: dict[str, Any], longest: int) -> None:
        await self._redis.xadd(stream, {"payload": json.dumps(said)}, maxlen=longest, approximate=True)

    def _write_files(self) -> None:
        now = datetime.now(UTC).isoformat()
        files: dict[str, dict[str, Any]] = {
            "heartbeat/strategy_heartbeat.json": {
                "preflight_checked": True,
                "preflight_failed": False,
                "is_stop_triggered": not self.is_up,
                "tick_circuit_breaker_tripped": False,
            },
            "recovery/open_orders_latest.json": {"orders_count": self.orders, "orders": []},
            "recovery/startup_sync_latest.json": {"status": "pass", "errors": []},
        }
        for name, said in files.items():
            (self._data / "logs" / name).write_text(json.dumps({"ts_utc": now, **said}))

    def _telemetry(self, state: str) -> dict[str, Any]:
        told = ("regime", "daily_loss_pct", "drawdown_pct", "fills_count_today", "fee_source", "risk_reasons")
        row = self._row(time.time(), state, self.orders)
        return {
            **envelope("bot_minute_snapshot", "hb_bridge"),
            "instance_name": self.name,
            "controller_id": self.controller,
            "state": state,
            **{column: row[column] for column in told},
        }

    def _snapshot(self, state: str) -> dict[str, Any]:
        return {
            **envelope("market_snapshot", "hb_bridge"),
            "instance_name": self.name,
            "controller_id": self.controller,
            "connector_name": self.connector,
            "trading_pair": "BTC-USDT",
            "mid_price": round(self._mid, 2),
            "equity_quote": 10_000.0,
            "base_pct": 0.5,
            "target_base_pct": 0.5,
            "spread_pct": 0.0004,
            "net_edge_pct": 0.0001,
            "turnover_x": 1.2,
            "state": state,
            "extra": {"regime": "neutral"},
        }

    def _row(self, at: float, state: str, orders: int) -> dict[str, Any]:
        return {
            "ts": datetime.fromtimestamp(at, UTC).isoformat(),
            "bot_variant": "a",
            "bot_mode": "paper",
            "exchange": self.connector,
            "trading_pair": "BTC-USDT",
            "state": state,
            "regime": "neutral",
            "mid": f"{self._mid:.2f}",
            "equity_quote": "10000.0",
            "base_pct": "0.50",
            "target_base_pct": "0.50",
            "spread_pct": "0.0004",
            "net_edge_pct": "0.0001",
            "turnover_today_x": "1.2",
            "cancel_per_min": str(self._rng.randrange(4, 18)),
            "orders_active": orders,
            "fills_count_today": self.fills,
            "fees_paid_today_quote": "0E+2",
            "daily_loss_pct": f"{self.loss:.5f}",
            "drawdown_pct": "0.0041",
            "risk_reasons": self.reasons,
            "fee_source": "api:bitget:user_fee_query",
            "position_base": "0.07",
            "min_base_pct": "0.15",
            "max_base_pct": "0.90",
        }

    def _fill(self, at: float) -> dict[str, Any]:
        self.fills += 1
        return {
            "ts": datetime.fromtimestamp(at, UTC).isoformat(),
            "side": self._rng.choice(("buy", "sell")),
            "price": f"{self._mid:.2f}",
            "amount_base": "0.0005",
            "notional_quote": "34.0",
            "fee_quote": "0.0068",
            "order_id": f"{self.name}-{self.fills}",
        }

    def _append(self, state: str) -> None:
        now = time.time()
        with (self._minutes / "minute.csv").open("a", newline="") as file:
            minutes = csv.DictWriter(file, self._columns, extrasaction="ignore")
            minutes.writerow(self._row(now, state, self.orders))
        if state == "running":
            with (self._minutes / "fills.csv").open("a", newline="") as file:
                csv.DictWriter(file, FILLS).writerow(self._fill(now))

    def _say(self, logger: str, message: str, level: str = "INFO") -> None:
        """To its own file with date and level, and by a headless one to Docker without."""
        now = datetime.now(UTC)
        if self._is_headless:
            self._log.write([f"{now:%H:%M:%S} - {logger} - {message}".encode()])
        stamp = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
        line = f"{stamp} - 1 - {logger} - {level} - {message}"
        self.told.append((time.time_ns(), line))
        path = self._data / "logs" / f"logs_{self.controller}.log"
        if path.parent.is_dir():
            with path.open("a") as file:
                file.write(f"{line}\n")


def envelope(event_type: str, producer: str) -> dict[str, Any]:
    """The head of every payload on the bus."""
    return {
        "schema_version": "1.0",
        "event_type": event_type,
        "event_id": str(uuid.uuid4()),
        "correlation_id": None,
        "producer": producer,
        "timestamp_ms": int(time.time() * 1000),
    }
