"""The engine: its containers by name and id, and the loop that runs their health checks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Final

from backends.demo.dockerd.container import Container
from backends.demo.dockerd.events import Events
from backends.demo.dockerd.meter import Meter
from backends.demo.dockerd.spec import ContainerSpec
from backends.demo.dockerd.stamps import SECOND

LOOK: Final = 0.5
"""Seconds between two looks for health checks that are due."""


class NoSuchContainerError(Exception):
    """The message is Docker's."""


class Engine:
    def __init__(self, specs: Iterable[ContainerSpec], age: float, seed: int) -> None:
        """Containers that were created ``age`` seconds ago."""
        self.events = Events()
        rng = random.Random(seed)  # noqa: S311 # a world to look at, no secrets
        self._created = time.time_ns() - int(age * SECOND)
        self.containers = {
            spec.name: Container(spec, self.events, Meter(spec.load, rng), self._created) for spec in specs
        }

    def service(self, name: str) -> Container:
        """The container of a compose service."""
        return next(one for one in self.containers.values() if one.spec.service == name)

    def find(self, reference: str) -> Container:
        """By name, id or the beginning of one. Raises NoSuchContainerError."""
        named = self.containers.get(reference.removeprefix("/"))
        if named is not None:
            return named
        matches = [one for one in self.containers.values() if reference and one.spec.id.startswith(reference)]
        if len(matches) != 1:
            raise NoSuchContainerError(f"No such container: {reference}")
        return matches[0]

    async def boot(self, services: Iterable[str]) -> None:
        """These compose services run, and have for a while."""
        started = self._created + 4 * SECOND
        await asyncio.gather(*(self.service(name).boot(started) for name in services))

    async def look_after(self) -> None:
        """Run health checks until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            for container in self.containers.values():
                await container.look_after(now)

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self.containers.values()))
