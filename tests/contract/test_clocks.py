"""How far the clocks of real servers are from this host's; who does not tell the time has no clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from backends.board.fresh import FreshReader
from backends.model.clock import Instant, SystemClock
from backends.model.reading import Outcome, Reading
from backends.model.stack import Source, SourceKind, Stack
from backends.readers.docker import DockerServiceReader
from backends.readers.postgres import PostgresFactReader
from backends.readers.redis import RedisFactReader
from tests.building import stack
from tests.servers.demo import DemoWorld, start_demo


class Ahead(SystemClock):
    """The clock of a host that is ``seconds`` ahead of its servers."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> Instant:
        real = super().now()
        return replace(real, wall=real.wall + self._seconds)


def stack_of(world: DemoWorld) -> Stack:
    address, _, _ = world["postgres"].partition("trader@")
    postgres = address + world["postgres"].rpartition("@")[2]
    return stack(
        sources={
            "redis": Source("redis", SourceKind.REDIS, "Redis", world["redis"], 1.0, 1.0),
            "postgres": Source("postgres", SourceKind.POSTGRES, "DB", postgres, 1.0, 2.0, username="trader"),
            "docker": Source("docker", SourceKind.DOCKER, "Docker", world["docker"], 1.0, 2.0),
            "gone": Source("gone", SourceKind.REDIS, "Gone", "redis://127.0.0.1:1/0", 1.0, 0.5),
        }
    )


@pytest.fixture(scope="module")
def look() -> Callable[[], object]:
    world = start_demo()
    yield stack_of(world)
    world.stop()


async def clock_of(source: str, spec: Stack, ahead: float) -> Reading[float]:
    makers = {SourceKind.REDIS: RedisFactReader, SourceKind.POSTGRES: PostgresFactReader}
    reader = FreshReader(
        spec,
        lambda it: makers[it.kind](it),
        Ahead(ahead),
        lambda it: DockerServiceReader(it, (), is_streaming=False),
    )
    try:
        return await reader.look(f"clock:{source}", 5.0)
    finally:
        await reader.close()


@pytest.mark.parametrize("source", ["redis", "postgres", "docker"])
@pytest.mark.parametrize("ahead", [0.0, 2.0, -2.0])
@pytest.mark.alone
async def test_a_clock_that_differs_is_told_by_how_much(look: Stack, source: str, ahead: float) -> None:
    reading = await clock_of(source, look, ahead)
    assert reading.outcome is Outcome.OK, reading.error
    assert reading.value == pytest.approx(abs(ahead), abs=0.2)


async def test_a_server_that_does_not_answer_has_no_clock(look: Stack) -> None:
    reading = await clock_of("gone", look, 0.0)
    assert (reading.outcome, reading.value) == (Outcome.FAILED, None)
