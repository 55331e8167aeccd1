"""Which server a Redis address means now: itself, the master that its sentinels name, or a cluster's node.

``redis+sentinel://one:26379,two:26379/NAME/DB`` and ``redis+cluster://one:6379,two:6379`` (``rediss+cluster``
with TLS). The credentials of the source are for the data servers; sentinels are asked without any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from backends.model.stack import Source

T = TypeVar("T")

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
    """The source with the address of the master that the first sentinel to answer names. Raises RedisError or
    OSError."""
    parts = urlsplit(source.url)
    name, _, database = parts.path.strip("/").partition("/")
    sentinels = _hosts(parts.netloc, _PORTS[SENTINEL])
    host, port = await _first([_named(each, name, seconds) for each in sentinels])
    return replace(source, url=f"redis://{_written(host)}:{port}/{database or 0}")


async def _named(place: tuple[str, int], name: str, seconds: float) -> tuple[str, int]:
    """The master that one sentinel names."""
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py types it in part
        [place],
        sentinel_kwargs={
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        },
    )
    try:
        host, port = await sentinel.discover_master(name)
    except MasterNotFoundError:
        # Its own text shows the client's objects.
        raise MasterNotFoundError("no sentinel answers with a master that is up") from None
    finally:
        for each in sentinel.sentinels:
            await each.aclose()
    return str(host), int(port)


async def shares(source: Source, seconds: float) -> Sequence[Share]:
    """Who answers for which slots, as the first node to answer tells. Raises RedisError or OSError."""
    parts = urlsplit(source.url)
    scheme = parts.scheme.removesuffix("+cluster")
    nodes = _hosts(parts.netloc, _PORTS["redis"])
    return await _first([_told(source, scheme, each, seconds) for each in nodes])


async def _told(source: Source, scheme: str, place: tuple[str, int], seconds: float) -> Sequence[Share]:
    """The shares as one node tells them."""
    host, port = place
    client = Redis.from_url(
        f"{scheme}://{_written(host)}:{port}",
        username=source.username,
        password=source.password.reveal() if source.password is not None else None,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    try:
        told = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]  # as above
    finally:
        await client.aclose()
    return _understood(told, scheme, host)


async def _first(questions: Sequence[Coroutine[Any, Any, T]]) -> T:
    """What the first says that answers. All are asked at once: a host that vanished answers nothing, and all
    the time there is would be spent on it. Raises what the last one met."""
    asked = [asyncio.create_task(each) for each in questions]
    lost: Exception = RedisConnectionError("nobody is named who could be asked")
    try:
        for each in asyncio.as_completed(asked):
            try:
                return await each
            except (RedisError, OSError) as error:
                lost = error
        raise lost
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


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


def _written(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    found = []
    for each in netloc.rpartition("@")[2].split(","):
        parts = urlsplit(f"//{each}")
        found.append((str(parts.hostname), parts.port or port))
    return found
