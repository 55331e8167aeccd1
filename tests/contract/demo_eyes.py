"""Looking at a running demo over its own sockets, as anybody outside could."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import docker
import httpx
import psycopg
import redis

from tests.servers.demo import DemoWorld

KILL = "kill_switch:state"


class Eyes:
    """Clients of one demo."""

    def __init__(self, world: DemoWorld) -> None:
        self.world = world

    @cached_property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.world["redis"], decode_responses=True, socket_timeout=5.0)

    @cached_property
    def docker(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.world["docker"], version="1.41", timeout=10)

    def ask(self, source: str, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.world["http"][source] + path, timeout=3.0, **options)

    def tell(self, source: str, path: str, body: object = None, **options: Any) -> httpx.Response:
        return httpx.post(self.world["http"][source] + path, json=body, timeout=5.0, **options)

    def answers(self, source: str, path: str = "/health") -> bool:
        try:
            self.ask(source, path)
        except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
            return False
        return True

    def order(self, **more: Any) -> httpx.Response:
        """Send the gateway an order that would rest far from the market."""
        order = {"symbol": "AAPL", "side": "buy", "qty": 1, "order_type": "limit", "limit_price": 20.0}
        return self.tell("gateway", "/api/v1/orders", {**order, **more})

    def kill(self) -> Mapping[str, Any] | None:
        raw = self.redis.get(KILL)
        return None if raw is None else json.loads(raw)

    def kill_word(self) -> str | None:
        kill = self.kill()
        return None if kill is None else str(kill["state"])

    def state(self, service: str) -> Mapping[str, Any]:
        """Docker's ``State`` of a service's container, with its restart count."""
        said = self.docker.inspect_container(f"trading_platform_{service}")
        return {**said["State"], "RestartCount": said["RestartCount"]}

    def health(self, service: str) -> str:
        return str(self.state(service)["Health"]["Status"])

    def log(self, service: str) -> str:
        return self.docker.logs(f"trading_platform_{service}").decode()

    def sql(self, text: str) -> Any:
        """The first value of a query."""
        with psycopg.connect(self.world["postgres"], connect_timeout=3) as link:
            row = link.execute(text.encode()).fetchone()
        return row[0] if row else None

    def fault(self, name: str, is_on: bool) -> httpx.Response:
        return httpx.post(f"{self.world['control']}/faults/{name}", json={"on": is_on}, timeout=15.0)

    def close(self) -> None:
        self.docker.close()
        self.redis.close()
