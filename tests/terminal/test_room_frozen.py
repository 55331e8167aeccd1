"""A screen that has stopped, for whatever reason, does not stop a stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.servers.between import journal
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.process import wait_until
from tests.terminal.program import room
from tests.terminal.screen import Terminal
from tests.terminal.test_room import kill_state, kinds, open_dialog


@pytest.fixture
def world() -> Iterator[DemoWorld]:
    """A demo of its own for each test: each halts it."""
    world = start_demo()
    yield world
    world.stop()


def assert_halted(world: DemoWorld) -> None:
    """The journal tells of a proved halt, and the platform of none else."""
    (outcome,) = (record for record in journal(world.config.parent) if record["kind"] == "outcome")
    assert outcome["verdict"] == "VERIFIED"
    assert kill_state(world) == "ENGAGED"


def test_a_stop_is_proved_behind_a_terminal_that_takes_nothing_and_is_shown_when_it_does(
    world: DemoWorld,
) -> None:
    """As behind a scroll lock, or a line that hangs."""
    terminal = room(world.config, world.env)
    try:
        open_dialog(terminal)
        terminal.freeze()
        terminal.press("h")
        wait_until(lambda: "outcome" in kinds(world), 15, "an outcome")
        assert terminal.is_full()
        assert_halted(world)
        terminal.thaw()
        terminal.wait_for("VERIFIED", 10)
    finally:
        terminal.close()


BLOCKED = """
import sys, threading
from pathlib import Path
from backends.engine import Engine
submit, blocked = Engine.submit, Path(sys.argv[1])
def then_blocked(self, intent):
    submit(self, intent)
    blocked.touch()
    threading.Event().wait()
Engine.submit = then_blocked
sys.argv = ["controlroom", *sys.argv[2:]]
from tui.cli import program
program()
"""
"""The program, whose screen never comes back from handing over what was confirmed."""


def test_a_stop_is_proved_while_the_screen_s_own_loop_is_blocked(world: DemoWorld) -> None:
    blocked = world.home / "blocked"
    argv = [sys.executable, "-c", BLOCKED, str(blocked), "--config", str(world.config)]
    terminal = Terminal(argv, world.env)
    try:
        open_dialog(terminal)
        terminal.press("h")
        wait_until(blocked.exists, 10, "a blocked screen")
        wait_until(lambda: "outcome" in kinds(world), 15, "an outcome")
        assert_halted(world)
        terminal.settle(1.5)
        drawn = len(terminal.raw)
        terminal.look(1.5)
        assert len(terminal.raw) == drawn, "the screen is not blocked: this proves nothing"
    finally:
        terminal.popen.kill()  # it heeds no signal
        terminal.close()
