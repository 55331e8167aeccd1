"""Pipelines to a Redis Cluster: each command goes to the node that holds its key, all nodes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final

from msgspec.structs import replace
from redis.exceptions import AuthenticationError, RedisError

from backends.model.stack import Source
from backends.readers.failure import silence
from backends.readers.redis_link import Link, TooMuchError
from backends.readers.redis_reply import Command, ServerError, small
from backends.redis_place import Share, node, shares

_OF_ALL_NODES: Final = ("SCAN", "DBSIZE", "INFO", "PUBSUB", "CLIENT", "LASTSAVE")
_KEY_COMES_LATER: Final = ("XINFO", "MEMORY", "OBJECT")
_ASKING: Final = small("ASKING")
_PATIENCE: Final = 0.5
"""Part of the time there is that a node is waited for of which only keys on their way are wanted."""
_NOWHERE: Final = ServerError("in a cluster each node has its own answer to this; read the nodes one by one")


class ClusterLink:
    """Like ``Link``, over one link a node. What no single node can answer is an error, not half a truth."""

    def __init__(self, source: Source, seconds: float) -> None:
        self._source = source
        self._seconds = seconds
        self._shares: Sequence[Share] = ()
        self._links: dict[str, Link] = {}
        self._asked = Link(replace(source, url=source.url.partition(",")[0].replace("+cluster", "")), seconds)
        """Only for the words about an error; it never connects."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The replies in order. Raises RedisError or OSError when a node that is needed does not answer."""
        try:
            replies = await self._send(commands)
        except BaseException:
            # Also of one that is called off: another node may answer for those keys by now, and one that is
            # not there any more tells nobody who.
            self._shares = ()
            raise
        moved = [place for place, reply in enumerate(replies) if _is_elsewhere(reply)]
        if moved:
            self._shares = ()
            again = await self._send([commands[place] for place in moved])
            for place, reply in zip(moved, again, strict=True):
                replies[place] = reply
        return replies

    async def close(self) -> None:
        links, self._links = self._links, {}
        self._shares = ()
        for link in links.values():
            await link.close()

    def reason(self, error: Exception) -> str:
        """Why there is no answer, in plain words and without a secret."""
        return self._asked.reason(error)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        self._shares = self._shares or await shares(self._source, self._seconds)
        places: dict[str, list[int]] = {}
        replies: list[Any] = [_NOWHERE] * len(commands)
        for place, command in enumerate(commands):
            if (url := self._where(command)) is not None:
                places.setdefault(url, []).append(place)
        await _all(self._ask(url, mine, commands, replies) for url, mine in places.items())
        gone: dict[str, list[int]] = {}
        for place, reply in enumerate(replies):
            if isinstance(reply, ServerError) and reply.there:
                gone.setdefault(reply.there, []).append(place)
        # Afterwards: a link does one thing at a time, and the same node may just have been asked for its own.
        await _all(self._look_there(url, each, commands, replies) for url, each in gone.items())
        return replies

    async def _ask(
        self, url: str, mine: Sequence[int], commands: Sequence[Command], replies: list[Any]
    ) -> None:
        answers = await self._link(url).send([commands[place] for place in mine])
        for place, answer in zip(mine, answers, strict=True):
            replies[place] = answer

    async def _look_there(
        self, url: str, gone: Sequence[int], commands: Sequence[Command], replies: list[Any]
    ) -> None:
        """Ask the node that has those keys of a slot on its way already; without it only they are unknown."""
        # It answers for them when each question is announced, and only then.
        wait = self._seconds * _PATIENCE
        told = [word for place in gone for word in (_ASKING, commands[place])]
        try:
            async with asyncio.timeout(wait):
                answers: Sequence[Any] = (await self._link(url).send(told))[1::2]
        except (AuthenticationError, TooMuchError):
            raise  # After these all are asked in another way.
        except (RedisError, OSError) as error:
            why = silence(wait) if isinstance(error, TimeoutError) else self._link(url).reason(error)
            answers = [ServerError(why)] * len(gone)
        for place, answer in zip(gone, answers, strict=True):
            replies[place] = answer

    def _link(self, url: str) -> Link:
        link = self._links.get(url)
        if link is None:
            link = self._links[url] = Link(replace(self._source, url=url), self._seconds)
        return link

    def _where(self, command: Command) -> str | None:
        """The node to ask: of the key, or any for what every node knows alike; None when none can answer."""
        word = str(command.words[0]).upper()
        if word in _OF_ALL_NODES:
            return None
        index = 2 if word in _KEY_COMES_LATER else 1
        if len(command.words) <= index:
            return self._shares[0].url
        return node(self._shares, str(command.words[index]))


async def _all(asked: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all, or until one fails; then the others are over too: a link does one thing at a time."""
    tasks = [asyncio.ensure_future(each) for each in asked]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_elsewhere(reply: Any) -> bool:
    return isinstance(reply, ServerError) and reply.is_elsewhere
