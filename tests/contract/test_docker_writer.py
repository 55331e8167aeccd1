"""Orders to a real Docker Engine, and to the demo's: what is done, to what, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import pytest

from backends.model.action import DockerVerb, HttpCall
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import ServiceSpec
from backends.writers.docker import DockerEffector
from tests.contract.docker_place import PLACES, Place, find_place, source, spec
from tests.servers.docker import DockerEngine
from tests.servers.process import wait_until
from tests.turns import DOCKER

DONE, ALREADY, FAILED, UNKNOWN = (
    ReceiptKind.DONE, ReceiptKind.ALREADY, ReceiptKind.FAILED, ReceiptKind.UNKNOWN,
)  # fmt: skip
pytestmark = DOCKER

PATIENT = "exec sleep 1000"
"""As pid 1, ``sleep`` ends only by SIGKILL."""


async def act(
    url: str, specs: list[ServiceSpec], verb: str, service: str, deadline: float = 8.0, **more: Any
) -> Receipt:
    effector = DockerEffector(source(url), specs)
    await effector.warm()
    action = DockerVerb("docker", verb, service, **more)
    step = Step("s", "Do it", action, (), connect=0.5, deadline=deadline)
    return await effector.act(action, {"service": "one", "which": "other"}, step)


@contextmanager
def container(engine: DockerEngine, script: str = PATIENT, **options: Any) -> Iterator[Any]:
    """A container of its own for one test."""
    one = engine.run(f"cr-own-{uuid4().hex[:8]}", script, **options)
    try:
        yield one
    finally:
        engine.resume()
        one.remove(force=True)


def inspected(client: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.api.inspect_container(name)["State"]
    return found


@pytest.fixture
def own(docker_engine: DockerEngine) -> Iterator[Any]:
    with container(docker_engine) as one:
        yield one


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return find_place(request.param, request)


async def test_stop_and_start_are_done_once_and_then_are_so_already(place: Place) -> None:
    name = place.unchecked
    specs = [spec("one", name)]
    ident = place.client.api.inspect_container(name)["Id"]
    try:
        receipt = await act(place.url, specs, "stop", "one", grace=1.0)
        assert (receipt.kind, receipt.text) == (DONE, f"{name} stopped")
        assert not inspected(place.client, name)["Running"]
        receipt = await act(place.url, specs, "stop", "one", grace=1.0)
        assert (receipt.kind, receipt.text) == (ALREADY, f"{name} stopped already")
        assert (await act(place.url, specs, "kill", "one")).kind is ALREADY
    finally:
        receipt = await act(place.url, specs, "start", "one")
    assert receipt.kind is DONE
    assert inspected(place.client, name)["Running"]
    assert (await act(place.url, specs, "start", "one")).kind is ALREADY
    assert place.client.api.inspect_container(name)["Id"] == ident


async def test_restart_and_kill_take_effect(place: Place) -> None:
    name = place.unchecked
    specs = [spec("one", name)]
    before = inspected(place.client, name)["StartedAt"]
    assert (await act(place.url, specs, "restart", "$service", grace=1.0)).kind is DONE
    assert inspected(place.client, name)["StartedAt"] > before
    try:
        assert (await act(place.url, specs, "kill", "one")).kind is DONE
        wait_until(lambda: not inspected(place.client, name)["Running"], 20, "killed")
        assert inspected(place.client, name)["ExitCode"] == 137
    finally:
        await act(place.url, specs, "start", "one")


async def test_a_container_that_is_not_there_is_said_to_be_so(place: Place) -> None:
    receipt = await act(place.url, [spec("one", "cr-none", "cr-nobody")], "stop", "one")
    assert receipt.kind is FAILED
    assert "no container named cr-none or cr-nobody" in receipt.text


async def test_the_first_of_the_names_that_exists_is_taken_and_never_an_id(
    docker_engine: DockerEngine, own: Any
) -> None:
    receipt = await act(docker_engine.url, [spec("one", own.id[:12])], "kill", "one")
    assert receipt.kind is FAILED
    assert inspected(own.client, own.name)["Running"]
    receipt = await act(docker_engine.url, [spec("one", "cr-none", own.name)], "kill", "one")
    assert receipt.kind is DONE


@pytest.mark.parametrize("service", ["other", "cr-healthy", "$which", "../one", "one/../other", ""])
async def test_what_the_stack_does_not_name_is_not_touched(docker_engine: DockerEngine, service: str) -> None:
    elsewhere = ServiceSpec("other", ("cr-healthy",), "elsewhere", "other-docker")
    receipt = await act(docker_engine.url, [spec("one", "cr-nocheck"), elsewhere], "kill", service)
    assert receipt.kind is FAILED
    assert "is no service of this stack" in receipt.text
    assert inspected(docker_engine.client, "cr-healthy")["Running"]


async def test_orders_that_make_no_sense_are_not_given(docker_engine: DockerEngine) -> None:
    one = [spec("one", "cr-nocheck")]
    for verb, more in (("remove", {}), ("disconnect", {}), ("stop", {"network": "net"})):
        assert (await act(docker_engine.url, one, verb, "one", **more)).kind is FAILED
    effector = DockerEffector(source(docker_engine.url), one)
    call = HttpCall("docker", "POST", "/containers/cr-nocheck/kill")
    assert (await effector.act(call, {}, Step("s", "s", call, ()))).kind is FAILED
    assert inspected(docker_engine.client, "cr-nocheck")["Running"]


async def test_a_container_is_cut_off_from_a_network(docker_engine: DockerEngine, own: Any) -> None:
    one = [spec("one", own.name)]

    def networks() -> list[str]:
        about = own.client.api.inspect_container(own.name)
        return list(about["NetworkSettings"]["Networks"])

    assert networks() == ["none"]
    receipt = await act(docker_engine.url, one, "disconnect", "one", network="cr-no-such-net")
    assert receipt.kind is FAILED
    assert "cr-no-such-net" in receipt.text
    receipt = await act(docker_engine.url, one, "disconnect", "one", network="none")
    assert (receipt.kind, receipt.text) == (DONE, f"{own.name} disconnected from none")
    assert networks() == []
    receipt = await act(docker_engine.url, one, "disconnect", "one", network="none")
    assert receipt.kind is ALREADY, receipt.text


async def test_a_paused_container_refuses_to_start(docker_engine: DockerEngine, own: Any) -> None:
    own.pause()
    receipt = await act(docker_engine.url, [spec("one", own.name)], "start", "one")
    own.unpause()
    assert receipt.kind is FAILED
    assert "answered 409" in receipt.text
    assert "pause" in receipt.text


async def test_grace_is_given_before_the_kill(docker_engine: DockerEngine) -> None:
    with container(docker_engine, stop_signal="SIGTERM") as one:
        began = time.monotonic()
        receipt = await act(docker_engine.url, [spec("one", one.name)], "stop", "one", grace=2.0)
        assert receipt.kind is DONE
        assert time.monotonic() - began >= 2.0


@pytest.mark.alone
async def test_a_slow_stop_is_unknown_in_time_and_still_completes(docker_engine: DockerEngine) -> None:
    with container(docker_engine, stop_signal="SIGTERM") as one:
        began = time.monotonic()
        receipt = await act(
            docker_engine.url, [spec("one", one.name)], "stop", "one", deadline=0.5, grace=2.0
        )
        assert time.monotonic() - began < 1.6
        assert receipt.kind is UNKNOWN
        assert "no answer within 1000 ms" in receipt.text
        wait_until(lambda: not inspected(one.client, one.name)["Running"], 20, "stopped")


@pytest.mark.alone
async def test_an_engine_that_hangs_gets_no_order_later_either(docker_engine: DockerEngine, own: Any) -> None:
    docker_engine.pause()
    try:
        began = time.monotonic()
        receipt = await act(docker_engine.url, [spec("one", own.name)], "kill", "one", deadline=0.5)
        assert time.monotonic() - began < 1.6
    finally:
        docker_engine.resume()
    assert receipt.kind is FAILED
    assert "nothing was sent" in receipt.text
    await asyncio.sleep(0.5)  # time in which a late order would arrive
    assert inspected(own.client, own.name)["Running"]


async def test_no_engine_means_nothing_happened() -> None:
    for url in ("unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"):
        receipt = await act(url, [spec("one", "x")], "kill", "one")
        assert receipt.kind is FAILED
        assert "nothing was sent" in receipt.text


@asynccontextmanager
async def odd_engine(fault: str) -> AsyncIterator[tuple[str, list[str]]]:
    """The url of an engine that answers badly, and the orders it got."""
    orders: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode() if not reader.at_eof() else "":
            method, target, _ = head.split(" ", 2)
            answer, status = {"ApiVersion": "1.41", "Name": "/x", "Id": "f" * 64}, 200
            if method == "POST":
                orders.append(target)
                if fault == "cut":
                    break
                answer, status = {"message": "\x1b[31mno"}, int(fault)
            raw = json.dumps(answer).encode()
            writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: {len(raw)}\r\n\r\n".encode())
            for byte in raw:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02 if fault == "drip" and "containers" in target else 0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", orders


@pytest.mark.parametrize(("fault", "kind"), [("cut", UNKNOWN), ("500", UNKNOWN), ("404", FAILED)])
async def test_an_order_whose_answer_is_lost_may_have_happened(fault: str, kind: ReceiptKind) -> None:
    async with odd_engine(fault) as (url, orders):
        receipt = await act(url, [spec("one", "x")], "restart", "one", grace=3.0)
    assert receipt.kind is kind, receipt.text
    assert orders == [f"/v1.41/containers/{'f' * 64}/restart?t=3"]
    assert "\x1b" not in receipt.text


async def test_an_order_that_was_given_up_never_goes_out() -> None:
    """The engine answers byte by byte, for longer than anybody waits."""
    async with odd_engine("drip") as (url, orders):
        receipt = await act(url, [spec("one", "x")], "kill", "one", deadline=0.5)
        assert receipt.kind is FAILED
        assert "no answer within 1000 ms; nothing was sent" in receipt.text
        for thread in threading.enumerate():
            if thread.name == "docker-order":
                await asyncio.to_thread(thread.join, 10.0)
    assert orders == []


def test_the_sdk_loads_with_the_first_order() -> None:
    program = "import sys, backends.writers.docker; print('docker' in sys.modules, 'requests' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
