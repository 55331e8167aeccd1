"""``start-on-host`` of trading-platform on a real systemd of the user: three services out of the checkout.

The platform's code is not here: in the place of its ``uvicorn`` a small program answers what the demo's
service of that port did, on a port that is free here.
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
from backends.model.procedure import Verdict
from tests.conftest import started
from tests.contract.armed_room import ArmedRoom
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.process import listens
from tests.servers.systemd import RUNTIME, Systemd, start_systemd
from tests.terminal.planned import alone

SERVICES = {
    "signal": (8001, "/health"),
    "gateway": (8002, "/health"),
    "orchestrator": (8003, "/api/v1/kill-switch/status"),
}
"""The port of each, and what it is asked for to prove that it was started."""
CONTAINERS = ("signal_service", "execution_gateway", "orchestrator")
UNITS = ("trading-signal", "trading-gateway", "trading-orchestrator")

_UVICORN = """#!{python} -IS
import functools, http.server, os, sys
port = sys.argv[sys.argv.index("--port") + 1]
answer = functools.partial(http.server.SimpleHTTPRequestHandler, directory="answers/" + port)
print("serving", sys.argv[1], "for", os.environ["USER_OF_THIS"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["INSTEAD_OF_" + port])), answer).serve_forever()
"""


@dataclass
class Host:
    """The checkout on a host whose user has a systemd, and a room that can start what is in it."""

    checkout: Path
    ports: dict[str, int]
    docker: str
    systemd: Systemd
    room: ArmedRoom

    def units(self) -> str:
        """Whether each of the three is active, in order."""
        return self.systemd.run("systemctl", "--user", "is-active", *UNITS).stdout

    def processes(self) -> list[str]:
        """The main process of each of the three."""
        show = ("systemctl", "--user", "show", "--property=MainPID")
        return [self.systemd.run(*show, each).stdout for each in UNITS]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    world = start_demo()
    checkout = world.config.parent / "checkout"
    systemd = None
    try:
        ports = _prepare(world, checkout)
        shown = [Path(sys.base_prefix)]
        systemd = started("systemd", lambda: start_systemd({}, {}, shown=shown, shared=[checkout]))
        config = world.config.with_name("host.toml")
        text = world.config.read_text()
        for name, port in ports.items():
            assert world["http"][name] in text
            text = text.replace(world["http"][name], f"http://127.0.0.1:{port}")
        config.write_text(alone(text))
        config.chmod(0o600)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(systemd.programs), prepend=":")
            patch.setenv("XDG_RUNTIME_DIR", RUNTIME)
            room = ArmedRoom(config, world.env, world.home / "journal")
            try:
                yield Host(checkout, ports, world["docker"], systemd, room)
            finally:
                room.close()
    finally:
        if systemd is not None:
            systemd.stop()
        world.stop()


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
    said = " ".join(map(str, host.room.dry_run("start-on-host").blockers))
    assert all(f"The container {each} holds port" in said for each in CONTAINERS), said
    with contextlib.closing(docker.DockerClient(base_url=host.docker)) as engine:
        for each in CONTAINERS:
            engine.containers.get(f"trading_platform_{each}").stop()


def test_the_three_services_are_started_as_units_of_the_user(host: Host) -> None:
    assert not any(map(listens, host.ports.values()))
    run = host.room.perform("start-on-host")
    assert not run.blockers, run.blockers
    assert run.verdict is Verdict.VERIFIED, f"{run.sentence} {run.steps}"
    assert host.units() == "active\nactive\nactive\n"
    assert all(map(listens, host.ports.values()))
    log = (host.checkout / "logs/execution_gateway.log").read_text()
    assert "serving apps.execution_gateway.main:app for the desk" in log


def test_what_runs_already_goes_on_as_it_was(host: Host) -> None:
    before = host.processes()
    run = host.room.perform("start-on-host")
    told = [step.receipt.text for step in run.steps if step.receipt is not None]
    assert len(told) == len(UNITS)
    assert all("was already loaded" in each for each in told)
    assert host.processes() == before
