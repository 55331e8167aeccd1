"""Reads facts from one PostgreSQL database over one kept connection that cannot write."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from backends.model.fact import Fact, Finding, SourceError
from backends.model.query import LoginQuery, SqlQuery
from backends.model.stack import Source
from backends.postgres_place import Connection, opened
from backends.readers.coerce import MisfitError
from backends.readers.extract import Same, broken, extract
from backends.readers.failure import silence, where
from backends.readers.postgres_answer import (
    PORT,
    Said,
    bounded,
    connection_reason,
    query_reason,
    rows_of,
    said_in,
)
from backends.readers.postgres_login import login
from backends.readers.postgres_pipeline import conversation
from backends.whereabouts import Whereabouts

_SHARE: Final = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""

Answers = dict[SqlQuery, Said | MisfitError]


class PostgresFactReader:
    """A FactReader whose every query is in a transaction that only reads, and has a time-out.

    Each distinct query is asked once a poll, in one round trip with the others, and fails alone.
    ``statement_timeout`` (as PostgreSQL writes it: ``1500ms``, ``2s``) is one of the source's options;
    without it half the deadline.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._place = where(source.url, PORT)
        self._seconds = source.deadline * _SHARE
        self._patience = min(
            _seconds(source.options.get("statement_timeout")) or self._seconds / 2, self._seconds
        )
        # Said in each transaction: a pooler does not pass on what is said for the session.
        self._bounds = (
            "SELECT set_config('transaction_read_only', 'on', true),"
            f" set_config('statement_timeout', '{max(1, round(self._patience * 1000))}', true)"
        ).encode()
        self._connection: Connection | None = None
        self._whereabouts = Whereabouts()
        self._work: asyncio.Task[str | None] | None = None
        """What talks over the connection now, or did last."""
        self._same = Same()
        self._unread: set[SqlQuery] = set()
        """What the last poll did not get to; asked first in the next one."""

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when there is no connection, or no query was answered."""
        found = {
            fact.id: await login(self._source, fact.query.client, self._seconds)
            for fact in facts
            if isinstance(fact.query, LoginQuery)
        }
        rest = [fact for fact in facts if fact.id not in found]
        return found | (await self._rows(rest) if rest else {})

    async def close(self) -> None:
        if self._work is not None and not self._work.done():
            # Never under a question: psycopg would go on with memory that libpq has given back.
            self._hang_up(self._work)
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _rows(self, facts: Sequence[Fact]) -> dict[str, Finding]:
        asked = dict.fromkeys(fact.query for fact in facts if isinstance(fact.query, SqlQuery))
        queries = sorted(asked, key=lambda query: query not in self._unread)
        answers: Answers = {}
        reason = await self._bounded(queries, answers)
        self._unread = {query for query in queries if query not in answers}
        if reason and not answers:
            raise SourceError(reason)
        return {fact.id: self._finding(fact, answers, reason) for fact in facts}

    async def _bounded(self, queries: Sequence[SqlQuery], answers: Answers) -> str | None:
        """Ask within the reader's time, whatever the server does; the reason why something is missing.

        psycopg answers a cancellation by asking the server to cancel and waiting for it: a hung server
        would hold the poll for seconds. So the work is a task of its own, ended by closing its socket.
        """
        work = self._work = asyncio.create_task(self._ask(queries, answers))
        try:
            done, _ = await asyncio.wait({work}, timeout=self._seconds)
        except asyncio.CancelledError:
            self._hang_up(work)
            raise
        if done:
            return work.result()
        self._hang_up(work)
        return silence(self._seconds)

    async def _ask(self, queries: Sequence[SqlQuery], answers: Answers) -> str | None:
        try:
            connection = await self._connected()
        except psycopg.Error as error:
            return connection_reason(error, self._place)

        def take(place: int, result: PGresult) -> None:
            answers[queries[place]] = self._said(result)

        texts = [bounded(query).encode() for query in queries]
        try:
            await connection.wait(conversation(connection.pgconn, self._bounds, texts, take))
        except psycopg.Error as error:
            return connection_reason(error, self._place)
        finally:
            # One that owes an answer would give it to the next poll's question.
            if len(answers) < len(queries):
                self._forget(connection)
        return None

    def _said(self, result: PGresult) -> Said | MisfitError:
        if result.status != ExecStatus.TUPLES_OK:
            return MisfitError(query_reason(error_from_result(result), self._patience))
        return said_in(result)

    def _finding(self, fact: Fact, answers: Answers, reason: str | None) -> Finding:
        if not isinstance(fact.query, SqlQuery):
            return broken("asks PostgreSQL something that is no query")
        if fact.query not in answers:
            return broken(reason or "was not answered")
        said = answers[fact.query]
        if isinstance(said, MisfitError):
            return broken(str(said))
        return self._same.finding(fact, said, partial(_understood, fact, fact.query, said))

    async def _connected(self) -> Connection:
        kept = self._connection
        if kept is not None and not kept.closed and not _has_news(kept):
            there = kept.info
            if not await self._whereabouts.has_moved(there.host, there.hostaddr):
                return kept
        await self._drop()
        password = self._source.password
        options = {
            "autocommit": True,
            "prepare_threshold": None,
            "user": self._source.username,
            "password": password.reveal() if password is not None else None,
            "application_name": "controlroom",
            "client_encoding": "UTF8",
        }
        self._connection = await opened(self._source.url, self._seconds, options)
        return self._connection

    def _hang_up(self, work: asyncio.Task[str | None]) -> None:
        """End ``work`` at once: its connection is cut, so that it waits for nobody."""
        if self._work is not work:
            return  # Somebody did. Cancelled besides, psycopg would ask a server that it lost to cancel.
        connection, self._work = self._connection, None
        if connection is None:
            work.cancel()
        else:
            self._forget(connection)
            _cut(connection)
        work.add_done_callback(_settle)

    def _forget(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None


def _understood(fact: Fact, query: SqlQuery, said: Said) -> Finding:
    try:
        return extract(fact, rows_of(query, said))
    except MisfitError as misfit:
        return broken(str(misfit))


def _has_news(connection: Connection) -> bool:
    """Whether something came on an idle connection: usually its end."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def _cut(connection: Connection) -> None:
    """Shut the socket down: whoever waits on it gets an error now."""
    if connection.closed:
        return
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # The other side was faster.


def _settle(work: asyncio.Task[str | None]) -> None:
    """Look at the outcome of abandoned work, which asyncio would report as never looked at."""
    if not work.cancelled():
        work.exception()


def _seconds(text: str | None) -> float | None:
    """``1500ms``, ``2s`` or milliseconds, in seconds; None for anything else."""
    digits = (text or "").strip().removesuffix("s")
    scale = 0.001 if digits.endswith("m") or digits == (text or "").strip() else 1.0
    digits = digits.removesuffix("m")
    return float(digits) * scale or None if digits.isdecimal() else None
