"""One connection to Redis that does only what is needed and never takes in more than it was told to expect.

The only file that knows how a client of redis-py is made, and the only one that leans on its parser.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from hiredis import pack_command
from redis._parsers import _AsyncHiredisParser
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from backends.model.stack import Source
from backends.readers.failure import network_reason, silence, where
from backends.readers.redis_reply import Command, ServerError
from backends.redis_place import gone_to, peer
from backends.whereabouts import Whereabouts

_PORT = 6379
_ECHO = "controlroom"
"""Comes back after all that was published before it."""
_NO_NEWS = "its answer is none to those who subscribe"
_GREETING = 4096
"""Bytes that may come before the first pipeline: the answers to AUTH and SELECT."""


class TooMuchError(RedisError):
    """The server sent more than was asked for; the connection is gone."""


class Link:
    """Sends pipelines over one kept connection, which is made anew when it was lost. No retries, and but for
    connecting no time-out: the caller calls off what takes too long, which ends the connection.

    Raises ValueError when the source's address is not one of a Redis server.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self._place = where(source.url, _PORT)
        self._seconds = seconds
        self._has_password = source.password is not None
        self._left = _GREETING
        """Bytes the server may still send."""
        self._url = source.url
        self._name = urlsplit(source.url).hostname
        self._peer: str | None = None
        """The address that the connection leads to."""
        self._whereabouts = Whereabouts()
        self._pool = self._pooled(source)
        # Spoken over directly: a pipeline of the library's takes three times the work for the same bytes.
        self._connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]  # as below
        self._heard: PubSub | None = None
        self._is_subscribed = False

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The raw replies, an error reply as ServerError. One write, unless the connection is new.

        Raises RedisError or OSError when there is no answer.
        """
        self._left = _GREETING + sum(command.allowed for command in commands)
        connection = self._connection
        if connection.is_connected and await connection.can_read():
            # What nobody has asked for: usually its end.
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            await connection.connect()
        await connection.send_packed_command([pack_command(command.words) for command in commands])
        # All are read before any is understood: what is not read would be the answer to the next poll.
        replies = [await self._read() for _ in commands]
        return [self._reply(reply, command) for reply, command in zip(replies, commands, strict=True)]

    async def hear(self, channel: str, limit: int) -> AsyncIterator[bytes]:
        """What was published on ``channel`` since it was last called, oldest first, each message as it comes;
        the first time it begins.

        Afterwards the link serves nothing else. Raises RedisError or OSError when it hears no more: also when
        the connection is dead and only looks quiet.
        """
        self._left = _GREETING + limit
        if self._heard is None:
            self._heard = Redis(connection_pool=self._pool).pubsub()
            # As a pattern: the counts of who subscribes tell of the stack's own services alone.
            await self._heard.psubscribe(channel)
        await self._heard.ping(_ECHO)
        while (got := await self._next(self._heard)) is not None:
            match got:
                case "pmessage", bytes(message):
                    yield message
                case "psubscribe", 1 if not self._is_subscribed:
                    self._is_subscribed = True
                case "pong", said if said == _ECHO.encode() and self._is_subscribed:
                    return
                case _:
                    raise RedisError(_NO_NEWS)
        raise RedisTimeoutError

    async def _next(self, heard: PubSub) -> tuple[Any, Any] | None:
        try:
            got = await heard.get_message(timeout=self._seconds)
            return None if got is None else (got["type"], got["data"])
        except (TypeError, LookupError, AttributeError):
            raise RedisError(_NO_NEWS) from None

    async def has_moved(self) -> bool:
        """Whether its name leads to another machine by now than the connection does."""
        return await self._whereabouts.has_moved(self._name, self._peer)

    async def close(self) -> None:
        if self._heard is not None:
            await self._heard.aclose()  # type: ignore[no-untyped-call]  # the library gives it no types
        await self._connection.disconnect()

    def reason(self, error: Exception) -> str:
        """Why there is no answer, in plain words and without a secret."""
        said = str(error).lower()
        if isinstance(error, AuthenticationError):
            if "without any password" in said:
                return f"{self._place} has no password, but one is configured here"
            why = "refuses the password" if self._has_password else "wants a password and none is configured"
            return f"{self._place} {why}"
        if isinstance(error, RedisTimeoutError):
            return silence(self._seconds)
        if isinstance(error, TooMuchError):
            return f"{self._place} sent far more than was asked for"
        for word, why in _SAID.items():
            if word in said:
                return f"{self._place} {why}"
        return network_reason(error, self._place) or f"{self._place} does not answer as a Redis server"

    def _pooled(self, source: Source) -> ConnectionPool:
        link = self

        class BoundedParser(_AsyncHiredisParser):
            """Stops reading when the allowance is used up, before the rest is taken into memory."""

            def on_connect(self, connection: Any) -> None:
                super().on_connect(connection)  # type: ignore[no-untyped-call]  # redis-py types it in part
                link._peer = peer(connection)

            async def read_from_socket(self) -> bool:
                stream, reader = self._stream, cast("Any", self._reader)
                piece = b"" if stream is None else await stream.read(self._read_size)
                if not piece:
                    raise ConnectionResetError("closed by the server")
                link._left -= len(piece)
                if link._left < 0:
                    raise TooMuchError("more than was asked for")
                reader.feed(piece)
                return True

        return ConnectionPool.from_url(
            source.url,
            username=source.username,
            password=source.password.reveal() if source.password is not None else None,
            max_connections=1,
            protocol=2,  # no HELLO, and no maintenance notifications, which need protocol 3
            driver_info=None,  # no CLIENT SETINFO
            decode_responses=False,
            socket_timeout=None,
            socket_connect_timeout=self._seconds,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            parser_class=BoundedParser,
        )

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    def _reply(self, reply: Any, command: Command) -> Any:
        if not isinstance(reply, ResponseError):
            return reply
        said = str(reply)
        if isinstance(reply, NoPermissionError):
            return ServerError(f"not permitted: {command.words[0]}")
        if said.startswith("WRONGTYPE"):
            return ServerError("is of another type", is_wrong_type=True)
        is_elsewhere = isinstance(reply, (MovedError, ClusterDownError))
        there = ""
        if isinstance(reply, AskError) and not is_elsewhere:
            there = gone_to(self._url, self._name, reply)
        why = f"Redis answered {command.words[0]} with an error: {said[:100]}"
        return ServerError(why, is_elsewhere=is_elsewhere, there=there)


_SAID = {
    "loading": "is loading its data after a start",
    "max number of clients": "accepts no more clients",
    "db index is out of range": "has no database of that number",
    "invalid database": "has no database of that number",
    "closed by": "closed the connection",
    "masterdown": "has lost its master",
}
