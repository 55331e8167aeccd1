"""A name that was moved to another machine: connections kept to the old one, which lives on, are given up."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.model.fact import Fact, Found, SourceError, ValueType
from backends.model.procedure import ReceiptKind
from backends.model.query import DockerQuery, HttpQuery, PrometheusQuery, SqlQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers.docker import DockerServiceReader
from backends.readers.docker_fact import DockerFactReader
from backends.readers.http import HttpFactReader
from backends.readers.postgres import PostgresFactReader
from backends.readers.prometheus import PrometheusFactReader
from backends.readers.redis import RedisFactReader
from backends.web import Web
from backends.writers.redis import RedisEffector
from tests.conftest import started
from tests.contract.docker_place import spec
from tests.contract.http_server import HANG, Answer, HttpServer
from tests.contract.names import NAME, NEW, OLD, Names, told_names
from tests.contract.test_redis_far import fact, put, seen
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer, start_redis


@pytest.fixture
def servers() -> Iterator[tuple[RedisServer, RedisServer]]:
    """The old machine's and the new one's."""
    old = started("Redis", start_redis)
    new = started("Redis", lambda: start_redis("--bind", OLD, NEW))
    yield old, new
    for server in (old, new):
        server.stop()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return told_names(monkeypatch)


async def redis_by_name() -> tuple[RedisEffector, RedisFactReader]:
    """Who writes to the Redis of that name, warm, and who reads from it."""
    there = Source("redis", SourceKind.REDIS, "Redis", f"redis://{NAME}:6379/0", every=1.0, deadline=10.0)
    effector = RedisEffector(there)
    await effector.warm()
    return effector, RedisFactReader(there)


async def test_a_stop_goes_to_the_machine_that_the_name_means_now(
    servers: tuple[RedisServer, RedisServer], names: Names
) -> None:
    old, new = servers
    names.place = (OLD, old.port)
    effector, reader = await redis_by_name()
    assert await put(effector, "mode", "trade") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("trade"))]

    names.place = (NEW, new.port)
    assert await put(effector, "mode", "halt") is ReceiptKind.DONE
    assert b"halt" in new.command("GET", "mode")
    assert b"trade" in old.command("GET", "mode")
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halt"))]
    await effector.close()
    await reader.close()


async def test_a_connection_that_works_outlives_the_name_server(
    servers: tuple[RedisServer, RedisServer], names: Names
) -> None:
    old, _ = servers
    names.place = (OLD, old.port)
    effector, reader = await redis_by_name()
    assert await seen(reader, fact("exists", "mode")) != []

    names.place = None
    assert await put(effector, "mode", "halt") is ReceiptKind.DONE
    assert await seen(reader, fact("get", "mode")) == [Found(SafeText("halt"))]
    await effector.close()
    await reader.close()


async def test_a_page_is_that_of_the_machine_that_the_name_means_now(names: Names) -> None:
    async with HttpServer(OLD) as old, HttpServer(NEW, old.port) as new:
        old.answers["/mode"], new.answers["/mode"] = Answer(200, b'"trade"'), Answer(200, b'"halt"')
        names.place = (OLD, old.port)
        web = Web()
        reader = HttpFactReader(
            Source("web", SourceKind.HTTP, "Web", f"http://{NAME}:{old.port}", every=1.0, deadline=10.0), web
        )
        mode = Fact("mode", "Mode", "test", "web", HttpQuery("/mode"), ValueType.TEXT)
        assert await reader.read([mode]) == {"mode": Found(SafeText("trade"))}
        assert await reader.read([mode]) == {"mode": Found(SafeText("trade"))}
        assert old.connections == 1, "a name that stays costs no new connection"

        names.place = (NEW, new.port)
        assert await reader.read([mode]) == {"mode": Found(SafeText("halt"))}
        assert await reader.read([mode]) == {"mode": Found(SafeText("halt"))}
        assert new.connections == 1
        await reader.close()
        await web.aclose()


def engine(server: HttpServer, name: str, version: str) -> None:
    """What an engine says, of itself and of its one container."""
    server.answers["/version"] = Answer(200, b'{"ApiVersion":"%b"}' % version.encode())
    said = {
        "info": {"ServerVersion": "27", "Name": name},
        "containers/json": [
            {"Id": name, "Names": ["/redis"], "State": "exited", "Status": "Exited (0)", "Image": "redis",
             "ImageID": "sha256:1", "Labels": {}, "Created": 1}
        ],
        f"containers/{name}/json": {},
    }  # fmt: skip
    for path, body in said.items():
        server.answers[f"/v{version}/{path}"] = Answer(200, json.dumps(body).encode())


async def test_containers_are_those_of_the_machine_that_the_name_means_now(names: Names) -> None:
    async with HttpServer(OLD) as old, HttpServer(NEW, old.port) as new:
        engine(old, "old", "1.41")
        engine(new, "new", "1.44")
        names.place = (OLD, old.port)
        place = Source("docker", SourceKind.DOCKER, "Docker", f"tcp://{NAME}:{old.port}", 1.0, 2.0)
        reader = DockerFactReader(place, ())
        services = DockerServiceReader(place, [spec("redis", "redis")], is_streaming=False)
        who = Fact("who", "Who", "test", "docker", DockerQuery("info"), ValueType.TEXT, pick="Name")
        for _ in range(2):
            assert await reader.read([who]) == {"who": Found(SafeText("old"))}
            await services.services()
        assert old.connections == 2, "a name that stays costs no new connection"

        names.place, asked = (NEW, new.port), len(old.requests)
        assert await reader.read([who]) == {"who": Found(SafeText("new"))}
        await services.services()
        assert len(old.requests) == asked
        await reader.close()
        await services.close()


async def asked_for_events(server: HttpServer) -> None:
    while not any("/events" in request.target for request in server.requests):  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("by", ["name", "context"])
async def test_what_happens_is_heard_from_the_engine_that_the_address_means_now(
    by: str, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context is changed by the docker command while the room is open; an order goes to the new engine."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    about = tmp_path / "contexts/meta" / hashlib.sha256(b"desk").hexdigest() / "meta.json"
    about.parent.mkdir(parents=True)

    def lead_to(address: str, port: int) -> None:
        if by == "name":
            names.place = (address, port)
        else:
            about.write_text(json.dumps({"Endpoints": {"docker": {"Host": f"tcp://{address}:{port}"}}}))

    async with HttpServer(OLD) as old, HttpServer(NEW, old.port) as new:
        for server, name, version in ((old, "old", "1.41"), (new, "new", "1.44")):
            engine(server, name, version)
            server.answers[f"/v{version}/events"] = Answer(HANG)
        lead_to(OLD, old.port)
        url = "context://desk" if by == "context" else f"tcp://{NAME}:{old.port}"
        services = DockerServiceReader(
            Source("docker", SourceKind.DOCKER, "Docker", url, 1.0, 2.0), [spec("redis", "redis")]
        )
        for _ in range(2):
            assert str((await services.services())["redis"].ident) == "old"
        async with asyncio.timeout(10):
            await asked_for_events(old)

        lead_to(NEW, new.port)
        assert str((await services.services())["redis"].ident) == "new"
        async with asyncio.timeout(10):
            await asked_for_events(new)
        assert sum("/events" in request.target for request in old.requests) == 1
        await services.close()


async def test_where_the_way_to_another_engine_is_shut_nothing_more_is_read_from_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the way is tried once a poll: over ssh each attempt may take all the time there is."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    about = tmp_path / "contexts/meta" / hashlib.sha256(b"desk").hexdigest() / "meta.json"
    about.parent.mkdir(parents=True)
    ssh, tried = tmp_path / "ssh", tmp_path / "tried"
    ssh.write_text(f"#!/bin/sh\necho once >> {tried}\necho shut >&2\nexit 255\n")
    ssh.chmod(0o755)

    def lead_to(host: str) -> None:
        about.write_text(json.dumps({"Endpoints": {"docker": {"Host": host}}}))

    async with HttpServer(OLD) as old:
        engine(old, "old", "1.41")
        old.answers["/v1.41/images/json"] = Answer(200, b"[]")
        lead_to(f"tcp://{OLD}:{old.port}")
        reader = DockerFactReader(
            Source("docker", SourceKind.DOCKER, "Docker", "context://desk", every=1.0, deadline=2.0), ()
        )
        who = Fact("who", "Who", "test", "docker", DockerQuery("info"), ValueType.TEXT, pick="Name")
        images = Fact("images", "Images", "test", "docker", DockerQuery("images"), ValueType.COUNT)
        first = {"who": Found(SafeText("old")), "images": Found(0)}
        assert await reader.read([who, images]) == first

        lead_to("ssh://far")
        asked = len(old.requests)
        for polls in (1, 2):
            with pytest.raises(SourceError, match="ssh: shut"):
                await reader.read([who, images])
            assert tried.read_text().count("once") == polls
        assert len(old.requests) == asked

        lead_to(f"tcp://{OLD}:{old.port}")
        assert await reader.read([who, images]) == first
        await reader.close()


async def test_a_metric_is_that_of_the_machine_that_the_name_means_now(names: Names) -> None:
    def series(value: str) -> Answer:
        result = [{"metric": {}, "value": [1.0, value]}]
        said = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return Answer(200, json.dumps(said).encode())

    async with HttpServer(OLD) as old, HttpServer(NEW, old.port) as new, Web() as web:
        old.answers["/api/v1/query"], new.answers["/api/v1/query"] = series("1"), series("2")
        names.place = (OLD, old.port)
        place = Source("prom", SourceKind.PROMETHEUS, "Prometheus", f"http://{NAME}:{old.port}", 1.0, 5.0)
        reader = PrometheusFactReader(place, web)
        up = Fact("up", "Up", "test", "prom", PrometheusQuery("query", "up"), ValueType.INT)
        for _ in range(2):
            assert await reader.read([up]) == {"up": Found(1)}
        assert old.connections == 1, "a name that stays costs no new connection"

        names.place = (NEW, new.port)
        assert await reader.read([up]) == {"up": Found(2)}
        await reader.close()


async def test_a_row_is_not_read_from_the_machine_that_the_name_meant_before(
    names: Names, postgres_server: PostgresServer
) -> None:
    url = f"postgresql://{NAME}:{postgres_server.port}/postgres"
    reader = PostgresFactReader(Source("db", SourceKind.POSTGRES, "DB", url, 1.0, 2.0, username="postgres"))
    one = Fact("n", "n", "test", "db", SqlQuery("SELECT 1 AS n"), ValueType.INT, pick="n")
    assert await reader.read([one]) == {"n": Found(1)}

    names.place = (NEW, 0)
    with pytest.raises(SourceError, match="nothing listens there"):
        await reader.read([one])
    names.place = (OLD, 0)
    assert await reader.read([one]) == {"n": Found(1)}
    await reader.close()
