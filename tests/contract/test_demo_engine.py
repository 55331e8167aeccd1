"""The demo's Docker Engine answers as a real one does: codes, words, shapes, order of events."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.contract.demo_eyes import Eyes
from tests.servers.demo import start_demo
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until
from tests.turns import DOCKER

pytestmark = DOCKER

IDLE = "trading_platform_grafana"
"""A container of the demo that nothing depends on."""


@pytest.fixture(scope="module")
def eyes() -> Iterator[Eyes]:
    world = start_demo()
    made = Eyes(world)
    yield made
    made.close()
    world.stop()


@pytest.fixture
def real(docker_engine: DockerEngine) -> Iterator[tuple[docker.APIClient, str]]:
    """A client of a real engine, and the id of a container that idles."""
    container = docker_engine.run("cr-subject", "while :; do sleep 1; done")
    yield docker_engine.client.api, container.id
    container.remove(force=True)


def ask(client: docker.APIClient, method: str, path: str) -> tuple[int, str]:
    """Status and message, without the parts that differ between two containers."""
    answer = client.request(method, f"{client.base_url}/v1.41{path}", timeout=10)
    if not answer.headers.get("content-type", "").startswith("application/json") or answer.status_code < 400:
        return answer.status_code, ""
    said = answer.json()["message"]
    for one in client.containers(all=True):
        said = said.replace(one["Id"], "ID").replace(one["Names"][0][1:], "ID")
    return answer.status_code, said


CONVERSATION = [
    ("GET", "/nothing"),
    ("GET", "/_ping"),
    ("GET", "/containers/nope/json"),
    ("GET", "/containers/nope/logs?stdout=1"),
    ("GET", "/containers/{}/logs"),
    ("GET", "/containers/{}/logs?stdout=1&tail=2"),
    ("GET", "/containers/json?filters=xx"),
    ("GET", "/containers/json?filters=%7B%22foo%22%3A%5B%22a%22%5D%7D"),
    ("GET", "/containers/json?limit=x"),
    ("GET", "/events?since=1&until=2"),
    ("GET", "/containers/{}/stats?stream=0&one-shot=1"),
    ("POST", "/containers/nope/stop"),
    ("POST", "/containers/{}/nonsense"),
    ("POST", "/containers/{}/kill?signal=NONSENSE"),
    ("POST", "/containers/{}/start"),
    ("POST", "/containers/{}/unpause"),
    ("POST", "/containers/{}/pause"),
    ("POST", "/containers/{}/pause"),
    ("POST", "/containers/{}/start"),
    ("POST", "/containers/{}/unpause"),
    ("POST", "/containers/{}/restart?t=0"),
    ("POST", "/containers/{}/kill"),
    ("POST", "/containers/{}/kill"),
    ("POST", "/containers/{}/pause"),
    ("POST", "/containers/{}/stop"),
    ("GET", "/containers/{}/stats?stream=0"),
    ("POST", "/containers/{}/start"),
    ("POST", "/containers/{}/stop?t=0"),
    ("POST", "/containers/{}/stop"),
    ("POST", "/containers/{}/start"),
]


def test_a_conversation_goes_as_with_a_real_engine(eyes: Eyes, real: tuple[docker.APIClient, str]) -> None:
    client, subject = real
    heard = [
        (method, path, ask(client, method, path.format(subject)), ask(eyes.docker, method, path.format(IDLE)))
        for method, path in CONVERSATION
    ]
    assert [one for one in heard if one[2] != one[3]] == []
    assert {one[2][0] for one in heard} == {200, 204, 304, 400, 404, 409, 500}


def actions(client: docker.APIClient, ident: str, since: float, until: float) -> list[str]:
    """What happened to a container, without its health checks."""
    events = client.events(since=since, until=until, filters={"type": "container"}, decode=True)
    said = [one for one in events if one["Actor"]["ID"] == ident]
    return [f"{one['Action']} {one['Actor']['Attributes'].get('exitCode', '')}".strip() for one in said]


def test_events_come_in_the_order_of_a_real_engine(eyes: Eyes, real: tuple[docker.APIClient, str]) -> None:
    client, subject = real
    ours = eyes.docker.inspect_container(IDLE)["Id"]
    began = time.time()
    for one, ident in ((client, subject), (eyes.docker, ours)):
        one.pause(ident)
        one.unpause(ident)
        one.restart(ident, timeout=0)
        one.kill(ident)
        wait_until(lambda one=one, ident=ident: not one.inspect_container(ident)["State"]["Running"])
        one.start(ident)

    def told(one: docker.APIClient, ident: str) -> list[str]:
        """Up to now; an event may be told a moment after its request was answered."""
        return actions(one, ident, began, time.time() + 0.1)

    both = ((client, subject), (eyes.docker, ours))
    wait_until(lambda: all(told(*each)[-1:] == ["start"] for each in both), 10, "the last start", every=0.2)
    theirs, mine = (told(*each) for each in both)
    # A real engine kills a second time when the first has not been heard in time.
    once = [action for action, last in zip(theirs, [None, *theirs], strict=False) if action != last]
    # A short pause it may tell of twice: its runtime's own word can come after the end of it.
    if once[:4] == ["pause", "unpause"] * 2:
        del once[:2]
    # Who waits for the end is let go just before it is told of, and so may tell of the stop first.
    for place, pair in enumerate(list(pairwise(once))):
        if pair == ("stop", "die 137"):
            once[place : place + 2] = ["die 137", "stop"]
    assert once == mine
    assert {"pause", "unpause", "die 137", "start", "restart", "kill"} <= set(mine)


def shape(value: Any, path: str = "") -> set[str]:
    """Every place in a JSON answer, labels and network names aside."""
    if isinstance(value, dict):
        inner = (
            {} if path.endswith(("Labels", "Networks", "Ports", "PortBindings", "ExposedPorts")) else value
        )
        return {path}.union(*(shape(item, f"{path}.{key}") for key, item in inner.items()))
    if isinstance(value, list) and value:
        return {path} | shape(value[0], f"{path}[]")
    return {path}


def test_it_says_nothing_a_real_engine_would_not(eyes: Eyes, real: tuple[docker.APIClient, str]) -> None:
    client, subject = real
    for theirs, mine in (
        (client.version(), eyes.docker.version()),
        (client.info(), eyes.docker.info()),
        (client.containers(filters={"id": subject})[0], eyes.docker.containers(filters={"name": IDLE})[0]),
        (client.inspect_container("cr-healthy"), eyes.docker.inspect_container("trading_platform_redis")),
    ):
        extra = shape(mine) - shape(theirs)
        # Things of the subject rather than of the engine: it publishes ports and waits before checking.
        assert {
            place for place in extra if not place.startswith((".Ports", ".Config.Ex", ".Config.Health"))
        } == set()


def test_versions_it_does_not_speak_are_refused(eyes: Eyes) -> None:
    base = eyes.docker.base_url
    assert eyes.docker.get(f"{base}/containers/json").status_code == 200, (
        "without a version it speaks its own"
    )
    assert eyes.docker.get(f"{base}/v1.24/containers/json").status_code == 200
    for version in ("1.42", "1.11"):
        answer = eyes.docker.get(f"{base}/v{version}/containers/json")
        assert (answer.status_code, version in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"name": "redis"}, {"redis"}),
        ({"label": "com.docker.compose.service=redis"}, {"redis"}),
        ({"label": ["com.docker.compose.project=trading_platform", "nope"]}, set()),
        ({"status": "exited"}, set()),
        ({"health": "none"}, {"prometheus", "grafana", "promtail", "web_console_dev", "alert_worker"}),
        ({"ancestor": "redis:7-alpine"}, {"redis"}),
    ],
)
def test_containers_are_found_by_filters(eyes: Eyes, filters: dict[str, Any], found: set[str]) -> None:
    seen = eyes.docker.containers(all=True, filters=filters)
    assert {one["Labels"]["com.docker.compose.service"] for one in seen} == found


def test_containers_have_names_checks_and_restarts_of_the_platforms_compose_file(eyes: Eyes) -> None:
    names = {one["Names"][0] for one in eyes.docker.containers()}
    assert "/trading_platform_loki_server" in names
    assert "/trading_platform-alert_worker-1" in names
    redis = eyes.docker.inspect_container("trading_platform_redis")
    gateway = eyes.docker.inspect_container("trading_platform_execution_gateway")
    assert (redis["HostConfig"]["RestartPolicy"]["Name"], len(redis["Id"])) == ("no", 64)
    assert gateway["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert "Health" not in eyes.docker.inspect_container(IDLE)["State"]


def test_logs_can_be_asked_for_by_stream_tail_and_time(eyes: Eyes) -> None:
    name = "trading_platform_execution_gateway"
    whole = eyes.docker.logs(name, timestamps=True).decode().splitlines()
    assert len(whole) > 5
    assert (
        eyes.docker.logs(name, tail=3, timestamps=True).decode().splitlines()[0].split(" ")[0]
        >= (whole[-3].split(" ")[0])
    )
    assert eyes.docker.logs(name, since=int(time.time()) + 60) == b""
    out, err = eyes.docker.logs(name, stderr=False), eyes.docker.logs(name, stdout=False)
    assert b"routes.orders" not in out
    assert b"routes." in err


@pytest.mark.linux
def test_a_follower_that_leaves_is_forgotten(eyes: Eyes) -> None:
    path = eyes.world["docker"].removeprefix("unix://")
    held = Path(f"/proc/{eyes.world.child.pid}/fd")
    before = sum(1 for _ in held.iterdir())
    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            link.sendall(
                b"GET /containers/trading_platform_redis/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            assert link.recv(15) == b"HTTP/1.1 200 OK"
    wait_until(lambda: sum(1 for _ in held.iterdir()) <= before + 5, 20, "the release of their sockets")
