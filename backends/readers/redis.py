"""Reads facts from one Redis database: all of a poll in one pipeline, never more than a bounded amount."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from redis.exceptions import AuthenticationError, RedisError

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Fact, Finding, SourceError, ValueType
from backends.model.query import RedisQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError
from backends.readers.extract import Same, broken, extract
from backends.readers.failure import silence
from backends.readers.redis_cluster import ClusterLink
from backends.readers.redis_ear import Ear
from backends.readers.redis_interview import Interview, Turn
from backends.readers.redis_link import Link, TooMuchError
from backends.readers.redis_question import shared
from backends.redis_place import is_cluster, is_guarded, master

_SHARE = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""

_HEARD = "heard"
_EAR = 0.25
"""Part of what is left of the time in which a channel is listened to."""
_NOT_HERE = "in a cluster a node that is cut off sounds like silence; listen to a Redis of its own"

_UNGUARDED = "no sentinel answers with a master that is up"


class RedisFactReader:
    """A FactReader that sends reads only and keeps one connection between polls.

    One round trip answers strings, lengths, times to live and scans of a small database. Entries of
    collections and fields of hashes take a second one, after their size is known.
    """

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self._source = source
        self._clock = clock or SystemClock()
        self._seconds = source.deadline * _SHARE
        self._link: Link | ClusterLink | None = None
        self._master = source
        """The source as it is reached: with sentinels, the master they named last."""
        self._is_careful = False
        self._same = Same()
        self._ears: dict[str, Ear] = {}
        self._asked_wall = 0.0
        """When the server was last asked for its clock: halfway between question and answer."""

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when not even the first pipeline was answered."""
        asked = [fact.query for fact in facts if isinstance(fact.query, RedisQuery)]
        interview = Interview([shared(query) for query in asked if query.op != _HEARD], self._is_careful)
        ends = asyncio.get_running_loop().time() + self._seconds
        reason = await self._ask(interview)
        self._is_careful = interview.is_careful
        if reason and not interview.was_heard:
            raise SourceError(reason)
        await self._listen(facts, ends, reason)
        return {fact.id: self._finding(fact, interview, reason) for fact in facts}

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        for ear in self._ears.values():
            await ear.close()

    async def _listen(self, facts: Sequence[Fact], ends: float, reason: str | None) -> None:
        """Hear what was published, in a part of the time until ``ends`` by the loop's clock: what the server
        was asked is handed over in time, whatever becomes of this."""
        if is_cluster(self._source):
            return
        for channel in dict.fromkeys(_channel(fact) for fact in facts):
            if channel is None:
                continue
            if channel not in self._ears:
                self._ears[channel] = Ear(self._master, channel, self._clock, self._seconds)
            ear = self._ears[channel]
            await ear.move(self._master)
            ear.remember([fact for fact in facts if _channel(fact) == channel])
            left = (ends - asyncio.get_running_loop().time()) * _EAR
            if reason is not None or left <= 0:
                ear.wait(reason or silence(self._seconds))
            else:
                await ear.listen(left)

    async def _ask(self, interview: Interview) -> str | None:
        """Ask everything; the reason why not all of it was answered, or None."""
        link: Link | ClusterLink | None = None
        try:
            async with asyncio.timeout(self._seconds):
                link = await self._linked()
                for chunk in interview.rounds():
                    await self._hear(link, interview, chunk)
        except ValueError:
            return "its address is not one of a Redis server"
        except TimeoutError:
            return silence(self._seconds)
        except (RedisError, OSError) as error:
            if isinstance(error, AuthenticationError):
                # The next poll asks with what the secret is by then.
                await self.close()
            return link.reason(error) if link is not None else _UNGUARDED
        return None

    async def _linked(self) -> Link | ClusterLink:
        """The way to the server. Sentinels are asked each time: a master that was replaced still answers."""
        if is_guarded(self._source):
            now = await master(self._source, self._seconds)
            if now.url != self._master.url:
                await self.close()
                self._master = now
        if isinstance(self._link, Link) and await self._link.has_moved():
            await self.close()
        if self._link is None:
            make = ClusterLink if is_cluster(self._source) else Link
            self._link = make(self._master, self._seconds)
        return self._link

    async def _hear(self, link: Link | ClusterLink, interview: Interview, chunk: Sequence[Turn]) -> None:
        sent = self._clock.now()
        try:
            replies = await link.send([command for _, commands in chunk for command in commands])
        except TooMuchError:
            interview.too_much(chunk)
            return
        if any(query.op == "time" for query, _ in chunk):
            self._asked_wall = sent.wall + self._clock.now().since(sent) / 2
        interview.hear(chunk, replies)

    def _finding(self, fact: Fact, interview: Interview, reason: str | None) -> Finding:
        if not isinstance(fact.query, RedisQuery):
            return broken("asks Redis something that is no Redis read")
        if fact.query.op == _HEARD:
            return broken(_NOT_HERE) if is_cluster(self._source) else self._ears[fact.query.key].finding(fact)
        query = shared(fact.query)
        if query not in interview.answers:
            return broken(reason or "was not answered")
        answer = interview.answers[query]
        if isinstance(answer, MisfitError):
            return broken(str(answer))
        seen = self._seen(fact, fact.query, answer)
        if isinstance(seen, bytes):
            return self._same.finding(fact, seen, partial(extract, fact, seen))
        return extract(fact, seen)

    def _seen(self, fact: Fact, query: RedisQuery, answer: Any) -> Any:
        """The part of a shared answer that this fact is about."""
        if query.op == "info" and query.field is not None and isinstance(answer, dict):
            return answer.get(query.field)
        if query.op == "time" and fact.type is ValueType.FLOAT:
            # Seconds the server's clock is ahead of the room's.
            return answer - self._asked_wall
        return answer


def _channel(fact: Fact) -> str | None:
    """The channel that the fact is heard on."""
    query = fact.query
    return query.key if isinstance(query, RedisQuery) and query.op == _HEARD else None
