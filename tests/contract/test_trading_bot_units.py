"""The procedures of the trading bots that start and stop units, each to its verdict on a real systemd.

Redis and the rest are the demo's. The bots' code is not here: a unit sleeps in the place of each, and that of
the policy daemon writes its one heartbeat, as the real one does, and ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backends.model.procedure import Run, Verdict
from tests.conftest import started
from tests.contract.armed_room import ArmedRoom
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.process import wait_until
from tests.servers.systemd import RUNTIME, Systemd, start_systemd
from tests.terminal.planned import alone

_SLEEPS = "[Service]\nExecStart=sleep infinity\n"
_STEP = """
import socket, sys, time
now = int(time.time())
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as link:
    for command in (f"SET policy:last_update_ts {now}", f"HSET policy:current timestamp {now}"):
        link.sendall(command.encode() + b"\\r\\n")
        assert link.recv(100)[:1] in b"+:"
print("heartbeat written, done")
"""


@dataclass
class Desk:
    """A room armed on the bots' units."""

    systemd: Systemd
    room: ArmedRoom

    def verify(self, procedure: str) -> Run:
        run = self.room.perform(procedure)
        assert not run.blockers, run.blockers
        assert run.verdict is Verdict.VERIFIED, f"{run.sentence} {run.steps}"
        return run

    def show(self, unit: str, name: str, *scope: str) -> str:
        return self.systemd.run(
            "systemctl", *scope, "show", f"--property={name}", "--value", unit
        ).stdout.strip()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    world = start_demo("trading-bot")
    systemd = None
    try:
        systemd = started("systemd", lambda: _start(world))
        systemd.run("systemctl", "--user", "start", "policy-blue.service")
        text = world.config.read_text()
        for folder in ("systemd", "user-systemd"):
            there = f"systemd://localhost{world.config.parent}/{folder}/bin"
            assert f'"{there}"' in text
            text = text.replace(f'"{there}"', f'"{systemd.url}"')
        config = world.config.with_name("units.toml")
        config.write_text(alone(text))
        config.chmod(0o600)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", RUNTIME)
            room = ArmedRoom(config, world.env, world.home / "journal")
            try:
                yield Desk(systemd, room)
            finally:
                room.close()
    finally:
        if systemd is not None:
            systemd.stop()
        world.stop()


def _start(world: DemoWorld) -> Systemd:
    script = world.home / "step.py"
    script.write_text(_STEP)
    step = f"{Path(sys.executable).resolve()} -IS {script} {urlsplit(world['redis']).port}"
    bots = {f"{name}.service": _SLEEPS for name in ("trading_bot", "ops_bot")}
    policy = {"rl-policy.service": f"[Service]\nExecStart={step}\n"}
    colours = {f"policy-{name}.service": _SLEEPS for name in ("blue", "green")}
    shown = [Path(sys.base_prefix), world.home]
    return start_systemd(bots | policy, colours, begin=[*bots, *policy], shown=shown)


def test_a_restarted_bot_is_another_process(desk: Desk) -> None:
    before = desk.show("ops_bot.service", "MainPID")
    desk.verify("restart-ops-bot")
    assert desk.show("ops_bot.service", "MainPID") not in ("0", before)


def test_the_policy_daemon_restarted_has_written_and_ended(desk: Desk) -> None:
    desk.verify("restart-policy")
    wait_until(lambda: desk.show("rl-policy.service", "ActiveState") == "inactive", what="its end")
    assert desk.show("rl-policy.service", "Result") == "success"


def test_a_switch_starts_one_unit_of_the_user_and_then_stops_the_other(desk: Desk) -> None:
    desk.verify("canary-green")
    assert desk.show("policy-green.service", "ActiveState", "--user") == "active"
    assert desk.show("policy-blue.service", "ActiveState", "--user") == "inactive"


def test_a_stopped_bot_stays_stopped(desk: Desk) -> None:
    desk.verify("stop-trading-bot")
    assert desk.show("trading_bot.service", "ActiveState") == "inactive"
    assert desk.show("ops_bot.service", "ActiveState") == "active"
