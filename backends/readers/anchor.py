"""What an anchor holds: the heads of a journal, as they were put there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

from backends.model.anchor import AnchorError, AnchorKind, AnchorPlace, Mark

LIMIT: Final = 2
"""Seconds to connect, and again for an answer."""

MOST: Final = 10_000
"""Heads told, the newest; and read at a time."""


def marks(place: AnchorPlace, host: str, journal: str) -> list[Mark]:
    """Every head of that journal that the anchor holds, newest first. Raises AnchorError."""
    if place.kind is AnchorKind.REDIS:
        return list(islice(_redis(place, host, journal), MOST))
    if place.kind is AnchorKind.POSTGRES:
        return _postgres(place, host, journal)
    raise AnchorError("a syslog cannot be asked; take the newest head from it and give it with --head")


def _redis(place: AnchorPlace, host: str, journal: str) -> Iterator[Mark]:
    """Page by page: the journals of a host share one stream."""
    from redis import Redis  # noqa: PLC0415 (loads only what is used)
    from redis.backoff import NoBackoff  # noqa: PLC0415 (loads only what is used)
    from redis.exceptions import RedisError  # noqa: PLC0415 (loads only what is used)
    from redis.retry import Retry  # noqa: PLC0415 (loads only what is used)

    try:
        client = Redis.from_url(
            place.url,
            username=place.username,
            password=None if place.password is None else place.password.reveal(),
            socket_timeout=LIMIT,
            socket_connect_timeout=LIMIT,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        with client:
            newest = "+"
            while page := cast("list[Any]", client.xrevrange(f"{place.name}:{host}", newest, count=MOST)):
                for _, fields in page:
                    mark = Mark(host, fields["journal"], int(fields["seq"]), fields["hash"], fields["at"])
                    if mark.journal == journal:
                        yield mark
                if len(page) < MOST:
                    return
                newest = _before(page[-1][0])
    except (KeyError, TypeError, ValueError) as error:
        raise AnchorError(f"Redis holds something else there: {type(error).__name__}") from None
    except (RedisError, OSError) as error:
        raise AnchorError(f"Redis did not tell the heads: {_reason(error)}") from None


def _before(entry: str) -> str:
    """The id that comes right before it; servers before 6.2 know no other way to leave one out."""
    time, _, number = entry.partition("-")
    return f"{time}-{int(number) - 1}" if int(number) else f"{int(time) - 1}"


def _postgres(place: AnchorPlace, host: str, journal: str) -> list[Mark]:
    import psycopg  # noqa: PLC0415 (loads only what is used)
    from psycopg import sql  # noqa: PLC0415 (loads only what is used)

    query = sql.SQL(
        "SELECT host, journal, seq, hash, at FROM {} WHERE host = %s AND journal = %s"
        " ORDER BY id DESC LIMIT %s"
    ).format(sql.Identifier(place.name))
    try:
        with psycopg.connect(
            place.url,
            user=place.username,
            password=None if place.password is None else place.password.reveal(),
            connect_timeout=LIMIT,
            options=f"-c statement_timeout={LIMIT * 1000} -c default_transaction_read_only=on",
        ) as connection:
            return [Mark(*row) for row in connection.execute(query, (host, journal, MOST))]
    except psycopg.errors.UndefinedTable:
        return []
    except (psycopg.Error, OSError) as error:
        raise AnchorError(f"PostgreSQL did not tell the heads: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
