"""Exit statuses that take a broken way to be seen: in part, unknown, not done, and taken back afterwards."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.servers.demo import DemoWorld, resume
from tests.terminal.program import CONTROLROOM, ROOT, command

HALT = ("run", "halt", "--stack", "trading-platform", "--reason", "drill")
KEY = "kill_switch:state"
FIRST = "; via rung 1: "
"""In a verdict by the first way, which leaves the next to be gone when that is undone."""
TRIES = 5
"""At most: on a busy machine another way may be read back first, or nobody who must obey is heard in time."""


def rerouted(world: DemoWorld, folder: Path, **ports: int) -> Path:
    """The demo's config with these sources at other ports of this host."""
    text = world.config.read_text()
    for source, port in ports.items():
        found = re.search(rf'source\.{source}\]\nurl = "(\w+)://[^"]+?(/\d)?"', text)
        assert found is not None, source
        text = text.replace(
            found[0], f'source.{source}]\nurl = "{found[1]}://127.0.0.1:{port}{found[2] or ""}"'
        )
    config = folder / "config.toml"
    config.write_text(text)
    config.chmod(0o600)
    return config


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


def test_nine_when_every_way_answers_no(world: DemoWorld, tmp_path: Path) -> None:
    done = command(rerouted(world, tmp_path, redis=1, orchestrator=1), world.env, *HALT, "--no-wait")
    assert done.returncode == 9, done.stdout
    assert "NOT HALTED" in done.stdout
    assert "By hand:" in done.stdout


def test_five_when_nobody_answers_at_all(world: DemoWorld, tmp_path: Path, silent_port: int) -> None:
    config = rerouted(world, tmp_path, redis=silent_port, orchestrator=silent_port)
    done = command(config, world.env, *HALT, "--no-wait")
    assert done.returncode == 5, done.stdout
    assert "treat as NOT HALTED" in done.stdout


def test_four_when_some_steps_are_done_and_others_are_not(world: DemoWorld, tmp_path: Path) -> None:
    config = rerouted(world, tmp_path)
    text = config.read_text().replace(world["docker"], f"unix://{tmp_path}/nobody.sock")
    config.write_text(text)
    recover = ("run", "recover-safety", "--stack", "trading-platform", "--reason", "drill")
    dry = json.loads(command(config, world.env, *recover, "--dry-run", "--json").stdout)
    done = command(config, world.env, *recover, "--plan", dry["plan"], "--confirm", dry["confirm"])
    assert done.returncode == 4, done.stdout
    assert "PARTIAL" in done.stdout


@pytest.mark.parametrize(
    ("options", "status"), [((), 7), (("--no-wait",), 0)], ids=["watched", "left at the verdict"]
)
def test_seven_when_a_proved_halt_is_undone_while_it_is_watched(
    world: DemoWorld, options: tuple[str, ...], status: int
) -> None:
    with redis.Redis.from_url(world["redis"], decode_responses=True) as client:
        for _ in range(TRIES):
            if "ENGAGED" in str(client.get(KEY)):
                resume(world)
            process = subprocess.Popen(
                [*CONTROLROOM, "--config", str(world.config), *HALT, *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=world.env, cwd=ROOT, text=True,
            )  # fmt: skip
            assert process.stdout is not None
            if any(line.startswith("VERIFIED: HALTED. ") and FIRST in line for line in process.stdout):
                break
            process.wait(30)
        resume(world)
        rest, _ = process.communicate(timeout=30)
        if status == 7:
            assert "Now: Engage the kill switch through the orchestrator" in rest
            assert "  verified     Engage the kill switch through the orchestrator: " in rest
            assert "ENGAGED" in str(client.get(KEY)), "halted again by the next way there is"
    assert process.returncode == status
    assert ("LATE: NOT HALTED" in rest) is (status == 7)
