"""Services of a swarm, on a real engine that manages one: watched, restarted, stopped and started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
from msgspec.structs import replace

from backends.demo.process import free_port
from backends.logs.ring import LogRing
from backends.model.action import DockerVerb
from backends.model.fact import Fact, Found, SourceError, Table, ValueType
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.query import DockerQuery
from backends.model.service import Health, RunState, Service
from backends.model.stack import LogGrammar, ServiceSpec, Source, SourceKind
from backends.readers.docker_fact import DockerFactReader
from backends.readers.docker_swarm import SwarmServiceReader
from backends.writers.swarm import SwarmEffector
from tests.servers.demo import DemoWorld
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = DOCKER

SPECS = [ServiceSpec(name, (f"desk_{name}",), "work", "swarm") for name in ("web", "bad", "talk", "gone")]
TALKS = "n=0; while :; do n=$((n + 1)); echo word $n; sleep 0.2; done"


@pytest.fixture(scope="module")
def manager(docker_engine: DockerEngine) -> Iterator[Source]:
    """The engine as a manager with a service of two tasks and one whose task ends at once."""
    from docker.types import ContainerSpec, ServiceMode, TaskTemplate

    api = docker_engine.client.api
    api.init_swarm("127.0.0.1", f"127.0.0.1:{free_port()}")
    for name, script, tasks in (("web", "sleep 600", 2), ("bad", "exit 3", 1), ("talk", TALKS, 1)):
        task = TaskTemplate(
            ContainerSpec("controlroom-test:1", command=["sh", "-c", script], stop_signal="SIGKILL")
        )
        api.create_service(task, name=f"desk_{name}", mode=ServiceMode("replicated", tasks))
    yield Source("swarm", SourceKind.SWARM, "Swarm", docker_engine.url, every=1.0, deadline=10.0)
    for name in ("web", "bad", "talk"):
        api.remove_service(f"desk_{name}")
    api.leave_swarm(force=True)


async def seen(source: Source, name: str, until: Callable[[Service], bool]) -> Service:
    """The service, once it is so; the last look when it never is."""
    reader = SwarmServiceReader(source, SPECS)
    ends = monotonic() + 20
    try:
        while True:
            found = (await reader.services())[name]
            assert found is not None
            if until(found) or monotonic() > ends:
                return found
            await asyncio.sleep(0.2)
    finally:
        await reader.close()


async def order(source: Source, verb: str, service: str = "web") -> Receipt:
    effector = SwarmEffector(source, SPECS)
    step = Step(verb, verb, DockerVerb("swarm", verb, service), (), 2.0, 5.0)
    return await effector.act(step.action, {}, step)


async def test_a_service_whose_tasks_all_run_runs_and_nobody_checks_it(manager: Source) -> None:
    web = await seen(manager, "web", lambda it: str(it.health_output) == "2 of 2 tasks run")
    assert (web.state, web.health) == (RunState.RUNNING, Health.NO_CHECK)
    assert web.started_wall is not None and web.title == "desk_web"


async def test_a_service_whose_task_ends_at_once_is_not_well_and_says_how_it_ended(manager: Source) -> None:
    bad = await seen(manager, "bad", lambda it: it.exit_code is not None and it.state is RunState.RESTARTING)
    assert (bad.state, bad.health, bad.exit_code) == (RunState.RESTARTING, Health.UNHEALTHY, 3)
    assert "non-zero exit (3)" in str(bad.health_output)


async def test_a_service_the_swarm_does_not_have_is_missing(manager: Source) -> None:
    reader = SwarmServiceReader(manager, SPECS)
    assert (await reader.services())["gone"] is None
    await reader.close()
    assert (await order(manager, "restart", "gone")).kind is ReceiptKind.FAILED


async def test_stopping_takes_all_tasks_away_and_starting_brings_as_many_back(manager: Source) -> None:
    before = await seen(manager, "web", lambda it: it.state is RunState.RUNNING)
    assert (await order(manager, "stop")).kind is ReceiptKind.DONE
    assert (await seen(manager, "web", lambda it: it.state is RunState.EXITED)).state is RunState.EXITED
    assert (await order(manager, "stop")).kind is ReceiptKind.ALREADY
    assert (await order(manager, "start")).kind is ReceiptKind.DONE
    after = await seen(manager, "web", lambda it: str(it.health_output) == "2 of 2 tasks run")
    assert after.state is RunState.RUNNING and (after.started_wall or 0) > (before.started_wall or 0)


async def test_the_log_of_a_service_is_followed_into_the_tasks_that_replace_the_first(
    manager: Source,
) -> None:
    ring = LogRing(LogGrammar(()))
    reader = SwarmServiceReader(manager, [spec for spec in SPECS if spec.name == "talk"], ring)

    def first_words() -> int:
        return sum(row.text == "word 1" for row in ring.window(ring.first, ring.end))

    try:
        await until(reader, lambda: first_words() == 1)
        assert (await order(manager, "restart", "talk")).kind is ReceiptKind.DONE
        await until(reader, lambda: first_words() == 2)
    finally:
        await reader.close()
    rows = ring.window(ring.first, ring.end)
    assert {row.service for row in rows} == {"talk"}
    told = [(row.at, row.text) for row in rows]
    assert len(told) == len(set(told))


async def until(reader: SwarmServiceReader, is_so: Callable[[], bool]) -> None:
    """Poll, as the engine does, until it is so."""
    ends = monotonic() + 40
    while not is_so():
        assert monotonic() < ends
        await reader.services()
        await asyncio.sleep(0.2)


async def test_tasks_and_nodes_of_the_swarm_are_read(manager: Source) -> None:
    await seen(manager, "web", lambda it: str(it.health_output) == "2 of 2 tasks run")
    await seen(manager, "bad", lambda it: it.exit_code is not None)
    tasks, nodes = (
        Fact(what, "F", "G", "docker", DockerQuery(what, name=name), ValueType.TABLE)
        for what, name in (("tasks", "desk_"), ("nodes", ""))
    )
    found = await DockerFactReader(replace(manager, kind=SourceKind.DOCKER), SPECS).read([tasks, nodes])
    rows = {name: _rows(each) for name, each in found.items()}
    running = [row["slot"] for row in rows["tasks"] if (row["name"], row["state"]) == ("desk_web", "running")]
    assert sorted(running) == ["1", "2"]
    ended = [row["error"] for row in rows["tasks"] if (row["name"], row["state"]) == ("desk_bad", "failed")]
    assert ended and all("non-zero exit (3)" in each for each in ended)
    assert [(row["state"], row["role"], row["leader"]) for row in rows["nodes"]] == [
        ("ready", "manager", "yes")
    ]


def _rows(found: object) -> list[dict[str, str]]:
    assert isinstance(found, Found) and isinstance(found.value, Table)
    return [dict(zip(found.value.columns, map(str, row), strict=True)) for row in found.value.rows]


async def test_a_restart_replaces_the_tasks(manager: Source) -> None:
    before = await seen(manager, "web", lambda it: str(it.health_output) == "2 of 2 tasks run")
    assert (await order(manager, "restart")).kind is ReceiptKind.DONE
    newer = await seen(manager, "web", lambda it: (it.started_wall or 0) > (before.started_wall or 0))
    assert (newer.started_wall or 0) > (before.started_wall or 0)


async def test_what_goes_with_containers_only_is_refused(manager: Source) -> None:
    assert (await order(manager, "kill")).kind is ReceiptKind.FAILED


async def test_an_engine_that_is_no_manager_says_so(demo_world: DemoWorld) -> None:
    url = demo_world["docker"]
    reader = SwarmServiceReader(Source("swarm", SourceKind.SWARM, "Swarm", url, 1.0, 3.0), SPECS)
    with pytest.raises(SourceError):
        await reader.services()
    await reader.close()
