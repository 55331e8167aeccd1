"""A fault in the program, as whoever typed a command sees it: that there is one, where, and no values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal.program import ROOT

SECRET = "hunter2-hunter2-9999"
LOCAL = "canary-4711-in-a-local"
BUG = """
import sys, threading
from backends.engine import Engine
from tui.cli import program

class Unusual(BaseException):
    pass

def broken(engine):
    password = engine.stacks[0].sources["redis"].password.reveal()
    canary, held = "canary-4711-in-a-local", password
    raise (Unusual if way == "unusual" else RuntimeError)(f"cannot log in with {password} today")

def broken_in_a_thread(engine):
    thread = threading.Thread(target=broken, args=(engine,))
    thread.start()
    thread.join()
    sys.exit(5)

way = sys.argv.pop(1)
Engine.start = broken_in_a_thread if way == "thread" else broken
sys.argv[0] = "controlroom"
program()
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[room]\nstate_dir = "{tmp_path}"\n[stack.trading-platform]\n'
        '[stack.trading-platform.source.redis]\npassword_env = "PASSWORD_OF_REDIS"\n'
    )
    return path


def with_bug(config: Path, way: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The ended command, with a bug as soon as its configuration is read and the engine is to start."""
    return subprocess.run(
        [sys.executable, "-c", BUG, way, "--config", str(config), *arguments],
        env={**os.environ, "PASSWORD_OF_REDIS": SECRET, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [("status",), ("run", "halt", "--reason", "drill")], ids=["status", "run"]
)
@pytest.mark.parametrize(
    ("way", "status", "kind"),
    [("caught", 1, "RuntimeError"), ("unusual", 1, "Unusual"), ("thread", 5, "RuntimeError")],
)
def test_a_bug_is_told_with_its_place_and_without_a_secret_or_a_variable(
    config: Path, command: tuple[str, ...], way: str, status: int, kind: str
) -> None:
    """A bug in a thread leaves the exit status to the command, which goes on."""
    done = with_bug(config, way, *command)
    assert done.returncode == status
    assert done.stdout == ""
    first, *places, last = done.stderr.splitlines()
    assert first.startswith("controlroom: a fault in the program.")
    assert any(place.endswith(" in broken") for place in places)
    assert all(place.startswith("  ") and " in " in place for place in places)
    assert last.endswith(f".{kind}: cannot log in with **** today")
    assert SECRET not in done.stderr
    assert LOCAL not in done.stderr
