"""Procedures on their way to their verdicts, and how long each may still go on when its room is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from backends.model.procedure import RiskClass, Run

LONGEST: Final = 1800.0
"""Seconds what is no stop may go on after its room was closed: far longer than its steps may take."""


class Running(Struct, frozen=True):
    operation: str
    risk: RiskClass
    task: asyncio.Task[Run]

    def ends_with_room(self, grace: float) -> bool:
        """Whether it sends nothing more once its room is closed. Losing the terminal stops no stop and leaves
        nothing half-done that was confirmed; but what is half-way to trading stays halted."""
        return self.risk is RiskClass.RESTORE or (grace <= 0 and self.risk is not RiskClass.STOP)


async def let_end(running: Sequence[Running], grace: float) -> None:
    """Wait for the verdicts, of stops at most ``grace`` seconds; what has none by then is cancelled."""
    stops = [each.task for each in running if each.risk is RiskClass.STOP]
    others = [each.task for each in running if each.risk is not RiskClass.STOP]
    for tasks, limit in ((stops, grace), (others, LONGEST if grace > 0 else 0.0)):
        if tasks:
            await asyncio.wait(tasks, timeout=limit)
    for task in (*stops, *others):
        task.cancel()
    await asyncio.gather(*stops, *others, return_exceptions=True)
