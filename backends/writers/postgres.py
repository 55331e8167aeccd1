"""Changing a PostgreSQL database: one statement, one transaction, over a connection nothing else uses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from backends.loading import LOADING
from backends.model.action import Action, SqlStatement
from backends.model.procedure import Receipt, Step
from backends.model.stack import Source
from backends.model.substitution import fill
from backends.writers.answer import failed


class PostgresEffector:
    """Runs parameterised statements, each in a transaction and on a connection of its own. Never retries."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Run it once. FAILED means that it was rolled back; UNKNOWN that it may have been committed."""
        if not isinstance(action, SqlStatement):
            return failed("does not take this kind of step")
        try:
            params = {name: fill(value, values) for name, value in action.params.items()}
        except ValueError as error:
            return failed(str(error))
        session = await asyncio.to_thread(_load)
        receipt: Receipt = await session.run(self._source, action, params, step)
        return receipt

    async def warm(self) -> None:
        """Load the library; no connection is made."""
        await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Nothing is kept open."""


def _load() -> ModuleType:
    with LOADING:
        from backends.writers import postgres_session  # noqa: PLC0415 (loads here, not at a stop's start)

    return postgres_session
