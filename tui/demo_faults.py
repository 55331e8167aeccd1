"""The running demo's faults for the fault menu; the HTTP client loads and works in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backends.demo.remote import DemoError, FaultState, list_faults, switch_fault

FAILURES: tuple[type[Exception], ...] = (DemoError,)


class DemoFaults:
    """The faults of the demo whose control address is ``control``. Raises DemoError."""

    def __init__(self, control: str) -> None:
        self._control = control

    async def list(self) -> Sequence[FaultState]:
        return await asyncio.to_thread(self._ask)

    async def switch(self, name: str, is_on: bool) -> Sequence[FaultState]:
        return await asyncio.to_thread(self._ask, name, is_on)

    def _ask(self, name: str | None = None, is_on: bool = False) -> Sequence[FaultState]:
        import httpx  # noqa: PLC0415  70 ms that only a demo pays

        async def ask() -> Sequence[FaultState]:
            async with httpx.AsyncClient() as client:
                if name is None:
                    return await list_faults(client, self._control)
                return await switch_fault(client, self._control, name, is_on)

        return asyncio.run(ask())
