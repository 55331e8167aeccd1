"""The faults the demo can be given, and the switchboard that turns them on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

Switch = Callable[[bool], Awaitable[None]]
"""Turns one fault on or off."""


@dataclass(frozen=True, slots=True)
class Fault:
    title: str
    """One line for a menu: what is wrong while it is on."""


FAULTS: Final[Mapping[str, Fault]] = {
    "crash-loop": Fault("The signal service crashes at every start and is restarted again and again"),
    "unhealthy": Fault("The model registry runs, but its health check fails"),
    "gateway-down": Fault("The execution gateway is killed: no orders, nobody keeps them in step"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the platform still reaches it"),
    "postgres-down": Fault("PostgreSQL is stopped: no orders, no positions, no history"),
    "kill-key-missing": Fault("The kill switch's key is gone from Redis"),
    "halt-not-obeyed": Fault("A halt is acknowledged, then undone at once; orders go on"),
    "halt-ignored": Fault("The kill switch stays engaged, but the gateway goes on taking orders"),
    "drawdown": Fault("Losing trades take today's realised loss past 5,000 USD"),
    "stale-prices": Fault("The price stream is disconnected: prices stand still and grow old"),
    "quarantine": Fault("An order nobody knows was found at the broker: TSLA is quarantined"),
    "auth-enforced": Fault("The gateway demands proof from every caller (API_AUTH_MODE=enforce)"),
    "log-flood": Fault("Every container writes as fast as it can: 10,000 lines a second together"),
}


class UnknownFaultError(Exception):
    """There is no fault of that name; the message lists those there are."""


class Faults:
    """Which faults are on. Switching is one at a time and idempotent."""

    def __init__(self, switches: Mapping[str, Switch]) -> None:
        self._switches = switches
        self._on: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    def is_on(self, name: str) -> bool:
        return name in self._on

    def table(self) -> list[dict[str, object]]:
        """``name``, ``title`` and ``on`` of every fault, for the menu."""
        return [
            {"name": name, "title": fault.title, "on": name in self._on} for name, fault in FAULTS.items()
        ]

    async def switch(self, name: str, is_on: bool) -> None:
        """Turn one on or off; raises UnknownFaultError."""
        check(name)
        async with self._one_at_a_time:
            if is_on == (name in self._on):
                return
            (self._on.add if is_on else self._on.discard)(name)
            await self._switches[name](is_on)


def check(name: str) -> None:
    """Raises UnknownFaultError for a name that is none."""
    if name not in FAULTS:
        raise UnknownFaultError(f"no such fault: {name!r}; there are {', '.join(FAULTS)}")
