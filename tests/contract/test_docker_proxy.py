"""Docker behind a proxy that lets only reading through: all is seen, nothing is done, and a stop goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import Action, DockerExec, DockerTag, DockerVerb
from backends.model.clock import SystemClock
from backends.model.procedure import (
    Procedure,
    Receipt,
    ReceiptKind,
    RiskClass,
    Step,
    StepState,
    Verdict,
)
from backends.model.service import RunState
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.writers.docker import DockerEffector
from backends.writers.redis import RedisEffector
from tests.contract.docker_place import PLACES, Place, find_place, reading, source, spec
from tests.contract.test_redis_writer import FRESH, put, state
from tests.safety.dying_room import redis_stack
from tests.safety.real_eyes import RealEyes
from tests.servers.read_only import read_only
from tests.servers.redis import RedisServer
from tests.sim.world import KIM, RUNG_1, Paper, intent
from tests.turns import DOCKER

pytestmark = DOCKER

BY_PROXY = "refused by a proxy before Docker"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return find_place(request.param, request)


@pytest.fixture
def proxy(place: Place, tmp_path: Path) -> Iterator[str]:
    with read_only(place.url, tmp_path / "proxy.sock") as url:
        yield url


async def given(url: str, action: Action, container: str) -> Receipt:
    programs = [action] if isinstance(action, DockerExec) else []
    effector = DockerEffector(source(url), [spec("one", container)], programs)
    step = Step("s", "Do it", action, (), connect=0.5, deadline=8.0)
    try:
        return await effector.act(action, {}, step)
    finally:
        await effector.close()


async def test_everything_is_read_through_it(place: Place, proxy: str) -> None:
    async with reading(proxy, place.specs(only=(place.healthy,))) as reader:
        found = (await reader.services())[place.healthy]
    assert found is not None and found.state is RunState.RUNNING


@pytest.mark.parametrize(
    "action",
    [
        DockerVerb("docker", "stop", "one"),
        DockerVerb("docker", "kill", "one"),
        DockerVerb("docker", "restart", "one"),
        DockerExec("docker", "one", ("true",)),
        DockerTag("docker", "one", "kept"),
    ],
    ids=["stop", "kill", "restart", "a program in it", "a tag"],
)
async def test_an_order_is_refused_by_the_proxy_and_certainly_did_nothing(
    place: Place, proxy: str, action: Action
) -> None:
    def started() -> Any:
        return place.client.api.inspect_container(place.unchecked)["State"]["StartedAt"]

    before = started()
    receipt = await given(proxy, action, place.unchecked)
    assert receipt.kind is ReceiptKind.FAILED
    assert BY_PROXY in receipt.text and "403" in receipt.text
    assert "<html>" not in receipt.text
    assert started() == before


async def test_a_stop_goes_on_to_its_next_way(place: Place, proxy: str, redis_db: RedisServer) -> None:
    put(redis_db, FRESH)
    down = Step(
        "docker", "Stop the container", DockerVerb("docker", "stop", "one"), RUNG_1.proof, deadline=8.0
    )
    later = replace(RUNG_1, after=0.5)
    halt = Procedure("halt", "Halt", RiskClass.STOP, "Stops.", ("x",), "by hand", (down, later))
    stack = replace(redis_stack(redis_db.url), procedures={"halt": halt})
    effectors = {
        "docker": DockerEffector(source(proxy), [spec("one", place.unchecked)]),
        "redis": RedisEffector(stack.sources["redis"]),
    }
    clock = SystemClock()
    eyes = RealEyes(stack, clock)
    permit = arm(KIM, is_watch=False)
    procedures = Procedures(stack, permit, effectors, eyes, Paper(), clock, lambda _: None)
    try:
        run = await procedures.execute(intent())
    finally:
        await procedures.close()
        await eyes.close()
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 2), run.sentence
    assert state(redis_db)["state"] == "ENGAGED"
    assert run.steps[0].state is not StepState.UNKNOWN
    assert run.steps[0].receipt is not None and BY_PROXY in run.steps[0].receipt.text
    assert BY_PROXY in run.sentence
