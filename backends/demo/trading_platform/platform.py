"""The whole platform: storage, services, containers and what moves them, wired together."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from backends.demo.course import begin, end
from backends.demo.database import Database
from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.container import Container
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LogStore
from backends.demo.faults import Faults
from backends.demo.port import HttpPort
from backends.demo.postgres_server import PostgresServer
from backends.demo.promql import Store, Vector
from backends.demo.redis_front import RedisFront
from backends.demo.redis_server import RedisServer
from backends.demo.service import HttpService
from backends.demo.storage import PostgresWork, RedisWork
from backends.demo.trading_platform.answers import service_app
from backends.demo.trading_platform.broker import PaperBroker, Report
from backends.demo.trading_platform.chatter import chatter, write_history
from backends.demo.trading_platform.checkout import make_checkout
from backends.demo.trading_platform.containers import SERVICES, container_specs
from backends.demo.trading_platform.faults import FAULTS
from backends.demo.trading_platform.flood import RATE
from backends.demo.trading_platform.gateway import Gateway
from backends.demo.trading_platform.gateway_app import gateway_routes
from backends.demo.trading_platform.gateway_auth import Authority
from backends.demo.trading_platform.gateway_controls import control_routes
from backends.demo.trading_platform.kill_switch import KillSwitch
from backends.demo.trading_platform.ledger import Ledger
from backends.demo.trading_platform.loki import Loki
from backends.demo.trading_platform.market import Market
from backends.demo.trading_platform.market_data import MarketData, market_data_routes
from backends.demo.trading_platform.orchestrator import Orchestrator, orchestrator_routes
from backends.demo.trading_platform.prometheus import Prometheus
from backends.demo.trading_platform.seed import holdings, seed_database, seed_redis
from backends.demo.trading_platform.service_token import ServiceTokens
from backends.demo.trading_platform.sign_in import keep_signed_in, sign_in
from backends.demo.trading_platform.signal_service import SignalService, signal_routes
from backends.demo.trading_platform.small_services import Registry, console_routes, grafana_routes
from backends.demo.trading_platform.troubles import Troubles
from backends.demo.voice import Voice
from backends.model.secret import Secret

ID: Final = "trading-platform"
RECONCILE: Final = 10.0
"""Seconds between two reconciliations, as compose sets them."""
_AGE: Final = 3 * 3600.0
"""Seconds the containers have been running when the demo begins."""
_BROKER_STEP: Final = 0.2

_SOURCES: Final = {
    "gateway": "execution_gateway", "orchestrator": "orchestrator", "signal": "signal_service",
    "market-data": "market_data_service", "registry": "model_registry", "console": "web_console_dev",
    "prometheus": "prometheus", "loki": "loki_server", "grafana": "grafana",
}  # fmt: skip
"""HTTP source of the room: the compose service behind it."""


class Platform:
    """Started by ``start``, ended by ``close``; ``faults`` changes it in between."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed = seed
        self.rng = self._dice("troubles")
        self.flood_rate = RATE
        self._folder = folder
        self._checkout = folder / "checkout"
        self._internal_secret = folder / "internal_token_secret"
        self._id_token = folder / "id_token"
        self.logs = {service: LogStore() for service in SERVICES}
        self._redis_server = RedisServer(folder, lambda line: self.logs["redis"].write([line]))
        self._postgres_server = PostgresServer(folder, lambda line: self.logs["postgres"].write([line]))
        self.front = RedisFront(self._redis_server.socket)
        self.redis = self._redis_server.client(0)
        self._sessions, self._limits = self._redis_server.client(1), self._redis_server.client(2)
        self.database = Database(self._postgres_server.dsn("trader", "trader"))
        self._tasks: list[asyncio.Task[None]] = []
        self._missed: list[Report] = []
        self._build()
        self.engine = Engine(container_specs(self._workloads(), self.logs), _AGE, seed)
        self._docker = HttpPort(engine_app(self.engine), folder / "docker.sock")
        self._troubles = Troubles(self)
        self.faults = Faults(FAULTS, self._troubles.switches())

    def _dice(self, part: str) -> random.Random:
        """Each part has its own, so that what one does leaves the others' course alone."""
        return random.Random(f"{self._seed} {part}")  # noqa: S311 # a world to look at, no secrets

    def _build(self) -> None:
        market = Market(self._dice("market"))
        self.broker = PaperBroker(market, self._dice("broker"), self._deliver, holdings=holdings())
        self.gateway = Gateway(
            self.redis, Ledger(self.database), self.broker, self.voice("execution_gateway", "main")
        )
        self.orchestrator = Orchestrator(
            KillSwitch(self.redis), self.database, self.broker, self._submit,
            self._dice("orchestrator"),
            self.voice("orchestrator", "orchestrator"),
        )  # fmt: skip
        self.market_data = MarketData(
            self.redis, market, self._dice("feed"), self.voice("market_data_service", "alpaca_stream")
        )
        self.signals = SignalService(
            self.database, self._dice("signals"), self.voice("signal_service", "main")
        )
        self.registry = Registry()
        self.tokens = ServiceTokens(self._folder, self.redis)
        self.authority = Authority(self._secret(), self._limits, self.tokens, self.gateway.voice)
        self.prometheus = Prometheus(self.is_up, self._numbers)
        self._services = self._http_services()

    def _secret(self) -> Secret:
        """INTERNAL_TOKEN_SECRET of this demo, also in a file, for whoever wants to sign requests."""
        text = secrets.token_hex(32)
        self._internal_secret.touch(mode=0o600)
        self._internal_secret.write_text(text + "\n")
        return Secret(text)

    def _open_doors(self) -> None:
        """Make what an operator proves an identity with; blocks for a moment."""
        self.tokens.make_keys()
        sign_in(self.tokens.private_key, self._id_token)
        keys = (self.tokens.private_key, self.tokens.public_key)
        make_checkout(self._checkout, self._internal_secret.read_text().strip(), keys)

    def voice(self, service: str, module: str) -> Voice:
        """The log of a service, under the logger its main module has."""
        return Voice(self.logs[service], f"apps.{service}.{module}")

    def is_up(self, service: str) -> bool:
        """Whether a compose service's process runs and, if it has a port, answers there."""
        if service in self._services:
            return self._services[service].is_up
        return self.engine.service(service).state == "running"

    def running(self) -> Sequence[Container]:
        return [one for one in self.engine.containers.values() if one.state == "running"]

    @property
    def addresses(self) -> dict[str, str]:
        """The room's sources, by their id in the stack file."""
        redis = f"redis://127.0.0.1:{self.front.port}"
        return {
            "docker": self._docker.url,
            "redis": f"{redis}/0",
            "redis-sessions": f"{redis}/1",
            "redis-limits": f"{redis}/2",
            "postgres": f"postgresql://127.0.0.1:{self._postgres_server.port}/trader",
            **{source: self._services[service].port.url for source, service in _SOURCES.items()},
            "loki-lines": self._services["loki_server"].port.url,
            "checkout": f"file://{self._checkout}",
        }

    @property
    def credentials(self) -> dict[str, Path]:
        """What an operator's tool signs its requests with."""
        secret = self._internal_secret
        return {
            "gateway": self.tokens.private_key, "gateway-account": secret, "gateway-switch": secret,
        }  # fmt: skip

    async def start(self) -> None:
        """Storage first, then its contents, then the services. Raises StartError."""
        await asyncio.gather(self.engine.boot(("redis", "postgres")), asyncio.to_thread(self._open_doors))
        here = Path(__file__).parent
        schema = "".join((here / name).read_text() for name in ("schema.sql", "schema_console.sql"))
        await self._postgres_server.create("trader", "trader", schema)
        held = self.broker.holdings
        await seed_redis(self.redis, self._sessions, self._limits, held)
        await seed_database(self.database, self._dice("past"), held)
        await self.engine.boot([name for name in SERVICES if name not in ("redis", "postgres")])
        write_history(self.logs, self._dice("log"))
        await self.gateway.reconcile()
        await self.market_data.publish()
        await self._docker.open()
        self._tasks = [
            begin(work)
            for work in (
                self.engine.look_after(),
                self.market_data.keep_streaming(),
                self.signals.keep_generating(tuple(self.broker.market.sizes)),
                self.orchestrator.keep_running(),
                keep_signed_in(self.tokens.private_key, self._id_token),
                self._keep_broking(),
                self._keep_reconciling(),
                chatter(self.logs, self.is_up, self._dice("chatter")),
            )
        ]

    async def close(self) -> None:
        """End everything; what has ended already stays ended."""
        await self._troubles.close()
        await end(*self._tasks)
        await self._docker.close()
        for client in (self.redis, self._sessions, self._limits):
            await client.aclose()
        await self.database.close()
        await self.engine.close()

    def _workloads(self) -> dict[str, Any]:
        return {
            "redis": RedisWork(self._redis_server, self.front),
            "postgres": PostgresWork(self._postgres_server),
            **self._services,
        }

    def _http_services(self) -> dict[str, HttpService]:
        gateway = [
            *control_routes(self.gateway, self.authority),
            *gateway_routes(self.gateway, self.authority),
        ]
        services = {
            "execution_gateway": self._service("execution_gateway", gateway, on_start=self._begin_gateway),
            "orchestrator": self._service(
                "orchestrator",
                orchestrator_routes(self.orchestrator, self.database),
                on_start=self.orchestrator.begin,
            ),
            "signal_service": self._service(
                "signal_service", signal_routes(self.signals), on_start=self.signals.begin
            ),
            "market_data_service": self._service(
                "market_data_service", market_data_routes(self.market_data, self.authority)
            ),
            "model_registry": self._service(
                "model_registry", self.registry.routes(), judge=self.registry.check
            ),
            "web_console_dev": self._service("web_console_dev", console_routes(self.redis)),
            "prometheus": self._service("prometheus", self.prometheus.routes(), is_logged=False),
            "loki_server": self._service("loki_server", Loki(self._lines).routes(), is_logged=False),
            "grafana": self._service("grafana", grafana_routes(), is_logged=False),
        }
        self.orchestrator.is_up = lambda: services["orchestrator"].is_up
        self.orchestrator.signal_answers = self._answers(services["signal_service"])
        self.orchestrator.gateway_answers = self._answers(services["execution_gateway"])
        self.market_data.is_up = lambda: services["market_data_service"].is_up
        self.signals.is_up = lambda: services["signal_service"].is_up
        return services

    def _service(self, name: str, routes: Any, *, is_logged: bool = True, **more: Any) -> HttpService:
        voice = self.voice(name, "main")
        app = service_app(routes, voice)
        return HttpService(voice.hearing(app) if is_logged else app, voice, **more)

    def _answers(self, service: HttpService) -> Any:
        async def answers() -> bool:
            return service.is_up

        return answers

    def _lines(self) -> dict[str, Any]:
        return {service: log.tail(None) for service, log in self.logs.items()}

    async def _begin_gateway(self) -> None:
        await self.gateway.begin()

    async def _submit(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The orchestrator's call to the gateway."""
        if not self.is_up("execution_gateway"):
            raise ConnectionRefusedError("All connection attempts failed")
        return await self.gateway.submit(order)

    async def _deliver(self, report: Report) -> None:
        """The broker's webhook; what the gateway misses it learns by its next reconciliation."""
        if self.is_up("execution_gateway"):
            await self.gateway.on_report(report)
        else:
            self._missed.append(report)

    async def _keep_broking(self) -> None:
        while True:
            await asyncio.sleep(_BROKER_STEP)
            await self.broker.step(_BROKER_STEP)

    async def _keep_reconciling(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE if self.gateway.is_reconciled else 2.0)
            if not self.is_up("execution_gateway"):
                continue
            missed, self._missed = self._missed, []
            for report in missed:
                await self.gateway.on_report(report)
            try:
                await self.gateway.reconcile()
            except psycopg.OperationalError:
                self.gateway.voice.error("Startup reconciliation failed: database unavailable")

    async def _numbers(self) -> Store:
        """Metrics of the services that are up, with the names the platform gives them."""
        gauges: dict[str, float] = {}
        store: dict[str, Vector] = {}
        if self.is_up("execution_gateway"):
            gauges["execution_gateway_dry_run_mode"] = float(self.gateway.dry_run)
        if self.is_up("market_data_service"):
            gauges["market_data_websocket_connection_status"] = float(self.market_data.is_connected)
        if self.is_up("signal_service"):
            gauges["signal_service_model_loaded_status"] = float(self.signals.model is not None)
            # Set once at import, before the client exists, and constant: the platform's own oddities.
            gauges["signal_service_redis_connection_status"] = 0.0
            gauges["signal_service_database_connection_status"] = 1.0
            store["signal_service_signal_generation_duration_seconds_bucket:rate"] = self.signals.buckets()
        store.update({name: [({"__name__": name}, value)] for name, value in gauges.items()})
        return store
