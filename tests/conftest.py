"""Fixtures every test may use: real servers, the demo world, a clock moved by hand.

A test whose server cannot run here is skipped, and the closing line names what was not run. With
``CONTROLROOM_TEST_REQUIRE=all`` each such skip is a failure.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

import pytest
from hypothesis import settings

from tests import turns
from tests.clock import FakeClock
from tests.pilot import idle
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.docker import DockerEngine, SharedDocker
from tests.servers.postgres import PostgresServer, start_postgres
from tests.servers.process import UnavailableError, sweep
from tests.servers.records import misfits
from tests.servers.redis import RedisServer, start_redis

T = TypeVar("T")

_docker = SharedDocker()
# How long it may take is said by tests that measure it. Each run tries the same examples, a soak others.
settings.register_profile("suite", deadline=None, derandomize=not os.environ.get("CONTROLROOM_SOAK"))
settings.load_profile("suite")

_NEEDS = re.compile(r"needs \[(?P<what>[^\]]+)\]")


def need(what: str, why: object) -> NoReturn:
    """End the test because ``what`` is not here: a skip that is counted, or a failure if required."""
    message = f"needs [{what}]: {why}"
    if os.environ.get("CONTROLROOM_TEST_REQUIRE") == "all":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def started(what: str, start: Callable[[], T]) -> T:
    """What ``start`` returns; without its server the test ends as ``need`` says."""
    try:
        return start()
    except UnavailableError as error:
        need(what, error)


def pytest_configure(config: pytest.Config) -> None:
    sweep()
    idle.install()

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt(f"signal {number}")

    # A terminated run still tears its servers down.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def pytest_xdist_auto_num_workers() -> int:
    return turns.workers()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("CONTROLROOM_SOAK"):
        left_out = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    turns.arrange(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if sys.platform != "linux" and item.get_closest_marker("linux"):
        need("linux", f"this is {sys.platform}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with turns.turn(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        # Its containers are checked every second, which all that runs beside it would pay for.
        if nextitem is None or not turns.is_about_docker(nextitem):
            _docker.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was not run for want of a server."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        if found := _NEEDS.search(str(report.longrepr)):
            counts[found["what"]] += 1
    if counts:
        parts = (f"{what} ({n} test{'s' if n > 1 else ''})" for what, n in sorted(counts.items()))
        terminalreporter.write_line(f"not run here: {', '.join(parts)}", yellow=True)


@pytest.fixture(autouse=True)
def _records_have_their_shape(request: pytest.FixtureRequest) -> Iterator[None]:
    """Of every journal a test leaves in its folder."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        assert misfits(folder) == []


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock(mono=1000.0, wall=1_790_000_000.0)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the session; tests that need it empty take ``redis_db``."""
    server = started("redis", start_redis)
    yield server
    server.stop()


@pytest.fixture
def redis_db(redis_server: RedisServer) -> Iterator[RedisServer]:
    """The session's Redis: empty, answering, and left that way."""
    redis_server.resume()
    redis_server.command("FLUSHALL")
    yield redis_server
    redis_server.resume()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = started("postgresql", start_postgres)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """A libpq URL of the session's PostgreSQL; each test makes its own tables or database."""
    return postgres_server.dsn


@pytest.fixture(scope="module")
def docker_engine() -> DockerEngine:
    """A Docker Engine with five containers, ``cr-healthy`` and so on: ``tests/servers/docker.py``. A module
    that asks for it is marked ``turns.DOCKER``."""
    return started("docker engine", _docker.running)


@pytest.fixture(scope="session")
def demo_world() -> Iterator[DemoWorld]:
    """One demo for the session. Tests that halt or break it take ``world``, or start their own."""
    world = start_demo()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def world() -> Iterator[DemoWorld]:
    """A demo of the module's own."""
    world = start_demo()
    yield world
    world.stop()
