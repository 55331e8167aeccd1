"""Many statements in one round trip to PostgreSQL: libpq's pipeline, on a connection of psycopg's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from psycopg import OperationalError
from psycopg.abc import PQGen
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_SYNC: Final = int(ExecStatus.PIPELINE_SYNC)


def conversation(
    pgconn: PGconn, first: bytes, statements: Sequence[bytes], take: Callable[[int, PGresult], None]
) -> PQGen[None]:
    """All of them are sent, then ``take`` gets the place and the result of each, in order, as they arrive.

    ``first`` goes before each of them, in its transaction; what cannot be answered after it is its error.

    Raises psycopg.Error when the connection is lost. One that is left before the end owes answers, and would
    give them to whoever asks it next.
    """
    pgconn.enter_pipeline_mode()
    for statement in statements:
        pgconn.send_query_params(first, None)
        # Sent as one with parameters: the server then takes one statement only, whatever the text says.
        pgconn.send_query_params(statement, None)
        # Each ends its own transaction, so that the next one is not skipped when it fails.
        pgconn.pipeline_sync()
    yield from send(pgconn)
    for place in range(len(statements)):
        parts = []
        for _ in range(3):
            parts += yield from fetch_many(pgconn)
        # Without its Sync it is the last word of a server that goes, or belongs to something else.
        if [part.status == _SYNC for part in parts] != [False, False, True]:
            raise OperationalError(f"lost synchronization: {pgconn.get_error_message()}")
        before, result, _ = parts
        take(place, result if before.status == ExecStatus.TUPLES_OK else before)
