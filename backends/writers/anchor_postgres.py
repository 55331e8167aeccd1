"""Keeps the journal's heads in a PostgreSQL table that is only inserted into."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from backends.model.anchor import AnchorError, AnchorPlace, Mark

LIMIT: Final = 2
"""Seconds to connect, and again for a statement."""

_TABLE: Final = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {} (id bigserial PRIMARY KEY, taken timestamptz NOT NULL DEFAULT now(),"
    " host text NOT NULL, journal text NOT NULL, seq bigint NOT NULL, hash text NOT NULL, at text NOT NULL)"
)
_INSERT: Final = sql.SQL("INSERT INTO {} (host, journal, seq, hash, at) VALUES (%s, %s, %s, %s, %s)")


class PostgresAnchor:
    """One connection for each head. The table is made when it is not there and the role may make it."""

    def __init__(self, place: AnchorPlace) -> None:
        self._place = place

    def put(self, mark: Mark) -> None:
        """Insert it. A server that hangs holds this call until it answers. Raises AnchorError."""
        place = self._place
        table = sql.Identifier(place.name)
        values = (mark.host, mark.journal, mark.seq, mark.hash, mark.at)
        try:
            with psycopg.connect(
                place.url,
                user=place.username,
                password=None if place.password is None else place.password.reveal(),
                connect_timeout=LIMIT,
                options=f"-c statement_timeout={LIMIT * 1000}",
                autocommit=True,
            ) as connection:
                try:
                    connection.execute(_INSERT.format(table), values)
                except psycopg.errors.UndefinedTable:
                    connection.execute(_TABLE.format(table))
                    connection.execute(_INSERT.format(table), values)
        except (psycopg.Error, OSError) as error:
            raise AnchorError(f"PostgreSQL did not take the head: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
