"""How the tests ask a real Redis through the reader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backends.model.fact import Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import RedisQuery
from backends.model.stack import Source, SourceKind
from backends.readers.redis import RedisFactReader
from tests.servers.redis import RedisServer

TEXT, INT, COUNT, TABLE = ValueType.TEXT, ValueType.INT, ValueType.COUNT, ValueType.TABLE


def fact(op: str, key: str, kind: ValueType = TEXT, pick: str | None = None, **more: Any) -> Fact:
    ident = f"{op} {key} {pick} {kind.value} {more}"
    return Fact(ident, "F", "g", "redis", RedisQuery(op, key, **more), kind, pick)


def source(port: int, db: int = 0, deadline: float = 10.0, **more: Any) -> Source:
    url = f"redis://127.0.0.1:{port}/{db}"
    return Source("redis", SourceKind.REDIS, "Redis", url, every=1.0, deadline=deadline, **more)


@asynccontextmanager
async def reading(port: int, **more: Any) -> AsyncIterator[RedisFactReader]:
    reader = RedisFactReader(source(port, **more))
    try:
        yield reader
    finally:
        await reader.close()


async def read_one(port: int, asked: Fact, **more: Any) -> Finding:
    async with reading(port, **more) as reader:
        return (await reader.read([asked]))[asked.id]


async def value(server: RedisServer, asked: Fact) -> Any:
    found = await read_one(server.port, asked)
    assert isinstance(found, Found), found
    return found.value


async def why(port: int, asked: Fact, **more: Any) -> str:
    found = await read_one(port, asked, **more)
    assert isinstance(found, Broken), found
    return str(found.why)


async def failure(port: int, **more: Any) -> str:
    async with reading(port, **more) as reader:
        with pytest.raises(SourceError) as caught:
            await reader.read([fact("get", "k")])
        return str(caught.value)


def fill(server: RedisServer) -> None:
    server.command("SET", "state", '{"state": "ACTIVE", "by": null}')
    server.command("SET", "number", "150")
    server.command("SET", "empty", "")
    server.command("HSET", "hash", "qty", "5", "note", "")
    server.command("RPUSH", "list", '{"event":"ENGAGED"}', '{"event":"DISENGAGED"}')
    server.command("SADD", "set", "a", "b", "c")
    server.command("ZADD", "zset", "1", "old", "2", "new")
    server.command("XADD", "stream", "1-0", "symbol", "AAPL")
    server.command("XADD", "stream", "2-0", "symbol", "MSFT")
    server.command("SET", "leased", "x", "EX", "300")
    server.command("SET", "quarantine:*:AAPL", "orphan_order_detected")
