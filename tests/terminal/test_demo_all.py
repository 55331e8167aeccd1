"""``controlroom demo --all``: every world at once, one config, one line that tells of all."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.demo.world import STACKS
from tests.servers.demo import isolated_env
from tests.servers.process import Child
from tests.terminal.program import room
from tui.commands.demo import merged

STARTING = 120.0
"""Seconds all worlds together may take to be there."""


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """What the one line says."""
    argv = [sys.executable, "-m", "tui.cli", "demo", "--all", "--headless"]
    child = Child(argv, tmp_path / "log", env=isolated_env(tmp_path), stdout=subprocess.PIPE)
    try:
        assert child.popen.stdout is not None
        ready, _, _ = select.select([child.popen.stdout], [], [], STARTING)
        assert ready, (tmp_path / "log").read_text()
        yield json.loads(child.popen.stdout.readline())
    finally:
        child.stop(20.0)


def test_all_worlds_are_served_and_one_config_shows_them(
    worlds: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert [world["stack"] for world in worlds] == list(STACKS)
    (together,) = {world["together"] for world in worlds}
    assert Path(together).stat().st_mode & 0o077 == 0
    terminal = room(Path(together), isolated_env(tmp_path))
    try:
        page = terminal.wait_for(f"{len(STACKS)} stacks: ", 30.0)
        assert all(name in page for name in STACKS)
        terminal.press("enter")
        terminal.wait_for("1 Containers", 10.0)
    finally:
        terminal.close()


def test_several_configs_become_one_with_the_rooms_own_state_once() -> None:
    one, other = (
        f'# by the demo\n[room]\nstate_dir = "/{name}"\n\n[stack.{name}]\nenvironment = "demo"\n'
        f'\n[stack.{name}.source.redis]\nurl = "redis://127.0.0.1:{port}/0"\n'
        for name, port in (("desk", 1), ("bot", 2))
    )
    config = tomllib.loads(merged([one, other], Path("/together")))
    assert config["room"] == {"state_dir": "/together"}
    assert {name: it["source"]["redis"]["url"][-3:] for name, it in config["stack"].items()} == {
        "desk": "1/0",
        "bot": "2/0",
    }
