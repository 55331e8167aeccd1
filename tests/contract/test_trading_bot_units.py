"""The procedures of the trading bots that start and stop units, each to its verdict on a real systemd.

Redis and the rest are the demo's. The bots' code is not here: a unit sleeps in the place of each, and that of
the policy daemon writes its one heartbeat, as the real one does, and ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from backends.model.procedure import Run, Verdict
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.contract.systemd_demo import demo_with_systemd
from tests.servers.demo import DemoWorld
from tests.servers.process import wait_until
from tests.servers.systemd import Systemd, start_systemd
from tests.terminal.planned import alone

_SLEEPS = """[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=sh -c 'test -e /run/%n.ill && sleep 0.2 && exit 1; \\
  test -e /run/%n.rude && trap "exit 3" TERM && touch /run/%n.trapped && \\
  while sleep 0.1; do :; done; exec sleep infinity'
Restart=on-failure
"""
"""Where ill, it ends soon after each start and is started again; where rude, badly when told to."""
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
    redis: str

    def verify(self, procedure: str) -> Run:
        run = self.room.perform(procedure)
        assert not run.blockers, run.blockers
        assert run.verdict is Verdict.VERIFIED, f"{run.sentence} {run.steps}"
        return run

    def is_not_proved(self, procedure: str) -> str:
        """What was read back instead."""
        run = self.room.perform(procedure)
        assert not run.blockers, run.blockers
        assert run.verdict is not Verdict.VERIFIED, run.steps
        return str(run.sentence)

    @contextmanager
    def being(self, how: str, unit: str, *scope: str) -> Iterator[None]:
        self.systemd.run("touch", f"/run/{unit}.{how}")
        yield
        self.systemd.run("rm", f"/run/{unit}.{how}")
        self.systemd.run("systemctl", *scope, "restart", unit)

    def restart_rude(self, unit: str, *scope: str) -> None:
        """And wait until it is: told to end before, it ends well."""
        self.systemd.run("rm", "-f", f"/run/{unit}.trapped")
        self.systemd.run("systemctl", *scope, "restart", unit)
        wait_until((self.systemd.root / f"run/{unit}.trapped").exists, 15, "its rudeness")

    def show(self, unit: str, name: str, *scope: str) -> str:
        return self.systemd.run(
            "systemctl", *scope, "show", f"--property={name}", "--value", unit
        ).stdout.strip()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with demo_with_systemd("trading-bot", _start) as (world, systemd):
        systemd.run("systemctl", "--user", "start", "policy-blue.service")
        text = world.config.read_text()
        for folder in ("systemd", "user-systemd"):
            there = f"systemd://localhost{world.config.parent}/{folder}/bin"
            assert f'"{there}"' in text
            text = text.replace(f'"{there}"', f'"{systemd.url}"')
        config = world.config.with_name("units.toml")
        config.write_text(alone(text))
        config.chmod(0o600)
        room = ArmedRoom(config, world.env, world.home / "journal", looking_patiently)
        try:
            yield Desk(systemd, room, world["redis"])
        finally:
            room.close()


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

    with redis.Redis.from_url(desk.redis, decode_responses=True) as store:
        assert store.mget("mode:active_color", "metrics:active_color") == ["green", "1"]


def test_what_was_switched_is_switched_back(desk: Desk) -> None:
    desk.verify("canary-blue")
    assert desk.show("policy-blue.service", "ActiveState", "--user") == "active"
    assert desk.show("policy-green.service", "ActiveState", "--user") == "inactive"
    with redis.Redis.from_url(desk.redis, decode_responses=True) as store:
        assert store.mget("mode:active_color", "metrics:active_color") == ["blue", "0"]
        assert "'target': 'blue'" in store.lindex("deploy:history", 0)


def test_a_deployment_that_is_started_again_and_again_is_no_switch(desk: Desk) -> None:
    with desk.being("ill", "policy-green.service", "--user"):
        assert "policy-green" in desk.is_not_proved("canary-green")


def test_the_bot_that_is_restarted_is_another_process_and_stays(desk: Desk) -> None:
    before = desk.show("trading_bot.service", "MainPID")
    desk.verify("restart-trading-bot")
    assert desk.show("trading_bot.service", "MainPID") not in ("0", before)


def test_a_bot_that_is_started_again_and_again_was_not_restarted(desk: Desk) -> None:
    with desk.being("ill", "trading_bot.service"):
        assert "trading_bot restarts" in desk.is_not_proved("restart-trading-bot")


def test_a_stopped_bot_stays_stopped(desk: Desk) -> None:
    desk.verify("stop-trading-bot")
    assert desk.show("trading_bot.service", "ActiveState") == "inactive"
    assert desk.show("ops_bot.service", "ActiveState") == "active"


def test_a_bot_that_ends_badly_when_it_is_told_to_is_stopped(desk: Desk) -> None:
    with desk.being("rude", "trading_bot.service"):
        desk.restart_rude("trading_bot.service")
        desk.verify("stop-trading-bot")
        assert desk.show("trading_bot.service", "ActiveState") == "failed"


@pytest.mark.parametrize("name", ["halt", "halt-starve"])
def test_a_halt_stops_the_bot_that_reads_no_mode(desk: Desk, name: str) -> None:
    desk.systemd.run("systemctl", "restart", "trading_bot.service")
    desk.verify(name)
    assert desk.show("trading_bot.service", "ActiveState") == "inactive"
    assert desk.show("ops_bot.service", "ActiveState") == "active"


def test_a_bot_that_is_not_installed_keeps_no_halt_from_being_proved(desk: Desk) -> None:
    unit = "/etc/systemd/system/trading_bot.service"
    for words in (("mv", unit, "/run/kept"), ("systemctl", "daemon-reload")):
        desk.systemd.run(*words)
    try:
        assert desk.show("trading_bot.service", "LoadState") == "not-found"
        desk.verify("halt")
    finally:
        for words in (("mv", "/run/kept", unit), ("systemctl", "daemon-reload")):
            desk.systemd.run(*words)


def test_a_deployment_that_failed_is_switched_away_from(desk: Desk) -> None:
    with desk.being("rude", "policy-green.service", "--user"):
        desk.restart_rude("policy-green.service", "--user")
        desk.systemd.run("systemctl", "--user", "stop", "policy-green.service")
        assert desk.show("policy-green.service", "ActiveState", "--user") == "failed"
        desk.verify("canary-blue")
