"""The faults a demo can be given, and the switchboard that turns them on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

Switch = Callable[[bool], Awaitable[None]]
"""Turns one fault on or off."""


class Fault(Struct, frozen=True):
    title: str
    """One line for a menu: what is wrong while it is on."""


Catalogue = Mapping[str, Fault]
"""The faults of one stack's demo, by name."""


class UnknownFaultError(Exception):
    """There is no fault of that name; the message lists those there are."""


class Faults:
    """Which faults are on. Switching is one at a time and idempotent."""

    def __init__(self, catalogue: Catalogue, switches: Mapping[str, Switch]) -> None:
        """``switches`` has one for every fault of the catalogue."""
        self._catalogue = catalogue
        self._switches = switches
        self._on: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    def is_on(self, name: str) -> bool:
        return name in self._on

    def table(self) -> list[dict[str, object]]:
        """``name``, ``title`` and ``on`` of every fault, for the menu."""
        return [
            {"name": name, "title": fault.title, "on": name in self._on}
            for name, fault in self._catalogue.items()
        ]

    async def switch(self, name: str, is_on: bool) -> None:
        """Turn one on or off; raises UnknownFaultError."""
        check(self._catalogue, name)
        async with self._one_at_a_time:
            if is_on == (name in self._on):
                return
            (self._on.add if is_on else self._on.discard)(name)
            await self._switches[name](is_on)


def check(catalogue: Catalogue, name: str) -> None:
    """Raises UnknownFaultError for a name that is none of the catalogue's."""
    if name not in catalogue:
        raise UnknownFaultError(f"no such fault: {name!r}; there are {', '.join(catalogue)}")
