"""What sentinels and a cluster name is an address that the client can use; what they do not name, words."""

from __future__ import annotations

from typing import NoReturn

import pytest
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import parse_url
from redis.exceptions import AskError, NoPermissionError, RedisError

from backends.model.action import RedisTransition
from backends.model.procedure import ReceiptKind, Step
from backends.model.stack import Source, SourceKind
from backends.redis_place import master, node, shares
from backends.writers.redis import RedisEffector

UP = {"config-epoch": 1, "is_master": True, "is_sdown": False, "is_odown": False}


def source(url: str) -> Source:
    return Source("redis", SourceKind.REDIS, "Redis", url, every=1.0, deadline=0.5)


def guard(monkeypatch: pytest.MonkeyPatch, named: tuple[bytes, int], **state: object) -> None:
    """A sentinel that names a master, and describes the one it still guards."""

    async def told(_: object) -> object:
        return {"desk": UP | state}, named

    monkeypatch.setattr(Pipeline, "execute", told)


async def test_a_master_may_have_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    guard(monkeypatch, (b"fe80::1", 6380), ip="fe80::1", port=6380)
    found = parse_url((await master(source("redis+sentinel://127.0.0.1:1/desk/2"), 0.5)).url)
    assert (found["host"], found["port"], found["db"]) == ("fe80::1", 6380, 2)


@pytest.mark.parametrize("is_down", [False, True])
async def test_who_was_promoted_is_the_master_while_the_other_replicas_are_still_turned_to_it(
    monkeypatch: pytest.MonkeyPatch, is_down: bool
) -> None:
    guard(monkeypatch, (b"10.0.0.2", 6379), ip="10.0.0.1", port=6379, is_odown=is_down)
    assert (await master(source("redis+sentinel://127.0.0.1:1/desk"), 0.5)).url == "redis://10.0.0.2:6379/0"


async def test_a_master_that_is_down_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    guard(monkeypatch, (b"10.0.0.1", 6379), ip="10.0.0.1", port=6379, is_odown=True)
    with pytest.raises(RedisError, match="no sentinel answers with a master that is up"):
        await master(source("redis+sentinel://127.0.0.1:1/desk"), 0.5)


async def test_a_node_of_a_cluster_may_have_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def told(*_: object, **__: object) -> object:
        return [[0, 16383, [b"fe80::1", 7000, b"id"]]], NoPermissionError("CLUSTER INFO")

    monkeypatch.setattr(Pipeline, "execute", told)
    found = parse_url(node(await shares(source("redis+cluster://[::1]:1"), 0.5), "key"))
    assert (found["host"], found["port"]) == ("fe80::1", 7000)


class OnItsWay:
    """A connection to a node that names another port of its own host for the key."""

    def __init__(self, host: str) -> None:
        self.host = host

    async def send_command(self, *_: str, **__: bool) -> None:
        pass

    async def read_response(self) -> NoReturn:
        raise AskError("7 :6381")

    async def disconnect(self, **_: bool) -> None:
        pass


@pytest.mark.parametrize(
    ("host", "there"),
    [("::1", ["redis://[::1]:6381/0"]), ("10.0.0.1", ["redis://10.0.0.1:6381/0"]), ("", [])],
)
async def test_a_key_on_its_way_to_a_node_without_a_host_is_looked_for_on_the_same_one_and_never_here(
    monkeypatch: pytest.MonkeyPatch, host: str, there: list[str]
) -> None:
    asked: list[str] = []

    async def opened(_: object, place: Source, *__: object) -> OnItsWay:
        if not place.url.startswith("redis+cluster"):
            asked.append(place.url)
            raise OSError
        return OnItsWay(host)

    monkeypatch.setattr(RedisEffector, "_open", opened)
    engage = RedisTransition("redis", "switch", "state", ("ACTIVE",), "ENGAGED")
    step = Step("stop", "Stop", engage, (), 1.0, 1.0)
    told = await RedisEffector(source("redis+cluster://[::1]:1")).act(engage, {}, step)
    assert (asked, told.kind) == (there, ReceiptKind.FAILED)


async def test_a_node_that_was_cut_off_is_believed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async def told(self: Pipeline, **_: object) -> object:
        own = self.connection_pool.connection_kwargs["port"]
        about = {"cluster_state": "fail" if own == 1 else "ok", "cluster_current_epoch": "3"}
        return [[0, 16383, [b"127.0.0.1", 7000 + own, b"id"]]], about

    monkeypatch.setattr(Pipeline, "execute", told)
    there = source("redis+cluster://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3")
    assert node(await shares(there, 0.5), "key") in ("redis://127.0.0.1:7002/0", "redis://127.0.0.1:7003/0")


async def test_that_no_sentinel_answers_is_said_without_the_clients_inner_life() -> None:
    with pytest.raises(RedisError) as caught:
        await master(source("redis+sentinel://127.0.0.1:1/desk"), 0.5)
    assert str(caught.value) == "no sentinel answers with a master that is up"
