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
    pgconn: PGconn, statements: Sequence[bytes], take: Callable[[int, PGresult], None]
) -> PQGen[None]:
    """All of them are sent, then ``take`` gets the place and the result of each, in order, as they arrive.

    Raises psycopg.Error when the connection is lost. One that is left before the end owes answers, and would
    give them to whoever asks it next.
    """
    pgconn.enter_pipeline_mode()
    for statement in statements:
        # Sent as one with parameters: the server then takes one statement only, whatever the text says.
        pgconn.send_query_params(statement, None)
        # Each ends its own transaction, so that the next one is not skipped when it fails.
        pgconn.pipeline_sync()
    yield from send(pgconn)
    for place in range(len(statements)):
        results = yield from fetch_many(pgconn)
        ends = yield from fetch_many(pgconn)
        status, *rest = [each.status for each in (*results, *ends)] or [_SYNC]
        # Without its Sync it is the last word of a server that goes, or belongs to something else.
        if status == _SYNC or rest != [_SYNC]:
            raise OperationalError(f"lost synchronization: {pgconn.get_error_message()}")
        take(place, results[0])
