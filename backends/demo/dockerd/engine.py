"""The engine: its containers by name and id, and the loop that runs their health checks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from backends.demo.dockerd.container import ConflictError, Container
from backends.demo.dockerd.events import Events
from backends.demo.dockerd.meter import Meter
from backends.demo.dockerd.spec import ContainerSpec
from backends.demo.dockerd.stamps import SECOND
from backends.demo.dockerd.store import Store

LOOK: Final = 0.5
"""Seconds between two looks for health checks that are due."""


class NoSuchContainerError(Exception):
    """The message is Docker's."""


class Engine:
    def __init__(self, specs: Iterable[ContainerSpec], age: float, seed: int) -> None:
        """Containers that were created ``age`` seconds ago."""
        self.events = Events()
        self._rng = random.Random(seed)  # noqa: S311 # a world to look at, no secrets
        self._created = time.time_ns() - int(age * SECOND)
        self.containers = {
            spec.name: Container(spec, self.events, Meter(spec.load, self._rng), self._created)
            for spec in specs
        }
        self.on_networks: Callable[[Container], object] = lambda _container: None
        """Told when a container was connected to a network, or cut off from one."""
        self.store = Store(self._created)
        for container in self.containers.values():
            self.store.take(container)

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

    async def add(self, spec: ContainerSpec) -> None:
        """Make another container, and start it."""
        container = Container(spec, self.events, Meter(spec.load, self._rng), time.time_ns())
        self.containers[spec.name] = container
        self.store.take(container)
        self.events.tell(spec, "create")
        await container.start()

    def remove(self, container: Container) -> None:
        """Forget a container that does not run. Raises ConflictError for one that does."""
        if container.is_running:
            raise ConflictError(
                f"You cannot remove a running container {container.spec.id}. Stop the container before "
                "attempting removal or force remove"
            )
        self.events.tell(container.spec, "destroy")
        del self.containers[container.spec.name]

    async def boot(self, services: Iterable[str]) -> None:
        """These compose services run, and have for a while."""
        started = self._created + 4 * SECOND
        boots = [self.service(name).boot(started) for name in services]
        # All come to their end first: what still starts cannot be closed.
        for error in await asyncio.gather(*boots, return_exceptions=True):
            if error is not None:
                raise error

    async def look_after(self) -> None:
        """Run health checks until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            for container in self.containers.values():
                await container.look_after(now)

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self.containers.values()))
