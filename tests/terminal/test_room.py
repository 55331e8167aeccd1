"""The program as an operator meets it: a terminal, four panes, two keys, a proof."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.usage import tree
from tests.conftest import need, started
from tests.servers.between import journal
from tests.servers.demo import DemoWorld, isolated_env, start_demo, switch
from tests.servers.process import wait_until
from tests.servers.sshd import SshServer, start_sshd
from tests.terminal.program import (
    CONTROLROOM,
    ROOT,
    cold_command,
    panes_are_filled,
    room,
    until_it_listens,
)
from tests.terminal.screen import Terminal


@pytest.fixture
def world() -> Iterator[DemoWorld]:
    """A demo of its own for each test that halts it."""
    world = start_demo()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def ssh() -> Iterator[SshServer]:
    server = started("sshd", start_sshd)
    yield server
    server.stop()


def kill_state(world: DemoWorld) -> str:
    """What the platform's own services say."""
    url = f"{world['http']['orchestrator']}/api/v1/kill-switch/status"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(json.load(answer)["state"])


def open_dialog(terminal: Terminal) -> None:
    """The first key, and until the second one counts."""
    terminal.wait_for(panes_are_filled, 30)
    terminal.press("f9")
    terminal.wait_for("Halt trading")
    until_it_listens(terminal)


def kinds(world: DemoWorld) -> list[str]:
    return [record["kind"] for record in journal(world.config.parent)]


def is_restored(terminal: Terminal) -> bool:
    """Whether full-screen mode and mouse were let go, the cursor shown, the line discipline put back."""
    raw = bytes(terminal.raw)
    off = all(raw.rfind(b"\x1b[?%bl" % n) > raw.rfind(b"\x1b[?%bh" % n) for n in (b"1049", b"1003"))
    shown = raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
    return off and shown and termios.tcgetattr(terminal.slave)[:4] == terminal.modes[:4]


def test_two_keys_halt_trading_and_the_verdict_is_on_the_screen(world: DemoWorld) -> None:
    assert kill_state(world) == "ACTIVE"
    terminal = room(world.config, world.env)
    try:
        open_dialog(terminal)
        terminal.press("h")
        terminal.wait_for("VERIFIED", 10)
        assert kill_state(world) == "ENGAGED"
        terminal.press("escape")
        terminal.wait_for(lambda text: "HALTED" in text and "Know that" not in text, 10)
        terminal.press("q")
        assert terminal.wait_end() == 0
    finally:
        terminal.close()
    assert kinds(world).index("intent") < kinds(world).index("outcome")


def test_a_connection_lost_after_the_second_key_does_not_stop_the_stop(
    world: DemoWorld, ssh: SshServer
) -> None:
    """Redis hangs from the second key on, and all else until the line is lost: the stop is still at work."""
    remote = f"cd {ROOT} && {' '.join(CONTROLROOM)} --config {world.config}"
    terminal = Terminal(ssh.command(remote))
    try:
        open_dialog(terminal)
        switch(world, "redis-hang", is_on=True)
        world.child.pause()
        terminal.press("h")
        wait_until(lambda: "intent" in kinds(world), 10, "an intent", every=0.005)
        terminal.popen.kill()  # the client is gone without a word, as with a lost line
        is_over = "outcome" in kinds(world)
        world.child.resume()
        assert not is_over
        wait_until(lambda: "outcome" in kinds(world), 15, "an outcome")
    finally:
        world.child.resume()
        terminal.close()
    (outcome,) = (record for record in journal(world.config.parent) if record["kind"] == "outcome")
    assert (outcome["verdict"], outcome["rung"]) == ("VERIFIED", 2)
    assert outcome["session"]["remote"] == "127.0.0.1"
    assert kill_state(world) == "ENGAGED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_restores_the_terminal_and_is_told_to_the_shell(
    demo_world: DemoWorld, number: signal.Signals
) -> None:
    terminal = room(demo_world.config, demo_world.env)
    try:
        terminal.wait_for(panes_are_filled, 30)
        terminal.popen.send_signal(number)
        assert terminal.wait_end() == 128 + number
        assert is_restored(terminal)
    finally:
        terminal.close()


