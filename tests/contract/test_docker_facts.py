"""What a Docker Engine is asked beside the state of services: on a real engine, and on the demo's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, ValueType
from backends.model.query import DockerQuery
from backends.readers.docker_fact import DockerFactReader
from tests.contract.docker_one import BOTH, NAME, One, one_container
from tests.contract.docker_place import source, spec
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

TEXT, BOOL, COUNT, TABLE, INT = (
    ValueType.TEXT, ValueType.BOOL, ValueType.COUNT, ValueType.TABLE, ValueType.INT,
)  # fmt: skip


pytestmark = DOCKER


class Asked:
    """Asks the engine with one container."""

    def __init__(self, one: One) -> None:
        self.url = one.url
        self.image = one.image
        self.network = one.network

    async def ask(
        self, kind: ValueType, pick: str | None = None, service: str = "one", **query: Any
    ) -> Finding:
        services = [spec("one", NAME), spec("gone", "cr-no-such-container")]
        reader = DockerFactReader(source(self.url), services)
        query = DockerQuery(service=service or None, **query)
        try:
            return (await reader.read([Fact("f", "F", "G", "docker", query, kind, pick)]))["f"]
        finally:
            await reader.close()

    async def rows(self, service: str = "one", **query: Any) -> list[dict[str, str]]:
        found = await self.ask(TABLE, service=service, **query)
        assert isinstance(found, Found), found
        assert isinstance(found.value, Table)
        return [dict(zip(found.value.columns, row, strict=True)) for row in found.value.rows]


@pytest.fixture(scope="module", params=BOTH)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with one_container(request.param, request, tmp_path_factory.mktemp("docker")) as one:
        yield Asked(one)


async def test_a_container_s_own_facts_are_read(asked: Asked) -> None:
    image = await asked.ask(TEXT, what="image")
    assert isinstance(image, Found)
    assert image.value == asked.image
    digest = await asked.ask(TEXT, what="digest")
    assert isinstance(digest, Found)
    assert str(digest.value).startswith("sha256:")
    label = await asked.ask(TEXT, what="label", name="com.docker.compose.project")
    assert label == Found("cr")
    assert await asked.ask(TEXT, what="label", name="no.such.label") == Absent()
    mounts = await asked.rows(what="mounts")
    assert [(row["name"], row["source"], row["writable"]) for row in mounts] == [("/kept", "cr-kept", "no")]
    assert await asked.rows(what="ports") == []
    ends = time.monotonic() + 10
    while (running := {row["name"] for row in await asked.rows(what="top")}) != {"sleep"}:
        # The program of its health check runs there too, for a moment of each second.
        assert time.monotonic() < ends, running
    started = await asked.ask(ValueType.TIME, what="started")
    assert isinstance(started, Found) and isinstance(started.value, float)
    assert await asked.ask(INT, what="restarts") == Found(0)
    checks = await asked.rows(what="health")
    assert checks[-1]["exit"] == "0"


async def test_the_names_of_variables_are_read_and_never_their_values(asked: Asked) -> None:
    found = await asked.ask(TABLE, what="env")
    assert "API_PASSWORD" in str(found)
    assert "hunter2" not in str(found)
    assert await asked.ask(BOOL, what="env_is", name="MODE", value="paper") == Found(True)
    assert await asked.ask(BOOL, what="env_is", name="MODE", value="live") == Found(False)
    assert await asked.ask(BOOL, what="env_is", name="NOT_SET", value="x") == Absent()


async def test_lines_of_the_log_are_counted_and_taken_apart(asked: Asked) -> None:
    assert await asked.ask(COUNT, what="log", pattern="INFO") == Found(2)
    assert await asked.ask(COUNT, what="log", pattern=".", tail=1) == Found(1)
    assert await asked.ask(COUNT, what="log", pattern="FATAL") == Found(0)
    assert await asked.ask(COUNT, what="log", pattern="INFO", since_start=True) == Found(2)
    assert await asked.ask(BOOL, what="log", pattern="INFO") == Found(True)
    assert await asked.ask(BOOL, what="log", pattern="FATAL") == Found(False)
    assert await asked.ask(TEXT, what="log", pattern="INFO") == Found("INFO went on")
    assert await asked.ask(TEXT, what="log", pattern="FATAL") == Absent()
    lost = await asked.ask(INT, "lost", what="log", pattern=r"lost (?P<lost>\d+) of")
    assert lost == Found(3)
    assert isinstance(await asked.ask(ValueType.TIME, "time", what="log", pattern="ERROR"), Found)


async def test_what_the_engine_keeps_is_listed(asked: Asked) -> None:
    volumes = {row["name"]: row["orphan"] for row in await asked.rows("", what="volumes", name="cr-")}
    assert volumes == {"cr-kept": "no", "cr-orphan": "yes"}
    images = {row["name"]: row["used"] for row in await asked.rows("", what="images", name=asked.image)}
    assert images == {asked.image: "yes"}
    containers = await asked.rows("one", what="containers", name=NAME)
    assert [(row["name"], row["state"], row["project"]) for row in containers] == [(NAME, "running", "cr")]
    assert await asked.rows("one", what="strays", name=NAME) == containers
    assert asked.network in {row["name"] for row in await asked.rows("", what="networks")}
    assert NAME in {row["name"] for row in await asked.rows("", what="members", name=asked.network)}
    assert await asked.ask(COUNT, service="", what="members", name="no-such-network") == Absent()
    disk = await asked.ask(INT, "total", service="", what="df")
    assert isinstance(disk, Found)
    assert int(str(disk.value)) > 0
    version = await asked.ask(TEXT, "ServerVersion", service="", what="info")
    assert isinstance(version, Found)


async def test_what_is_not_there_is_missing_and_no_failure(asked: Asked) -> None:
    for what in ("image", "env", "mounts", "health", "top"):
        assert await asked.ask(COUNT, service="gone", what=what) == Absent(), what
    assert await asked.ask(COUNT, service="gone", what="log", pattern="x") == Absent()
    for what in ("tasks", "nodes"):
        assert await asked.ask(COUNT, service="", what=what) == Absent(), what
    assert isinstance(await asked.ask(COUNT, service="stranger", what="env"), Broken)


async def test_a_run_that_is_over_has_no_lines_of_its_own(docker_engine: DockerEngine) -> None:
    made = docker_engine.run("cr-over", "echo Bot shutdown active")
    made.wait()
    try:
        reader = DockerFactReader(source(docker_engine.url), [spec("one", "cr-over")])
        facts = [
            Fact(
                name,
                "F",
                "G",
                "docker",
                DockerQuery("log", "one", pattern="shutdown", since_start=since),
                BOOL,
            )
            for name, since in (("run", True), ("ever", False))
        ]
        found = await reader.read(facts)
        await reader.close()
    finally:
        made.remove(force=True)
    assert found == {"run": Absent(), "ever": Found(True)}


async def test_one_poll_asks_each_question_once(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.readers.docker_client import DockerClient

    paths: list[str] = []
    get, read = DockerClient.get, DockerClient.read
    monkeypatch.setattr(DockerClient, "get", lambda *a: (paths.append(a[1]), get(*a))[1])
    monkeypatch.setattr(DockerClient, "read", lambda *a: (paths.append(a[1]), read(*a))[1])
    whats = [
        DockerQuery(what, "one", pattern="x" if what == "log" else None)
        for what in ("env", "image", "health", "log")
    ]
    whats += [DockerQuery("log", "one", pattern="y", tail=9), DockerQuery("mounts", "one")]
    reader = DockerFactReader(source(asked.url), [spec("one", NAME)])
    facts = [Fact(f"f{at}", "F", "G", "docker", what, COUNT) for at, what in enumerate(whats)]
    found = await reader.read(facts)
    await reader.close()
    assert all(isinstance(each, (Found, Broken)) for each in found.values())
    assert len(paths) == len(set(paths)) == 3  # the list, one inspection, one log


async def test_an_engine_that_is_not_there_is_a_source_that_did_not_answer(tmp_path: Path) -> None:
    reader = DockerFactReader(source(f"unix://{tmp_path}/none.sock"), [])
    with pytest.raises(SourceError, match="does not exist"):
        await reader.read([Fact("f", "F", "G", "docker", DockerQuery("info"), TEXT, "Name")])


@pytest.mark.alone
async def test_an_engine_that_hangs_costs_no_more_than_its_deadline(docker_engine: DockerEngine) -> None:
    reader = DockerFactReader(source(docker_engine.url, deadline=0.5), [])
    fact = Fact("f", "F", "G", "docker", DockerQuery("info"), TEXT, "Name")
    docker_engine.pause()
    try:
        began = asyncio.get_running_loop().time()
        with pytest.raises(SourceError):
            await reader.read([fact])
        assert asyncio.get_running_loop().time() - began < 1.5
    finally:
        docker_engine.resume()
