"""Which server a Redis address means now: itself, the master that its sentinels name, or a cluster's node.

``redis+sentinel://one:26379,two:26379/NAME/DB`` and ``redis+cluster://one:6379,two:6379`` (``rediss+cluster``
with TLS). The credentials of the source are for the data servers; sentinels are asked without any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from math import inf
from operator import itemgetter
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AskError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from backends.model.stack import Source

T = TypeVar("T")

Rank = tuple[int, ...]
"""Of two answers, the one with the higher rank is newer."""

_GRACE: Final = 0.25
"""Part of the time in which the others may still answer once one has."""

SENTINEL: Final = "redis+sentinel://"
CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")
_PORTS: Final = {SENTINEL: 26379, "redis": 6379}


class Share(Struct, frozen=True):
    """The slots that one node of a cluster answers for."""

    first: int
    last: int
    url: str


def is_cluster(source: Source) -> bool:
    return source.url.startswith(CLUSTER)


def is_guarded(source: Source) -> bool:
    """Whether sentinels say where the server is."""
    return source.url.startswith(SENTINEL)


async def located(source: Source, key: str, seconds: float) -> Source:
    """The source with the plain address that serves ``key`` now. Raises RedisError or OSError."""
    if is_guarded(source):
        return await master(source, seconds)
    if is_cluster(source):
        return replace(source, url=node(await shares(source, seconds), key))
    return source


async def master(source: Source, seconds: float) -> Source:
    """The source with the address of the master that the sentinels name. Raises RedisError or OSError."""
    parts = urlsplit(source.url)
    name, _, database = parts.path.strip("/").partition("/")
    sentinels = _hosts(parts.netloc, _PORTS[SENTINEL])
    host, port = await _latest([_named(each, name, seconds) for each in sentinels], seconds)
    return replace(source, url=f"redis://{_written(host)}:{port}/{database or 0}")


async def _named(asked: tuple[str, int], name: str, seconds: float) -> tuple[Rank, tuple[str, int]]:
    """The master that one sentinel names, by the number of the failover that made it one."""
    sentinel = _client(f"redis://{_written(asked[0])}:{asked[1]}", seconds)
    try:
        # In one round trip: a stop waits for it.
        both = sentinel.pipeline(transaction=False)
        both.execute_command("SENTINEL MASTERS")
        # While the other replicas are turned to a new master, for minutes even, it is named by this alone.
        both.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", name)
        masters, named = await both.execute()
        state, place = masters[name], (named[0].decode(), int(named[1]))
        is_up = state["is_master"] and not state["is_sdown"] and not state["is_odown"]
        if is_up or place != (state["ip"], state["port"]):
            return (int(state["config-epoch"]),), place
    except (RedisError, OSError, LookupError, AttributeError, TypeError, ValueError):
        pass  # What the client says of it shows its objects.
    finally:
        await sentinel.aclose()
    raise MasterNotFoundError("no sentinel answers with a master that is up")


async def shares(source: Source, seconds: float) -> Sequence[Share]:
    """Who answers for which slots, as the nodes tell. Raises RedisError or OSError."""
    parts = urlsplit(source.url)
    scheme = parts.scheme.removesuffix("+cluster")
    nodes = _hosts(parts.netloc, _PORTS["redis"])
    return await _latest([_told(source, scheme, each, seconds) for each in nodes], seconds)


async def _told(
    source: Source, scheme: str, place: tuple[str, int], seconds: float
) -> tuple[Rank, Sequence[Share]]:
    """The shares as one node tells them; it may know that it is cut off, and from which failover on."""
    host, port = place
    password = source.password.reveal() if source.password is not None else None
    client = _client(f"{scheme}://{_written(host)}:{port}", seconds, source.username, password)
    try:
        both = client.pipeline(transaction=False)  # in one round trip, as above
        both.execute_command("CLUSTER SLOTS")
        both.execute_command("CLUSTER INFO")
        told, about = await both.execute(raise_on_error=False)
    finally:
        await client.aclose()
    if isinstance(told, Exception):
        raise told
    return _rank(about), _understood(told, scheme, host)


def _rank(about: Any) -> Rank:
    try:
        return int(about["cluster_state"] == "ok"), int(about["cluster_current_epoch"])
    except (LookupError, TypeError, ValueError):
        return 0, 0  # Who may not ask for it still learns where the slots are.


def _client(url: str, seconds: float, username: str | None = None, password: str | None = None) -> Redis:
    return Redis.from_url(
        url,
        username=username,
        password=password,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


async def _latest(questions: Sequence[Coroutine[Any, Any, tuple[Rank, T]]], seconds: float) -> T:
    """What those say who know of the latest failover. Raises what the last one met when nobody answers.

    Who was cut off with the master of before goes on naming it, and may well be the first to answer. Of most
    of them some know of the last failover: more are not waited for, nor those much longer than the first. A
    host that vanished answers nothing, and all the time there is would be spent on it.
    """
    loop = asyncio.get_running_loop()
    asked = [asyncio.create_task(each) for each in questions]
    going, heard, ends = set(asked), list[tuple[Rank, T]](), inf
    lost: Exception = RedisConnectionError("nobody is named who could be asked")
    try:
        while going and len(heard) <= len(asked) // 2:
            left = None if ends == inf else max(ends - loop.time(), 0.0)
            done, going = await asyncio.wait(going, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for each in done:
                try:
                    heard.append(each.result())
                except (RedisError, OSError) as error:
                    lost = error
            if heard:
                ends = min(ends, loop.time() + seconds * _GRACE)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if not heard:
        raise lost
    return max(heard, key=itemgetter(0))[1]


def peer(connection: Any) -> str | None:
    """The address that a connection of the client leads to; None for a socket file, and without one."""
    writer = connection._writer
    told = None if writer is None else writer.get_extra_info("peername")
    return str(told[0]) if isinstance(told, tuple) else None


def node(known: Sequence[Share], key: str) -> str:
    """The address of the node that holds ``key``. Raises RedisError when nobody answers for it."""
    slot = key_slot(key.encode())
    for share in known:
        if share.first <= slot <= share.last:
            return share.url
    raise RedisConnectionError(f"no node of the cluster answers for slot {slot}")


def _understood(told: object, scheme: str, asked: str) -> list[Share]:
    """The rows of ``CLUSTER SLOTS``; a node that does not know its own host is where it was asked."""
    if not isinstance(told, list):
        raise RedisConnectionError("what answers is no cluster")
    found = []
    for first, last, (host, port, *_), *_ in told:
        name = host.decode() if host else asked
        found.append(Share(int(first), int(last), f"{scheme}://{_written(name)}:{int(port)}/0"))
    return found


def gone_to(url: str, asked: str | None, error: AskError) -> str:
    """The address of the node that the one at the host ``asked`` names for a key of a slot that is on its
    way, as ``url`` is one; empty when that names no host: to the client it would be this machine."""
    host = error.host or asked
    scheme = urlsplit(url).scheme.removesuffix("+cluster")
    return f"{scheme}://{_written(host)}:{error.port}/0" if host else ""


def _written(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    found = []
    for each in netloc.rpartition("@")[2].split(","):
        parts = urlsplit(f"//{each}")
        found.append((str(parts.hostname), parts.port or port))
    return found