def test_a_room_that_is_still_loading_its_libraries_ends_on_a_signal(demo_world: DemoWorld) -> None:
    terminal = room(demo_world.config, demo_world.env)
    try:
        terminal.wait_for("1 Containers", 30)
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.wait_end() == 128 + signal.SIGTERM
        assert is_restored(terminal)
    finally:
        terminal.close()


def test_a_terminal_that_tells_no_size_gets_the_usual_one(demo_world: DemoWorld) -> None:
    argv = [*CONTROLROOM, "--config", str(demo_world.config)]
    terminal = Terminal(argv, demo_world.env, 80, 25, tells_size=False)
    try:
        terminal.wait_for("1 Containers", 30)
        terminal.press("f9")
        terminal.wait_for("Know that", 10)
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.wait_end() == 128 + signal.SIGTERM
    finally:
        terminal.close()


CRASH = """
import sys
from tui import app
def broken(self, *a, **k):
    canary = "canary-4711-in-a-local"
    raise RuntimeError("broken on purpose")
app.ControlRoom.action_zoom = broken
from tui.screens import main as screens
for screen in [it for it in vars(screens).values() if isinstance(it, type)]:
    if hasattr(screen, "action_zoom"):
        screen.action_zoom = broken
sys.argv = ["controlroom", *sys.argv[1:]]
from tui.cli import program
program()
"""


def test_a_crash_ends_with_a_failure_and_a_restored_terminal_and_shows_no_variables(
    demo_world: DemoWorld,
) -> None:
    argv = [sys.executable, "-c", CRASH, "--config", str(demo_world.config)]
    terminal = Terminal(argv, demo_world.env)
    try:
        terminal.wait_for(panes_are_filled, 30)
        terminal.press("z")
        assert terminal.wait_end(20) == 1
        assert is_restored(terminal)
        assert b"RuntimeError" in terminal.raw
        assert b"canary-4711-in-a-local" not in terminal.raw
    finally:
        terminal.close()


@pytest.mark.linux
def test_the_demo_starts_its_world_and_takes_it_along_when_it_ends(tmp_path: Path) -> None:
    terminal = Terminal([*CONTROLROOM, "demo", "--seed", "3"], isolated_env(tmp_path))
    try:
        terminal.wait_for(panes_are_filled, 40)
        assert " DEMO " in terminal.lines[0]
        family = tree(terminal.popen.pid)
        assert len(family) > 3, "the demo has no servers of its own: this proves nothing"
        terminal.press("q")
        assert terminal.wait_end(20) == 0
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 20, "all of it gone")
    finally:
        terminal.close()


def test_it_runs_inside_tmux(demo_world: DemoWorld, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        need("tmux", "not installed")
    tmux = ["tmux", "-L", f"controlroom-test-{os.getpid()}", "-f", "/dev/null"]
    start = [*tmux, "new-session", "-d", "-x", "120", "-y", "40", *CONTROLROOM, "--config"]
    subprocess.run([*start, str(demo_world.config)], env=demo_world.env, cwd=ROOT, check=True, timeout=20)

    def picture() -> str:
        return subprocess.run(
            [*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False, timeout=10
        ).stdout

    try:
        wait_until(lambda: panes_are_filled(picture()), 30, "four filled panes in tmux", every=0.2)
        subprocess.run([*tmux, "send-keys", "F9"], check=True, timeout=10)
        wait_until(lambda: "Halt trading" in picture(), 10, "the dialog in tmux", every=0.1)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True, timeout=10)


def test_without_a_terminal_it_says_what_to_use_instead(demo_world: DemoWorld) -> None:
    done = subprocess.run(
        [*CONTROLROOM, "--config", str(demo_world.config)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
        env=demo_world.env, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2
    assert "controlroom status" in done.stderr


def test_status_is_json_in_a_pipe_and_a_table_on_a_terminal(demo_world: DemoWorld) -> None:
    piped = cold_command(demo_world.config, demo_world.env, "status")
    said = json.loads(piped.stdout)
    assert list(said) == ["schema", "taken", "stacks"]
    terminal = room(demo_world.config, demo_world.env, "status")
    try:
        terminal.wait_end(40)
        assert b"\nSources" in terminal.raw
        assert b"{" not in terminal.raw
    finally:
        terminal.close()
