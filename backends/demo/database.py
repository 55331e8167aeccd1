"""The services' connection to PostgreSQL: one, made again when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row

PATIENCE: Final = 3.0
"""Seconds a statement may take."""


class Database:
    """Statements run one after another, each committed by itself. A dead server is OperationalError."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._link: psycopg.AsyncConnection[dict[str, Any]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def rows(self, sql: LiteralString, *values: Any) -> list[dict[str, Any]]:
        """The rows of a statement, none for one that gives none."""
        async with self._connected() as link:
            cursor = await link.execute(sql, values)
            return await cursor.fetchall() if cursor.description else []

    async def many(self, sql: LiteralString, values: Sequence[Sequence[Any] | Mapping[str, Any]]) -> None:
        """The same statement for each of ``values``."""
        async with self._connected() as link, link.cursor() as cursor:
            await cursor.executemany(sql, values)

    async def close(self) -> None:
        await self._drop()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection[dict[str, Any]]]:
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(PATIENCE):
                    if self._link is None or self._link.closed:
                        self._link = await psycopg.AsyncConnection.connect(
                            self._dsn, autocommit=True, row_factory=dict_row, connect_timeout=2
                        )
                    yield self._link
            except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
                await self._drop()
                raise psycopg.OperationalError(str(error) or "no answer") from error

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
