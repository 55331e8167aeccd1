"""Redis that moves: behind sentinels, which name the master, and as a cluster with keys on several nodes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.model.action import RedisTransition, RedisUnit, RedisWrite
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import RedisQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers import redis_cluster
from backends.readers.redis import RedisFactReader
from backends.redis_place import Share, master, shares
from backends.writers.redis import RedisEffector
from tests.conftest import started
from tests.contract.faulty import Fault, Faulty, redis_commands
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer, start_redis

KEYS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


def source(url: str, deadline: float = 10.0) -> Source:
    return Source("redis", SourceKind.REDIS, "Redis", url, every=1.0, deadline=deadline)


def fact(op: str, key: str) -> Fact:
    return Fact(f"{op}.{key}", key, "test", "redis", RedisQuery(op, key), ValueType.TEXT)


async def seen(reader: RedisFactReader, *facts: Fact) -> list[Finding]:
    found = await reader.read(facts)
    return [found[each.id] for each in facts]


async def put(effector: RedisEffector, key: str, value: str) -> ReceiptKind:
    step = Step("set", "Set it", RedisWrite("redis", "set", key, value), (), 5.0, 5.0)
    return (await effector.act(step.action, {}, step)).kind


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[RedisServer, ...]]:
    """The sentinel, the master it guards, and the replica."""
    first = started("Redis", start_redis)
    second = started("Redis", lambda: start_redis("--replicaof", "127.0.0.1", str(first.port)))
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"sentinel monitor desk 127.0.0.1 {first.port} 1\n"
        "sentinel down-after-milliseconds desk 500\nsentinel failover-timeout desk 3000\n"
    )
    sentinel = started("Sentinel", lambda: start_redis(config=config, arguments=("--sentinel",)))
    link = b"master_link_status:up"
    wait_until(lambda: link in second.command("INFO", "replication"), 15, "the replica in step")
    wait_until(
        lambda: b"slaves=1" in sentinel.command("INFO", "sentinel"), 20, "the sentinel knows the replica"
    )
    yield sentinel, first, second
    for server in (sentinel, second, first):
        server.stop()


def is_named(sentinel: RedisServer, server: RedisServer) -> bool:
    """Whether it says that this is the master: from its promotion on, before it has told the others."""
    return str(server.port).encode() in sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "desk")


async def test_reads_and_writes_go_to_the_master_the_sentinels_name(
    guarded: tuple[RedisServer, ...],
) -> None:
    sentinel, first, second = guarded
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/desk/0"
    reader, effector = RedisFactReader(source(url)), RedisEffector(source(url))
    assert await put(effector, "mode", "halt") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halt"))]
    wait_until(lambda: b"halt" in second.command("GET", "mode"), 20, "the replica has it")

    first.pause()
    wait_until(lambda: is_named(sentinel, second), 20, "the replica promoted")
    assert await put(effector, "mode", "halted again") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halted again"))]
    first.resume()
    await reader.close()
    await effector.close()


@pytest.fixture
def vanished() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield int(door.getsockname()[1])


async def test_a_sentinel_on_a_host_that_vanished_keeps_nobody_from_the_others(
    guarded: tuple[RedisServer, ...], vanished: int
) -> None:
    url = f"redis+sentinel://127.0.0.1:{vanished},127.0.0.1:{guarded[0].port}/desk/0"
    reader, effector = RedisFactReader(source(url)), RedisEffector(source(url))
    assert await put(effector, "mode", "halt") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halt"))]
    await reader.close()
    await effector.close()


async def test_the_master_of_the_last_failover_outranks_one_that_a_cut_off_sentinel_names(
    guarded: tuple[RedisServer, ...], redis_db: RedisServer, tmp_path: Path
) -> None:
    sentinel, _, second = guarded
    config = tmp_path / "cut-off.conf"
    config.write_text(f"sentinel monitor desk 127.0.0.1 {redis_db.port} 1\n")
    cut_off = started("Sentinel", lambda: start_redis(config=config, arguments=("--sentinel",)))
    wait_until(lambda: sentinel.command("SENTINEL", "FAILOVER", "desk") == b"+OK\r\n", 20, "an able replica")
    wait_until(lambda: is_named(sentinel, second), 20, "the failover")
    there = source(f"redis+sentinel://127.0.0.1:{cut_off.port},127.0.0.1:{sentinel.port}/desk/0")
    found = [(await master(there, 4.0)).url for _ in range(10)]
    cut_off.stop()
    assert found == [f"redis://127.0.0.1:{second.port}/0"] * 10


async def test_a_master_is_named_in_one_round_trip_for_a_stop_waits_for_it(tmp_path: Path) -> None:
    config = tmp_path / "sentinel.conf"
    config.write_text("sentinel monitor desk 127.0.0.1 1 1\n")
    sentinel = started("Sentinel", lambda: start_redis(config=config, arguments=("--sentinel",)))
    async with Faulty(sentinel.port) as door:
        url = f"redis+sentinel://127.0.0.1:{door.port}/desk/0"
        assert (await master(source(url), 10.0)).url == "redis://127.0.0.1:1/0"
        assert (door.bursts, door.connections) == (1, 1)
    sentinel.stop()


async def test_without_a_sentinel_nobody_is_asked() -> None:
    nobody = RedisFactReader(source("redis+sentinel://127.0.0.1:1/desk"))
    with pytest.raises(SourceError, match="no sentinel answers with a master that is up"):
        await nobody.read([fact("get", "mode")])


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[RedisServer]]:
    """Two masters that share the slots."""
    nodes = [started("Redis", lambda: start_redis("--cluster-enabled", "yes")) for _ in range(2)]
    half = 16384 // 2
    for server, slots in zip(nodes, (range(half), range(half, 16384)), strict=True):
        assert server.command("CLUSTER", "ADDSLOTS", *map(str, slots)) == b"+OK\r\n"
    nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port))
    for server in nodes:
        wait_until(
            lambda server=server: (
                b"cluster_state:ok" in server.command("CLUSTER", "INFO")
                and b"cluster_known_nodes:2" in server.command("CLUSTER", "INFO")
            ),
            15,
            "the cluster whole",
        )
    yield nodes
    for server in nodes:
        server.stop()


async def test_where_a_key_is_is_told_in_one_round_trip_for_a_stop_waits_for_it(
    cluster: list[RedisServer],
) -> None:
    async with Faulty(cluster[0].port) as door:
        assert await shares(source(f"redis+cluster://127.0.0.1:{door.port}"), 10.0)
        assert (door.bursts, door.connections) == (1, 1)


async def test_every_key_of_a_cluster_is_found_on_its_node(cluster: list[RedisServer]) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster[1].port},127.0.0.1:{cluster[0].port}"
    reader, effector = RedisFactReader(source(url)), RedisEffector(source(url))
    for key in KEYS:
        assert await put(effector, key, key.upper()) is ReceiptKind.DONE
    found = await seen(reader, *(fact("get", key) for key in KEYS))
    assert found == [Found(SafeText(key.upper())) for key in KEYS]
    sizes = [int(server.command("DBSIZE")[1:]) for server in cluster]
    assert all(sizes), "the keys should lie on both nodes"
    await reader.close()
    await effector.close()


async def test_a_node_on_a_host_that_vanished_keeps_nobody_from_the_others(
    cluster: list[RedisServer], vanished: int
) -> None:
    reader = RedisFactReader(source(f"redis+cluster://127.0.0.1:{vanished},127.0.0.1:{cluster[0].port}"))
    assert await seen(reader, fact("get", "not.there")) == [Absent()]
    await reader.close()


@pytest.mark.parametrize("lost", ["refuses", "hangs"])
async def test_after_a_failover_the_node_that_took_over_is_asked(
    lost: str, redis_db: RedisServer, vanished: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_db.command("SET", "mode", "halt")
    ports = [1 if lost == "refuses" else vanished, redis_db.port]

    async def shares(_: Source, __: float) -> list[Share]:
        return [Share(0, 16383, f"redis://127.0.0.1:{ports.pop(0)}/0")]

    monkeypatch.setattr(redis_cluster, "shares", shares)
    reader = RedisFactReader(source("redis+cluster://127.0.0.1:1", deadline=2.0))
    with pytest.raises(SourceError):
        await seen(reader, fact("get", "mode"))
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halt"))]
    await reader.close()


def moved(cluster: list[RedisServer], key: str) -> None:
    """Give the slot of ``key``, which holds nothing, to the other node."""
    slot = cluster[0].command("CLUSTER", "KEYSLOT", key)[1:].strip().decode()
    ids = [server.command("CLUSTER", "MYID").splitlines()[1].decode() for server in cluster]
    owner = int(int(slot) >= 16384 // 2)
    for server in (cluster[1 - owner], cluster[owner]):
        assert server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[1 - owner]) == b"+OK\r\n"


async def test_a_slot_that_went_to_another_node_is_followed(cluster: list[RedisServer]) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    reader, effector = RedisFactReader(source(url)), RedisEffector(source(url))
    assert await seen(reader, fact("get", "wanders")) == [Absent()]
    moved(cluster, "wanders")
    assert await seen(reader, fact("get", "wanders")) == [Absent()]
    assert await put(effector, "wanders", "halt") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "wanders")) == [Found(SafeText("halt"))]
    await reader.close()
    await effector.close()


async def test_a_key_of_a_slot_that_is_on_its_way_is_asked_for_where_it_is(
    cluster: list[RedisServer],
) -> None:
    """While a cluster is made larger a slot lies on two nodes, for minutes; what went over is there alone."""
    url = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    reader, effector = RedisFactReader(source(url)), RedisEffector(source(url))
    key, switch, beside, nowhere = "{far}.mode", "{far}.switch", "{far}.beside", "{far}.nowhere"
    assert await put(effector, key, "trade") is ReceiptKind.DONE
    assert await put(effector, switch, '{"state": "ACTIVE"}') is ReceiptKind.DONE
    slot = cluster[0].command("CLUSTER", "KEYSLOT", key)[1:].strip().decode()
    owner, other = cluster if int(slot) < 16384 // 2 else cluster[::-1]
    ids = [server.command("CLUSTER", "MYID").splitlines()[1].decode() for server in (owner, other)]
    assert other.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0]) == b"+OK\r\n"
    assert owner.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1]) == b"+OK\r\n"
    assert await put(effector, key, "trade on") is ReceiptKind.DONE
    for each in (key, switch):
        assert owner.command("MIGRATE", "127.0.0.1", str(other.port), each, "0", "5000") == b"+OK\r\n"

    own = next(each for each in KEYS if other.command("SET", each, "own") == b"+OK\r\n")
    wanted = fact("get", key), fact("get", nowhere), fact("get", own)
    step = Step("set", "Set it", RedisWrite("redis", "set", key, ""), (), 5.0, 5.0)
    for pause in ("0", "300"):  # its own answer is still to come when the others are to be asked for there
        assert other.command("CLIENT", "PAUSE", pause) == b"+OK\r\n"
        assert await seen(reader, *wanted) == [Found(SafeText("trade on")), Absent(), Found(SafeText("own"))]
    assert await put(effector, key, "halt") is ReceiptKind.DONE
    engage = RedisTransition("redis", switch, "state", ("ACTIVE",), "ENGAGED")
    assert (await effector.act(engage, {}, step)).kind is ReceiptKind.DONE
    assert await seen(reader, fact("get", switch)) == [Found(SafeText('{"state":"ENGAGED"}'))]
    both = RedisUnit(
        "redis", (RedisWrite("redis", "set", beside, "1"), RedisWrite("redis", "set", key, "halted"))
    )
    await put(effector, beside, "0")
    assert (await effector.act(both, {}, step)).kind is ReceiptKind.DONE
    assert await seen(reader, *wanted) == [Found(SafeText("halted")), Absent(), Found(SafeText("own"))]

    for server in (other, owner):
        assert server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[1]) == b"+OK\r\n"
    assert await seen(reader, *wanted) == [Found(SafeText("halted")), Absent(), Found(SafeText("own"))]
    await reader.close()
    await effector.close()


@pytest.mark.parametrize("lost", ["refuses", "hangs"])
async def test_only_keys_that_are_on_their_way_to_a_lost_node_are_unknown(
    lost: str, redis_db: RedisServer, vanished: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = 1 if lost == "refuses" else vanished

    async def say_there(asked: asyncio.StreamReader, told: asyncio.StreamWriter) -> None:
        while piece := await asked.read(65_536):
            told.write(f"-ASK 1 127.0.0.1:{there}\r\n".encode() * len(redis_commands(piece)))
        told.close()

    owner = await asyncio.start_server(say_there, "127.0.0.1", 0)
    ports = owner.sockets[0].getsockname()[1], redis_db.port
    low, high = (
        Share(first, first + 8191, f"redis://127.0.0.1:{port}/0")
        for first, port in zip((0, 8192), ports, strict=True)
    )

    async def shares(_: Source, __: float) -> list[Share]:
        return [low, high]

    monkeypatch.setattr(redis_cluster, "shares", shares)
    away, kept = "alpha", "beta"
    redis_db.command("SET", kept, "halt")
    reader = RedisFactReader(source("redis+cluster://127.0.0.1:1", deadline=4.0))
    unknown, known = await seen(reader, fact("get", away), fact("get", kept))
    assert known == Found(SafeText("halt"))
    assert isinstance(unknown, Broken)
    assert ("refuses the connection" if lost == "refuses" else "no answer within") in unknown.why
    await reader.close()
    owner.close()


async def test_a_node_that_was_slow_while_another_refused_is_asked_anew(
    redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_db.command("SET", "beta", "halt")
    async with Faulty(redis_db.port, Fault.HANG) as slow:
        ports = [1, slow.port]

        async def shares(_: Source, __: float) -> list[Share]:
            return [
                Share(first, first + 8191, f"redis://127.0.0.1:{port}/0")
                for first, port in zip((0, 8192), ports, strict=True)
            ]

        monkeypatch.setattr(redis_cluster, "shares", shares)
        reader = RedisFactReader(source("redis+cluster://127.0.0.1:1", deadline=4.0))
        with pytest.raises(SourceError, match="refuses the connection"):
            await seen(reader, fact("get", "alpha"), fact("get", "beta"))
        slow.fault = Fault.NONE
        assert await seen(reader, fact("get", "beta")) == [Found(SafeText("halt"))]
        await reader.close()


async def test_writes_that_belong_together_and_lie_on_several_nodes_are_made_by_none(
    cluster: list[RedisServer],
) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    effector, reader = RedisEffector(source(url)), RedisFactReader(source(url))
    writes = tuple(RedisWrite("redis", "set", f"apart:{key}", "1") for key in KEYS)
    step = Step("set", "Set them", RedisUnit("redis", writes), (), 5.0, 5.0)
    receipt = await effector.act(step.action, {}, step)
    assert receipt.kind is ReceiptKind.FAILED
    assert await seen(reader, *(fact("get", f"apart:{key}") for key in KEYS)) == [Absent()] * len(KEYS)
    together = RedisUnit("redis", tuple(replace(each, key=f"{{one}}{each.key}") for each in writes))
    assert (await effector.act(together, {}, step)).kind is ReceiptKind.DONE
    await reader.close()
    await effector.close()


async def test_what_one_node_cannot_know_is_no_answer(cluster: list[RedisServer]) -> None:
    reader = RedisFactReader(source(f"redis+cluster://127.0.0.1:{cluster[0].port}"))
    counted = Fact("n", "n", "test", "redis", RedisQuery("scan", "*"), ValueType.COUNT)
    [found] = await seen(reader, counted)
    assert isinstance(found, Broken) and "each node has its own answer" in found.why
    await reader.close()
