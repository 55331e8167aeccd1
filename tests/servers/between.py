"""Recording proxies between the room and everything of a demo that could be written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers.demo import DemoWorld
from tests.servers.recorder import Asked, Recorder, record_http, record_redis


@dataclass
class Between:
    """A config file that leads to the demo through recorders, and what they saw."""

    config: Path
    redis: Recorder
    docker: Recorder
    http: dict[str, Recorder]

    @property
    def asked(self) -> list[Asked]:
        return [one for recorder in self._all for one in list(recorder.asked)]

    @property
    def writes(self) -> list[Asked]:
        return [one for one in self.asked if one.is_write]

    @property
    def _all(self) -> list[Recorder]:
        return [self.redis, self.docker, *self.http.values()]

    def stop(self) -> None:
        for recorder in self._all:
            recorder.stop()


@contextmanager
def between(world: DemoWorld, folder: Path) -> Iterator[Between]:
    """Recorders before every address of the demo's config but PostgreSQL, for which there is no writer."""
    text = world.config.read_text()
    redis_port = urlsplit(world["redis"]).port
    assert redis_port is not None
    redis = record_redis(redis_port)
    text = text.replace(f"redis://127.0.0.1:{redis_port}", f"redis://127.0.0.1:{redis.port}")
    socket = world["docker"].removeprefix("unix://")
    docker = record_http(socket, str(folder / "docker.sock"))
    text = text.replace(f'"unix://{socket}"', f'"unix://{docker.path}"')
    http = {}
    for name, url in [*_addresses(world["http"]), ("control", world["control"])]:
        port = urlsplit(url).port
        assert port is not None
        http[name] = record_http(("127.0.0.1", port))
        text = text.replace(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{http[name].port}")
    config = folder / "recorded.toml"
    config.write_text(text)
    it = Between(config, redis, docker, http)
    try:
        yield it
    finally:
        it.stop()


def journal(state_dir: Path) -> list[dict[str, Any]]:
    """Every journal record below the folder, in order."""
    return [
        json.loads(line)
        for path in sorted(state_dir.rglob("*.jsonl"))
        for line in path.read_text().splitlines()
        if line.strip()
    ]


def _addresses(http: Any) -> list[tuple[str, str]]:
    return sorted(http.items()) if isinstance(http, dict) else [("http", str(http))]
