"""What a room asks first when it opens, and when it goes on to the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from backends.board.store import Store
from backends.model.clock import Clock
from backends.model.stack import Stack

LONGEST = 1.0
"""Seconds the first look may take before what is less urgent is begun. That loads more libraries, which would
hold up the first values; a stop pressed meanwhile loads what it needs."""


class FirstLook:
    """Of one stack: what decides about trading, what runs, and the first lines of its logs."""

    def __init__(self, stack: Stack, store: Store, has_lines: Callable[[], bool], clock: Clock) -> None:
        """``has_lines`` says whether a line of the stack's logs can be shown."""
        gates = dict.fromkeys(stack.facts[gate.fact].source for gate in stack.gates)
        switch, *others = gates or [None]
        services = (service.source for service in stack.services)
        # A log's first lines wait for older ones, and the lesser switches can be asked meanwhile.
        order = dict.fromkeys([switch, *services, *others])
        self.sources = [source for source in order if source is not None]
        """Their ids: the main switch, what runs, the other switches."""
        self._store = store
        self._has_lines = has_lines
        self._followed = {service.source for service in stack.services if service.is_followed}
        self._clock = clock

    async def over(self) -> None:
        """Wait until each of them was asked once and a log line can be shown, ``LONGEST`` at most."""
        await self.asked(self.sources, self._has_said_all)

    async def asked(self, sources: Iterable[str], and_is: Callable[[], bool] = lambda: True) -> None:
        """Wait until each of these was asked once and that is so, ``LONGEST`` at most."""
        until = self._clock.now().mono + LONGEST
        wanted = [source for source in sources if source in self._store.board.sources]
        while self._clock.now().mono < until:
            health = self._store.board.sources
            is_asked = all(health[source].is_up is not None for source in wanted)
            if is_asked and and_is():
                return
            await asyncio.sleep(0.02)

    def _has_said_all(self) -> bool:
        """Whether there is a line, or nobody is up who could write one."""
        health = self._store.board.sources
        return self._has_lines() or not any(health[source].is_up for source in self._followed)
