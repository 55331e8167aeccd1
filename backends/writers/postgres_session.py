"""One statement in one transaction; the only writer module that loads the PostgreSQL library."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from backends.model.action import SqlStatement
from backends.model.procedure import Receipt, Step
from backends.model.stack import Source
from backends.postgres_place import Connection, opened
from backends.writers.answer import done, failed, reason, unknown

_SHARE: Final = 0.8
"""Part of the deadline the statement has, so that the server can still say that it gave up."""


class _Talk(Struct):
    """How far it got."""

    connection: Connection | None = None
    is_begun: bool = False
    """The statement was sent: from here on silence proves nothing."""


async def run(source: Source, action: SqlStatement, params: Mapping[str, Any], step: Step) -> Receipt:
    """The statement, committed if it touched the rows it must. Takes ``connect`` and ``deadline`` at most."""
    talk = _Talk()
    opening = asyncio.create_task(_open(source, step, talk))
    if not await _ended(opening, step.connect, talk):
        return failed(f"no connection within {step.connect * 1000:.0f} ms, nothing was sent")
    try:
        connection = opening.result()
    except psycopg.Error as error:
        return failed(f"no connection, nothing was sent: {reason(error)}")
    work = asyncio.create_task(_transact(connection, action, params, step, talk))
    if not await _ended(work, step.deadline, talk):
        text = f"no answer within {step.deadline * 1000:.0f} ms"
        return unknown(text) if talk.is_begun else failed(f"{text}, nothing was sent")
    return work.result()


async def _ended(work: asyncio.Task[Any], seconds: float, talk: _Talk) -> bool:
    """Whether ``work`` ended in time; if not, its connection is cut.

    psycopg answers a cancellation by asking the server to cancel and waiting for it: a hung server would
    hold the step for seconds. So the work is a task of its own, ended by closing its socket.
    """
    try:
        await asyncio.wait({work}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(work, talk)
        raise
    if work.done():
        return True
    _abandon(work, talk)
    return False


def _abandon(work: asyncio.Task[Any], talk: _Talk) -> None:
    if talk.connection is None:
        work.cancel()
    else:
        _cut(talk.connection)
    work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


async def _open(source: Source, step: Step, talk: _Talk) -> Connection:
    password = source.password
    options = {
        "autocommit": True,
        "prepare_threshold": None,
        "user": source.username,
        "password": password.reveal() if password is not None else None,
        "application_name": "controlroom-act",
        "client_encoding": "UTF8",
    }
    talk.connection = await opened(source.url, step.connect, options)
    return talk.connection


async def _transact(
    connection: Connection, action: SqlStatement, params: Mapping[str, Any], step: Step, talk: _Talk
) -> Receipt:
    is_committing = False
    try:
        await connection.execute(_begin(step).encode())
        talk.is_begun = True
        # In the binary format the server takes one statement only, whatever the text says.
        adapted = {name: _adapted(value) for name, value in params.items()}
        cursor = await connection.execute(action.text.encode(), adapted, binary=True)
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            return unknown("the statement ended its transaction by itself")
        count = cursor.rowcount
        if action.rows is not None and count != action.rows:
            await connection.execute("ROLLBACK")
            return failed(f"{_rows(count)} instead of {action.rows}: rolled back")
        is_committing = True
        await connection.execute("COMMIT")
    except psycopg.Error as error:
        return _refused(connection, error, is_committing=is_committing)
    except UnicodeError as error:
        return failed(f"a value cannot be stored as text, nothing was changed: {reason(error)}")
    finally:
        await connection.close()
    return done(f"{_rows(count)}, committed")


def _begin(step: Step) -> str:
    """A transaction with its bounds: a pooler does not pass on what is said for the session."""
    patience = max(1, round(step.deadline * _SHARE * 1000))
    return (
        f"BEGIN; SET LOCAL statement_timeout = {patience}; SET LOCAL lock_timeout = {patience};"
        # Lets go of locks if this program is cut off between two commands.
        f" SET LOCAL idle_in_transaction_session_timeout = {max(1000, patience)}"
    )


def _refused(connection: Connection, error: psycopg.Error, *, is_committing: bool) -> Receipt:
    is_late = isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable)
    if is_late and not is_committing:
        return failed(f"took too long and was rolled back: {reason(error)}")
    if connection.broken and is_committing:
        return unknown(f"cut off while it was committing: {reason(error)}")
    if connection.broken and error.sqlstate is None:
        return unknown(f"cut off before it answered: {reason(error)}")
    # The server's answer, or a statement that this side would not send.
    return failed(f"refused, nothing was changed: {reason(error)}")


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'} touched"


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, Mapping) else value


def _cut(connection: Connection) -> None:
    """Shut the socket down: whoever waits on it gets an error now."""
    if connection.closed:
        return
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # The other side was faster.
