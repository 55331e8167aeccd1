"""``start-on-host`` of trading-platform on a real systemd of the user: three services out of the checkout.

It is run on the screen and again, from the same beginning, by command: it leaves the same. The platform's
code is not here: in the place of its ``uvicorn`` a small program answers what the demo's service of that port
did, on a port that is free here.
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import redis

from backends.demo.process import free_port
from tests.contract.systemd_demo import demo_with_systemd
from tests.servers.demo import DemoWorld
from tests.servers.process import listens, wait_until
from tests.servers.systemd import Systemd, start_systemd
from tests.terminal.hands import Hands, hands_on
from tests.terminal.left import BY_UNITS, FACES
from tests.turns import SENDERS

pytestmark = SENDERS

STACK, NAME = "trading-platform", "start-on-host"
SERVICES = {
    "signal": (8001, "/health"),
    "gateway": (8002, "/health"),
    "orchestrator": (8003, "/api/v1/kill-switch/status"),
}
"""The port of each, and what it is asked for to prove that it was started."""
CONTAINERS = ("signal_service", "execution_gateway", "orchestrator")
UNITS = ("trading-signal", "trading-gateway", "trading-orchestrator")
SAYS = "serving apps.execution_gateway.main:app for the desk\n"

_UVICORN = """#!{python} -IS
import functools, http.server, os, sys
port = sys.argv[sys.argv.index("--port") + 1]
answer = functools.partial(http.server.SimpleHTTPRequestHandler, directory="answers/" + port)
print("serving", sys.argv[1], "for", os.environ["USER_OF_THIS"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["INSTEAD_OF_" + port])), answer).serve_forever()
"""


@dataclass
class Host:
    """The checkout on a host whose user has a systemd, and an operator who can start what is in it."""

    checkout: Path
    ports: dict[str, int]
    docker: str
    systemd: Systemd
    hands: Hands

    def units(self) -> str:
        """Whether each of the three is active, in order."""
        return self.systemd.run("systemctl", "--user", "is-active", *UNITS).stdout

    def processes(self) -> list[str]:
        """The main process of each of the three."""
        show = ("systemctl", "--user", "show", "--property=MainPID")
        return [self.systemd.run(*show, each).stdout for each in UNITS]

    def end(self) -> None:
        """All three are stopped, and forgotten."""
        self.systemd.run("systemctl", "--user", "stop", *UNITS)
        wait_until(lambda: not any(map(listens, self.ports.values())), 20, "the end of the three")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with demo_with_systemd(STACK, _start) as (world, systemd):
        checkout = world.config.parent / "checkout"
        ports = _prepare(world, checkout)
        text = world.config.read_text()
        for name, port in ports.items():
            assert world["http"][name] in text
            text = text.replace(world["http"][name], f"http://127.0.0.1:{port}")
        with hands_on(world, STACK, "host", text) as hands:
            yield Host(checkout, ports, world["docker"], systemd, hands)


def _start(world: DemoWorld) -> Systemd:
    checkout = world.config.parent / "checkout"
    return start_systemd({}, {}, shown=[Path(sys.base_prefix)], shared=[checkout])


def _prepare(world: DemoWorld, checkout: Path) -> dict[str, int]:
    """Trading is halted, and the checkout has what the three units need; the port of each service."""
    with redis.Redis.from_url(world["redis"], decode_responses=True) as store:
        state = json.loads(str(store.get("kill_switch:state")))
        store.set("kill_switch:state", json.dumps(state | {"state": "ENGAGED"}))
    ports = {name: free_port() for name in SERVICES}
    with (checkout / ".env").open("a") as env:
        env.write("USER_OF_THIS=the desk\n")
        for name, (port, path) in SERVICES.items():
            env.write(f"INSTEAD_OF_{port}={ports[name]}\n")
            kept = checkout / f"answers/{port}{path}"
            kept.parent.mkdir(parents=True)
            with urllib.request.urlopen(world["http"][name] + path, timeout=10) as answer:
                kept.write_bytes(answer.read())
    program = checkout / ".venv/bin/uvicorn"
    program.parent.mkdir(parents=True)
    program.write_text(_UVICORN.format(python=Path(sys.executable).resolve()))
    program.chmod(0o755)
    (checkout / "logs").mkdir(exist_ok=True)
    return ports


def test_while_containers_hold_the_ports_nothing_is_started(host: Host) -> None:
    """Their answers would prove what was started for what was not."""
    host.hands.is_refused(NAME, *(f"The container {each} holds port" for each in CONTAINERS))
    with contextlib.closing(docker.DockerClient(base_url=host.docker)) as engine:
        for each in CONTAINERS:
            engine.containers.get(f"trading_platform_{each}").stop()


@pytest.mark.parametrize("face", FACES)
def test_the_three_services_are_started_as_units_of_the_user(host: Host, face: str) -> None:
    host.end()
    host.hands.verify(face, NAME)
    assert host.units() == "active\nactive\nactive\n"
    assert all(map(listens, host.ports.values()))
    log = (host.checkout / "logs/execution_gateway.log").read_text()
    assert log.count(SAYS) == 1 + FACES.index(face)


def test_what_runs_already_goes_on_as_it_was_and_nothing_is_started_beside_it(host: Host) -> None:
    """It would answer in the place of what is started, and call it healthy."""
    before = host.processes()
    host.hands.is_refused(NAME, "One of them runs on this host already")
    assert host.processes() == before


def test_each_that_starts_units_was_run_by_both_faces_and_left_the_same(host: Host) -> None:
    assert host.hands.ran() == {(name, face) for name in BY_UNITS for face in FACES}


def test_the_senders_are_not_stopped_while_one_runs_without_a_container(host: Host) -> None:
    """Their containers have long ended: that alone would prove a stop that stopped nothing."""
    assert host.units() == "active\nactive\nactive\n"
    report, done = host.hands.operator.perform("stop-senders")
    assert report["blockers"] == []
    assert done.returncode != 0
    assert "SENDERS NOT STOPPED" in done.stdout
    assert "systemctl --user stop trading-gateway trading-orchestrator" in done.stdout
    host.end()
    _, done = host.hands.operator.perform("stop-senders")
    assert done.returncode == 0, done.stdout
