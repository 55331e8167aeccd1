"""What is sent to PostgreSQL for a query so that its answer is bounded, and what its errors mean."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import psycopg
from psycopg.pq.abc import PGresult

from backends.model.query import SqlQuery
from backends.readers.coerce import MisfitError, decode, excerpt, parse_json
from backends.readers.extract import Rows
from backends.readers.failure import silence

PORT: Final = 5432

ROW_CHARS: Final = 64 * 1024
"""Characters of one row as JSON."""

_NAME: Final = re.compile(r'"([^"]{1,80})"')
_NO_PRIMARY: Final = "answers, but none of its hosts is the primary now"
_CONNECTION_WORDS: Final = (
    ("password authentication failed", "refuses the password"),
    ("no password supplied", "wants a password and none is configured"),
    ("no pg_hba.conf entry", "does not let this host in (pg_hba.conf)"),
    ("too many", "accepts no more connections"),
    ("remaining connection slots", "accepts no more connections"),
    ("starting up", "is starting up"),
    ("shutting down", "is shutting down"),
    ("in recovery mode", "is recovering after a crash"),
    # Of several hosts, what one that answers says is worth more than that another is down.
    ("is in hot standby mode", _NO_PRIMARY),
    ("session is read-only", _NO_PRIMARY),
    ("is not in hot standby mode", "answers, but none of its hosts is a standby now"),
    ("failed to resolve", "has a name that is not known here"),
    ("refused", "refuses the connection: nothing listens there"),
    ("no such file", "has no socket there"),
    ("no route to host", "cannot be reached: no route"),
    ("unreachable", "cannot be reached: no route"),
    ("invalid response", "does not answer as a PostgreSQL server"),
    ("expected authentication request", "does not answer as a PostgreSQL server"),
    ("does not match host name", "has a certificate for another host"),
    ("alert certificate expired", "says that our certificate has expired"),
    ("certificate", "has a certificate that is not trusted"),
    ("ssl", "does not speak TLS as asked"),
    ("closed", "closed the connection"),
    ("terminat", "closed the connection"),
    ("reset", "closed the connection"),
    ("lost synchronization", "does not answer as a PostgreSQL server"),
)


class Said(NamedTuple):
    """An answer as it came."""

    names: tuple[bytes, ...]
    rows: tuple[tuple[bytes | None, ...], ...]


def bounded(query: SqlQuery) -> str:
    """The query as it is sent: at most one row more than its limit, each row as JSON text, cut at the server.

    A row comes with the number of all rows. SHOW, which cannot stand inside another query, is sent as it is.
    """
    text = query.text.strip().removesuffix(";").strip()
    if is_show(query):
        return text
    # The line break ends a comment the query may end with; the name is unlikely to be a column's.
    return (
        f"SELECT left(row_to_json(room_row)::text, {ROW_CHARS + 1}), count(*) OVER ()"  # noqa: S608  # stack file
        f" FROM (\n{text}\n) AS room_row LIMIT {query.limit + 1}"
    )


def is_show(query: SqlQuery) -> bool:
    return query.text.lstrip()[:4].lower() == "show"


def said_in(result: PGresult) -> Said:
    columns = range(result.nfields)
    return Said(
        tuple([result.fname(column) or b"" for column in columns]),
        tuple([tuple([result.get_value(row, at) for at in columns]) for row in range(result.ntuples)]),
    )


def rows_of(query: SqlQuery, said: Said) -> Rows:
    """The rows of a query's answer. Raises MisfitError for one that is too long or not understood."""
    kept = said.rows[: query.limit]
    if is_show(query):
        names = [decode(name) for name in said.names]
        return Rows([dict(zip(names, map(_shown, row), strict=True)) for row in kept], len(said.rows))
    rows = []
    for text, *_ in kept:
        if len(decode(text or b"")) > ROW_CHARS:
            raise MisfitError(f"a row is more than {ROW_CHARS // 1024} KiB")
        rows.append(parse_json(text or b""))
    return Rows(rows, int(said.rows[0][1] or 0) if said.rows else 0)


def _shown(value: bytes | None) -> str | None:
    return None if value is None else decode(value)


def query_reason(error: psycopg.Error, patience: float) -> str:
    """Why one query has no answer although the server works. ``patience`` is its time-out in seconds."""
    state = error.sqlstate or ""
    said = error.diag.message_primary or ""
    named = _NAME.search(said)
    name = f" {named[1]}" if named else ""
    words = {
        "42P01": f"table{name} does not exist",
        "42703": f"column{name} does not exist",
        "42883": f"has no such function or operator: {excerpt(said)}",
        "3F000": f"schema{name} does not exist",
        "42501": ": ".join(filter(None, ("not permitted", said.partition(" for ")[2][:80]))),
        "57014": silence(patience),
        "25006": "would write: refused, this session only reads",
        "42601": "is not one SELECT statement",
        "0A000": "is not a SELECT the room can bound",
    }
    return words.get(state) or f"query failed: {said[:120] or 'no reason given'}"


def connection_reason(error: psycopg.Error, place: str) -> str:
    """Why there is no connection, in plain words; of the message only a database's or user's name is kept."""
    if isinstance(error, psycopg.ProgrammingError):
        return "its address is not one of a PostgreSQL server"
    return f"{place} {refusal(str(error))}"


def refusal(message: str) -> str:
    """What a server does instead of connecting, by what libpq says of it: ``refuses the password``."""
    said = message.lower()
    named = _NAME.search(message.partition("FATAL:")[2])
    if named and "does not exist" in said:
        what = "database" if 'database "' in said else "user"
        return f"has no {what} {named[1]}"
    return next((words for sign, words in _CONNECTION_WORDS if sign in said), "does not let the room connect")
