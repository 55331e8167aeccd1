"""Changing a Redis: one connection kept warm, one call at a time on it, every wait bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace
from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import AskError, AuthenticationError, BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as LostError

from backends.model.action import Action, RedisTransition, RedisUnit, RedisWrite
from backends.model.procedure import Receipt, Step
from backends.model.stack import Source
from backends.redis_place import gone_to, is_cluster, is_guarded, located, peer
from backends.whereabouts import Whereabouts
from backends.writers.answer import failed, reason, unknown
from backends.writers.redis_write import Writes
from backends.writers.transition import command, receipt, understand

Link = Connection | SSLConnection | UnixDomainSocketConnection
Talk = Callable[[Link, bool], Awaitable[Receipt]]
"""With the connection, and whether all must be announced there: the key is on its way to that node."""

_ASKING: Final = ("ASKING",)

WARM: Final = 0.25
"""Seconds to open the warm connection, or to hear from the one there is."""


class NotSentError(Exception):
    """No connection could be had, so nothing can have happened."""


class RedisEffector:
    """Makes guarded changes in one Redis database over connections nothing else uses.

    It never retries a call by itself, with one exception: a warm connection that turns out to be dead
    is replaced within the same deadlines. That is safe because a transition is guarded, and because of a
    plain write only the look before it is repeated.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._idle: Link | None = None
        self._whereabouts = Whereabouts()
        self._moves = is_guarded(source) or is_cluster(source)
        """Whether another server may be the right one next time: no connection is kept then."""

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Make the change once. FAILED means it was not made; UNKNOWN means it may have been."""
        try:
            if isinstance(action, RedisTransition):
                words = command(action, values)
                return await self._perform(
                    lambda link, told: self._change(link, told, action, words, step), step, action.key
                )
            if isinstance(action, (RedisWrite, RedisUnit)):
                writes = Writes(action, values)
                return await self._perform(
                    lambda link, told: self._write(link, told, writes, step), step, writes.key
                )
        except (NotSentError, ValueError) as error:
            return failed(str(error))
        except LostError as error:
            text = f"cut off before it answered: {reason(error)}"
            return (
                unknown(text)
                if isinstance(action, RedisTransition)
                else failed(f"{text}; nothing was changed")
            )
        return failed("does not take this kind of step")

    async def warm(self) -> None:
        """Have one connection that answered just now; without success there is none, and act will tell."""
        if self._moves:
            return
        await self._check_name()
        link, self._idle = self._idle, None
        try:
            if link is None:
                link = await self._open(self._source, WARM)
            async with asyncio.timeout(WARM):
                await link.send_command("PING", check_health=False)
                await link.read_response()
        except (TimeoutError, RedisError, OSError, ValueError):
            if link is not None:
                await link.disconnect(nowait=True)
            return
        await self._keep(link)

    async def close(self) -> None:
        """Drop the warm connection."""
        if self._idle is not None:
            link, self._idle = self._idle, None
            await link.disconnect(nowait=True)

    async def _check_name(self) -> None:
        """Drop the warm connection when its name leads to another machine by now: nobody obeys that one."""
        if self._idle is not None:
            name = getattr(self._idle, "host", None)
            if await self._whereabouts.has_moved(name, peer(self._idle)):
                await self.close()

    async def _perform(self, talk: Talk, step: Step, key: str) -> Receipt:
        await self._check_name()
        link, self._idle = self._idle, None
        if link is not None:
            with suppress(LostError):
                return await _closing(link, talk, False)
        link = await self._new(self._source, step, key)
        try:
            return await _closing(link, talk, False)
        except AskError as error:
            # Nothing was done here. Once more, where the key is.
            url = gone_to(self._source.url, link.host, error)
            if not url:
                raise NotSentError(
                    "the node that has the key is named without its host, nothing was changed"
                ) from None
            link = await self._new(replace(self._source, url=url), step, key)
            return await _closing(link, talk, True)

    async def _new(self, source: Source, step: Step, key: str) -> Link:
        """A connection of its own. Raises NotSentError."""
        try:
            return await self._open(source, step.connect, key)
        except TimeoutError as error:
            text = f"no connection within {step.connect * 1000:.0f} ms, nothing was sent"
            raise NotSentError(text) from error
        except AuthenticationError as error:
            raise NotSentError("did not accept the credentials, nothing was sent") from error
        except (RedisError, OSError) as error:
            raise NotSentError(f"no connection, nothing was sent: {reason(error)}") from error

    def _is_gone(self, answer: object, is_announced: bool) -> bool:
        """Whether the key's slot is on its way to another node, and the key is there already."""
        return is_cluster(self._source) and not is_announced and type(answer) is AskError

    async def _change(
        self, link: Link, is_announced: bool, action: RedisTransition, words: list[str], step: Step
    ) -> Receipt:
        """Raises LostError when the connection ends before an answer came."""
        try:
            async with asyncio.timeout(step.deadline):
                if is_announced:
                    await _ask(link, [_ASKING])
                await link.send_command(*words, check_health=False)
                raw = await link.read_response()
        except TimeoutError:
            await link.disconnect(nowait=True)
            return unknown(f"no answer within {step.deadline * 1000:.0f} ms")
        except (ResponseError, AuthenticationError, BusyLoadingError) as error:
            if self._is_gone(error, is_announced):
                raise
            await link.disconnect(nowait=True)
            return failed(f"refused: {reason(error)}")
        except LostError:
            raise
        except (RedisError, OSError) as error:
            await link.disconnect(nowait=True)
            return unknown(f"its answer is damaged: {reason(error)}")
        await self._keep(link)
        try:
            return receipt(action, understand(raw))
        except ValueError as error:
            return unknown(str(error))

    async def _write(self, link: Link, is_announced: bool, writes: Writes, step: Step) -> Receipt:
        """Raises LostError when the connection ends while nothing can have been changed."""
        is_sent = False
        try:
            async with asyncio.timeout(step.deadline):
                told = await _ask(link, writes.questions, is_announced)
                if gone := next((each for each in told if self._is_gone(each, is_announced)), None):
                    raise gone
                answer = writes.objection(told)
                if answer is None:
                    commands, is_sent = writes.commands, True
                    if is_announced:
                        await _ask(link, [_ASKING])  # holds for what is between MULTI and EXEC
                    answer = writes.receipt(await _ask(link, commands))
                elif writes.is_watching:
                    await _ask(link, [["UNWATCH"]])
        except TimeoutError:
            await link.disconnect(nowait=True)
            text = f"no answer within {step.deadline * 1000:.0f} ms"
            return unknown(text) if is_sent else failed(f"{text}; nothing was changed")
        except (AuthenticationError, BusyLoadingError) as error:
            await link.disconnect(nowait=True)
            return failed(f"refused: {reason(error)}")
        except AskError:
            raise
        except LostError as error:
            if not is_sent:
                raise
            return unknown(f"cut off before it answered: {reason(error)}")
        except (RedisError, OSError) as error:
            await link.disconnect(nowait=True)
            text = f"its answer is damaged: {reason(error)}"
            return unknown(text) if is_sent else failed(f"{text}; nothing was changed")
        await self._keep(link)
        return answer

    async def _open(self, source: Source, limit: float, key: str = "") -> Link:
        async with asyncio.timeout(limit):
            place = await located(source, key, limit)
            return await self._connected(place)

    async def _connected(self, place: Source) -> Link:
        options: dict[str, Any] = dict(parse_url(place.url))
        kind = options.pop("connection_class", Connection)
        # Plain RESP2 without greeting, client name or library report: a stop waits for one answer only.
        options |= {
            "username": self._source.username,
            "password": None if self._source.password is None else self._source.password.reveal(),
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": None,
            "socket_connect_timeout": None,
        }
        link: Link = kind(**options)
        try:
            await link.connect_check_health(check_health=False)
        except BaseException:
            await link.disconnect(nowait=True)
            raise
        return link

    async def _keep(self, link: Link) -> None:
        if self._idle is None and not self._moves:
            self._idle = link
        else:
            await link.disconnect(nowait=True)


async def _closing(link: Link, talk: Talk, is_announced: bool) -> Receipt:
    """What ``talk`` returns; a conversation that is broken off leaves no connection behind."""
    try:
        return await talk(link, is_announced)
    except BaseException:
        await link.disconnect(nowait=True)
        raise


async def _ask(link: Link, commands: Sequence[Sequence[str]], is_announced: bool = False) -> list[Any]:
    """The replies in order, a refusal among them as the error it is. Raises LostError."""
    if is_announced:
        return (await _ask(link, [word for each in commands for word in (_ASKING, each)]))[1::2]
    if not link.is_connected:
        # It would connect by itself, and forget what it watches.
        raise LostError("the connection ended")
    await link.send_packed_command(link.pack_commands(commands), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await link.read_response())
        except ResponseError as error:
            replies.append(error)
    return replies
