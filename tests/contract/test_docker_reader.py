"""Observing Docker: the same answers from a real engine and from the demo's."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from backends.model.fact import SourceError
from backends.model.safetext import NAME_LIMIT
from backends.model.service import Health, RunState, Runtime, Usage
from backends.readers.docker import DockerServiceReader
from backends.readers.docker_client import DockerClient
from tests.contract.docker_place import PLACES, Place, find_place, poll_until, reading, source, spec
from tests.servers.docker import PROJECT, DockerEngine
from tests.servers.process import wait_until
from tests.turns import DOCKER

pytestmark = DOCKER


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return find_place(request.param, request)


async def test_a_running_container_is_described_as_its_engine_describes_it(place: Place) -> None:
    async with reading(place.url, place.specs()) as reader:
        services = await reader.services()
    said = place.client.api.inspect_container(place.healthy)
    one = services[place.healthy]
    assert one is not None
    assert (one.runtime, one.ident, one.title) == (Runtime.DOCKER, said["Id"], place.healthy)
    assert (one.state, one.health) == (RunState.RUNNING, Health.HEALTHY)
    assert (one.image, one.digest) == (said["Config"]["Image"], said["Image"])
    assert (one.restarts, one.is_expected) == (said["RestartCount"], True)
    started = datetime.fromisoformat(said["State"]["StartedAt"][:19] + "+00:00").timestamp()
    assert one.started_wall == pytest.approx(started, abs=1)


async def test_a_container_without_a_health_check_is_not_called_healthy(place: Place) -> None:
    async with reading(place.url, place.specs()) as reader:
        service = (await reader.services())[place.unchecked]
    assert service is not None
    assert (service.state, service.health) == (RunState.RUNNING, Health.NO_CHECK)


async def test_an_expected_container_that_does_not_exist_is_none(place: Place) -> None:
    async with reading(place.url, place.specs("cr-never-made")) as reader:
        services = await reader.services()
    assert services["cr-never-made"] is None
    assert services[place.healthy] is not None


async def test_names_match_exactly_and_in_the_given_order(place: Place) -> None:
    specs = [spec("first", "nothing", place.chatty, place.healthy), spec("part", place.healthy[:-1])]
    async with reading(place.url, specs) as reader:
        services = await reader.services()
    assert services["first"] is not None
    assert services["first"].title == place.chatty
    assert services["part"] is None


async def test_other_containers_of_the_project_come_as_unexpected_ones(place: Place) -> None:
    async with reading(place.url, place.specs(only=[place.healthy])) as reader:
        services = await reader.services()
    other = services[place.chatty]
    assert other is not None
    assert (other.is_expected, other.title) == (False, place.chatty)


async def test_cpu_is_unknown_until_two_samples_exist_and_then_a_number(place: Place) -> None:
    async with reading(place.url, place.specs()) as reader:
        first = (await reader.services())[place.chatty]
        assert first is not None
        assert first.usage == Usage()
        usage = await poll_until(
            reader,
            lambda found: (one := found[place.chatty]) and one.usage.cpu is not None and one.usage,
            what="a second sample",
        )
    assert 0 <= usage.cpu < 3200
    assert 0 < usage.memory < usage.memory_limit


async def test_a_restart_is_seen_at_once_and_its_use_starts_anew(place: Place) -> None:
    pokes: list[float] = []
    async with reading(place.url, place.specs(), poke=lambda: pokes.append(time.monotonic())) as reader:
        before = await poll_until(
            reader,
            lambda found: (one := found[place.chatty]) and one.usage.cpu is not None and one,
            what="a sample",
        )
        pokes.clear()
        place.client.api.restart(place.chatty, timeout=1)
        after = await poll_until(
            reader,
            lambda found: (
                (one := found[place.chatty])
                and one.state is RunState.RUNNING
                and one.started_wall != before.started_wall
                and one
            ),
            what="the restart",
        )
        assert pokes, "an event pokes the poller"
        assert after.usage.cpu is None
        assert after.ident == before.ident
        again = await poll_until(
            reader, lambda found: (one := found[place.chatty]) and one.usage.cpu is not None and one
        )
    assert again.usage.memory > 0


async def test_a_container_that_stops_has_an_end_and_no_use(place: Place) -> None:
    async with reading(place.url, place.specs()) as reader:
        await poll_until(reader, lambda found: found[place.unchecked].usage.memory, what="a sample")
        place.client.api.stop(place.unchecked, timeout=0)
        try:
            service = await poll_until(
                reader,
                lambda found: (one := found[place.unchecked]) and one.state is RunState.EXITED and one,
                what="the stop",
            )
        finally:
            place.client.api.start(place.unchecked)
    said = place.client.api.inspect_container(place.unchecked)["State"]
    assert service.exit_code is not None
    assert service.finished_wall is not None
    assert service.finished_wall > service.started_wall
    assert service.usage == Usage()
    assert service.health is Health.NO_CHECK
    assert said["Running"] is True


async def test_one_look_without_streams_leaves_no_thread(place: Place) -> None:
    before = set(threading.enumerate())  # one of a reader that was closed may still be on its way out
    reader = DockerServiceReader(source(place.url), place.specs(), is_streaming=False)
    services = await reader.services()
    assert services[place.healthy] is not None
    begun = set(threading.enumerate()) - before  # what a reader has begun ends when it is closed
    await reader.close()
    assert "docker-docker" not in {thread.name for thread in begun}


# ── What only a real engine can be brought to do ─────────────────────────────────────────────────────


async def test_a_failing_check_shows_what_it_printed(docker_engine: DockerEngine) -> None:
    async with reading(docker_engine.url, [spec("cr-unhealthy")]) as reader:
        # The engine may hear a check that ends at once say nothing; the next one it hears.
        service = await poll_until(
            reader,
            lambda found: (one := found["cr-unhealthy"]) and one.health_output and one,
            what="a check that was heard",
        )
    assert (service.health, service.health_output) == (Health.UNHEALTHY, "down")


async def test_a_crash_loop_shows_its_restarts_and_the_exit_code_of_the_last_run(
    docker_engine: DockerEngine,
) -> None:
    async with reading(docker_engine.url, [spec("cr-crashloop")]) as reader:
        service = await poll_until(
            reader, lambda found: (one := found["cr-crashloop"]) and one.exit_code is not None and one
        )
        assert (service.exit_code, service.health) == (3, Health.NO_CHECK)
        assert service.restarts >= 2
        assert service.state in (RunState.RESTARTING, RunState.RUNNING)


async def test_a_process_killed_for_memory_is_told_apart(docker_engine: DockerEngine) -> None:
    # It runs for a while before it eats, so that a busy machine can look at it while it runs.
    script = "sleep 0.7; head -c 200m /dev/zero | tail"
    eater = docker_engine.run("cr-eater", script, mem_limit="8m", restart_policy={"Name": "always"})
    try:
        async with reading(docker_engine.url, [spec("cr-eater")]) as reader:
            for state in (RunState.RESTARTING, RunState.RUNNING):
                # The engine may tell of the end before it has heard from the kernel why.
                service = await poll_until(
                    reader,
                    lambda found, state=state: (
                        (one := found["cr-eater"]) and one.oom_killed and one.state is state and one
                    ),
                    what=f"{state} and killed for memory",
                )
                assert service.exit_code == 137
    finally:
        eater.remove(force=True)


async def test_a_paused_container_is_paused_and_not_healthy(docker_engine: DockerEngine) -> None:
    docker_engine.client.api.pause("cr-healthy")
    try:
        async with reading(docker_engine.url, [spec("cr-healthy")]) as reader:
            service = (await reader.services())["cr-healthy"]
    finally:
        docker_engine.client.api.unpause("cr-healthy")
        # The engine calls it unhealthy while it is paused, and until the next check of its health.
        wait_until(lambda: docker_engine.health("cr-healthy") == "healthy", 20, "cr-healthy healthy again")
    assert service is not None
    assert (service.state, service.health) == (RunState.PAUSED, Health.UNKNOWN)


async def test_a_hostile_name_is_shown_short_and_inert(docker_engine: DockerEngine) -> None:
    name = "cr-" + "x" * 9_000
    odd = docker_engine.run(name, "sleep 60", labels={"com.docker.compose.project": PROJECT})
    try:
        async with reading(docker_engine.url, [spec("cr-healthy")]) as reader:
            services = await reader.services()
    finally:
        odd.remove(force=True)
    (found,) = [one for one in services.values() if one is not None and one.ident == odd.id]
    assert found.title == "cr-" + "x" * (NAME_LIMIT - 3) + f"… +{len(name) - NAME_LIMIT} chars"
    assert found.name in services
    assert len(found.name) < 100


@pytest.mark.alone
async def test_an_engine_that_hangs_is_a_failure_in_time_and_recovers(docker_engine: DockerEngine) -> None:
    async with reading(docker_engine.url, [spec("cr-chatty")], deadline=0.5) as reader:
        await reader.services()
        docker_engine.pause()
        try:
            start = time.monotonic()
            for _ in range(3):
                with pytest.raises(SourceError, match=r"did not answer within|has not answered for"):
                    await reader.services()
            assert time.monotonic() - start < 3
        finally:
            docker_engine.resume()
        back = await poll_until(reader, lambda found: found["cr-chatty"], forgive=True)
    assert back.state is RunState.RUNNING


async def test_one_container_that_cannot_be_inspected_does_not_hide_the_others(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = docker_engine.client.api.inspect_container("cr-healthy")["Id"]
    real = DockerClient.get

    def get(self: DockerClient, path: str, *args: object, **options: object) -> object:
        if stuck in path:
            raise SourceError("Docker did not answer within 0.5 s")
        return real(self, path, *args, **options)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(DockerClient, "get", get)
    async with reading(docker_engine.url, [spec("cr-healthy"), spec("cr-nocheck")]) as reader:
        services = await reader.services()
    healthy, other = services["cr-healthy"], services["cr-nocheck"]
    assert healthy is not None
    assert (healthy.health, healthy.restarts, healthy.started_wall) == (Health.HEALTHY, None, None)
    assert other is not None
    assert other.restarts == 0


# ── Where there is no engine ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def odd_server(tmp_path: Path) -> Iterator[Path]:
    """A unix socket; ``say`` files beside it decide what is answered to each connection."""
    path = tmp_path / "odd.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.recv(4096)
                peer.sendall((tmp_path / "say").read_bytes())

    threading.Thread(target=serve, daemon=True).start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "broke the connection off"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak Docker's language"),
        (http(b"<html>"), "does not speak Docker's language"),
        (http(b"[]"), "does not speak Docker's language"),
        (http(b'{"message": "go away \\u001b[31m"}', "500 Oops"), r"Docker answered 500: go away \\x1b\[31m"),
        (http(b'{"ApiVersion": "1.41"}'), "container list cannot be understood"),
    ],
)
async def test_what_is_no_docker_engine_is_a_failure_in_plain_words(
    odd_server: Path, said: bytes, words: str
) -> None:
    (odd_server.parent / "say").write_bytes(said)
    async with reading(f"unix://{odd_server}", [spec("x")]) as reader:
        with pytest.raises(SourceError, match=words):
            await reader.services()


async def test_an_answer_without_end_is_cut_off(odd_server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.readers.docker_client.ANSWER_LIMIT", 1_048_576)
    (odd_server.parent / "say").write_bytes(http(b" " * 3_000_000))
    async with reading(f"unix://{odd_server}", [spec("x")]) as reader:
        with pytest.raises(SourceError, match="longer than 1 MiB"):
            await reader.services()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("unix:///no/such/docker.sock", "the Docker socket /no/such/docker.sock does not exist"),
        ("unix:///etc/hostname", "nothing answers at /etc/hostname: Docker is not running"),
        ("tcp://127.0.0.1:1", "nothing answers at tcp://127.0.0.1:1"),
        ("tcp://no-such-host.invalid:2375", "the host name of .* is not known"),
    ],
)
async def test_where_no_engine_is_the_operator_reads_why(url: str, words: str) -> None:
    async with reading(url, [spec("x")]) as reader:
        with pytest.raises(SourceError, match=words):
            await reader.services()
