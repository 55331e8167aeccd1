"""Changing a Redis: one connection kept warm, one call at a time on it, every wait bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as LostError

from backends.model.action import Action, RedisTransition
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.writers.transition import command, receipt, understand

Link = Connection | SSLConnection | UnixDomainSocketConnection

WARM: Final = 0.25
"""Seconds to open the warm connection, or to hear from the one there is."""


class NotSentError(Exception):
    """No connection could be had, so nothing can have happened."""


class RedisEffector:
    """Makes guarded changes in one Redis database over connections nothing else uses.

    It never retries a call by itself, with one exception: a warm connection that turns out to be dead
    is replaced within the same deadlines, which is safe because the change is guarded.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._idle: Link | None = None

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Make the change once. FAILED means it was not made; UNKNOWN means it may have been."""
        if not isinstance(action, RedisTransition):
            return _failed("does not take this kind of step")
        try:
            return await self._perform(action, command(action, values), step)
        except (NotSentError, ValueError) as error:
            return _failed(str(error))
        except LostError as error:
            return _unknown(f"cut off before it answered: {_reason(error)}")

    async def warm(self) -> None:
        """Have one connection that answered just now; without success there is none, and act will tell."""
        link, self._idle = self._idle, None
        try:
            if link is None:
                link = await self._open(WARM)
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

    async def _perform(self, action: RedisTransition, words: list[str], step: Step) -> Receipt:
        link, self._idle = self._idle, None
        if link is not None:
            with suppress(LostError):
                return await self._call(link, action, words, step)
        try:
            link = await self._open(step.connect)
        except TimeoutError as error:
            text = f"no connection within {step.connect * 1000:.0f} ms, nothing was sent"
            raise NotSentError(text) from error
        except AuthenticationError as error:
            raise NotSentError("did not accept the credentials, nothing was sent") from error
        except (RedisError, OSError) as error:
            raise NotSentError(f"no connection, nothing was sent: {_reason(error)}") from error
        return await self._call(link, action, words, step)

    async def _call(self, link: Link, action: RedisTransition, words: list[str], step: Step) -> Receipt:
        """Raises LostError when the connection ends before an answer came."""
        try:
            async with asyncio.timeout(step.deadline):
                await link.send_command(*words, check_health=False)
                raw = await link.read_response()
        except TimeoutError:
            await link.disconnect(nowait=True)
            return _unknown(f"no answer within {step.deadline * 1000:.0f} ms")
        except (ResponseError, AuthenticationError, BusyLoadingError) as error:
            await link.disconnect(nowait=True)
            return _failed(f"refused: {_reason(error)}")
        except LostError:
            await link.disconnect(nowait=True)
            raise
        except (RedisError, OSError) as error:
            await link.disconnect(nowait=True)
            return _unknown(f"its answer is damaged: {_reason(error)}")
        await self._keep(link)
        try:
            return receipt(action, understand(raw))
        except ValueError as error:
            return _unknown(str(error))

    async def _open(self, limit: float) -> Link:
        options: dict[str, Any] = dict(parse_url(self._source.url))
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
            async with asyncio.timeout(limit):
                await link.connect_check_health(check_health=False)
        except BaseException:
            await link.disconnect(nowait=True)
            raise
        return link

    async def _keep(self, link: Link) -> None:
        if self._idle is None:
            self._idle = link
        else:
            await link.disconnect(nowait=True)


def _failed(text: str) -> Receipt:
    return Receipt(ReceiptKind.FAILED, SafeText(text, 400))


def _unknown(text: str) -> Receipt:
    return Receipt(ReceiptKind.UNKNOWN, SafeText(text, 400))


def _reason(error: Exception) -> str:
    """What went wrong, short; a name of the error where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__
