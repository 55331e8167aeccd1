"""Where the Docker tests run: a real engine, and the demo's, which must be indistinguishable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import pytest

from backends.model.fact import SourceError
from backends.model.port import LogSink
from backends.model.service import Service
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.readers.docker import DockerServiceReader

T = TypeVar("T")

PLACES = ("engine", "facade")


@dataclass
class Place:
    """An engine with three containers of one project that the tests need."""

    url: str
    healthy: str
    unchecked: str
    """Runs and has no health check."""
    chatty: str
    """Prints a line now and then."""
    client: Any
    """A ``docker.DockerClient`` to act with."""

    def specs(self, *more: str, only: Sequence[str] | None = None) -> list[ServiceSpec]:
        """Specs of the given containers, each named after its container."""
        names = only if only is not None else (self.healthy, self.unchecked, self.chatty, *more)
        return [spec(name) for name in names]


def find_place(which: str, request: pytest.FixtureRequest) -> Place:
    """The place of that name, its server started."""
    if which == "engine":
        engine = request.getfixturevalue("docker_engine")
        return Place(engine.url, "cr-healthy", "cr-nocheck", "cr-chatty", engine.client)
    import docker

    url = request.getfixturevalue("demo_world")["docker"]
    client = docker.DockerClient(base_url=url, version="1.41", timeout=20)
    request.addfinalizer(client.close)
    stem = "trading_platform_"
    return Place(url, f"{stem}redis", f"{stem}prometheus", f"{stem}execution_gateway", client)


def source(url: str, deadline: float = 10.0) -> Source:
    return Source("docker", SourceKind.DOCKER, "Docker", url, every=1.0, deadline=deadline)


def spec(name: str, *match: str, is_followed: bool = True) -> ServiceSpec:
    return ServiceSpec(name, match or (name,), "a part", "docker", is_followed=is_followed)


@asynccontextmanager
async def reading(
    url: str,
    specs: Sequence[ServiceSpec],
    *,
    deadline: float = 10.0,
    poke: Callable[[], None] | None = None,
    logs: LogSink | None = None,
) -> AsyncIterator[DockerServiceReader]:
    """A reader that is closed in the end."""
    reader = DockerServiceReader(source(url, deadline), specs, poke=poke, logs=logs)
    try:
        yield reader
    finally:
        await reader.close()


async def poll_until(
    reader: DockerServiceReader,
    is_so: Callable[[Mapping[str, Service | None]], T],
    seconds: float = 12.0,
    what: str = "it",
    forgive: bool = False,
) -> T:
    """Poll as the engine does until ``is_so`` answers truly; that answer. ``forgive`` failures meanwhile."""
    until = monotonic() + seconds
    seen: object = None
    while True:
        try:
            seen = services = await reader.services()
            if answer := is_so(services):
                return answer
        except SourceError as error:
            if not forgive:
                raise
            seen = error
        assert monotonic() < until, f"{what} did not happen in {seconds} s; last seen: {seen}"
        await asyncio.sleep(0.1)
