"""Watch mode holds no code that writes: not in memory, not on the wire, whatever key is pressed."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.between import Between, between, journal
from tests.servers.demo import DemoWorld
from tests.terminal.program import key_bytes, panes_are_filled
from tests.terminal.screen import Terminal
from tui.actions import ACTIONS
from tui.cli import app
from tui.commands.exitcode import ExitCode

STACK = ("--stack", "trading-platform")
PROBE = """
import atexit, json, pathlib, sys
out = pathlib.Path(sys.argv[1])
atexit.register(lambda: out.write_text(json.dumps(sorted(sys.modules))))
sys.argv = ["controlroom", *sys.argv[2:]]
from tui.cli import main
main()
"""


@pytest.fixture
def wire(world: DemoWorld, tmp_path: Path) -> Iterator[Between]:
    with between(world, tmp_path) as it:
        yield it


def probed(wire: Between, world: DemoWorld, out: Path, *arguments: str) -> Terminal:
    """The program under a terminal; its modules are in ``out`` when it has ended."""
    argv = [sys.executable, "-c", PROBE, str(out), "--config", str(wire.config), *arguments]
    return Terminal(argv, world.env)


def writers(out: Path) -> list[str]:
    return [name for name in json.loads(out.read_text()) if name.startswith("backends.writers")]


def test_no_key_and_no_click_of_the_wall_screen_writes_anything(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    out = tmp_path / "modules.json"
    terminal = probed(wire, world, out, "watch")
    try:
        terminal.wait_for(panes_are_filled, 30)
        assert "READ ONLY" in terminal.text
        pressed = [action for action in ACTIONS if action.id != "quit"]
        for action in pressed:
            for key in (*action.keys, *([action.confirm] if action.confirm else [])):
                terminal.send(key_bytes(key))
                terminal.look(0.15)
            terminal.send(key_bytes("escape"))
            terminal.look(0.2)
        for column in range(5, 160, 15):
            for row in range(2, 48, 5):
                terminal.send(b"\x1b[<0;%d;%dM\x1b[<0;%d;%dm" % (column, row, column, row))
        terminal.look(1.0)
        terminal.popen.send_signal(signal.SIGTERM)
        terminal.wait_end(15)
    finally:
        terminal.close()
    assert len(wire.redis.asked) > 20, "the recorder saw no reads: this proves nothing"
    assert len(wire.docker.asked) > 3
    assert wire.writes == []
    assert writers(out) == []


def test_an_emergency_key_on_the_wall_says_why_it_does_nothing_and_is_journalled(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    terminal = probed(wire, world, tmp_path / "modules.json", "watch")
    try:
        terminal.wait_for(panes_are_filled, 30)
        terminal.press("f9")
        terminal.wait_for(lambda text: "read only" in text.lower() and "watch" in text.lower(), 5)
    finally:
        terminal.close()
    assert wire.writes == []
    refused = [record for record in journal(world.config.parent) if record["kind"] == "refused"]
    assert [record["mode"] for record in refused][-1:] == ["watch"]


VERBS = {
    "status": ("status", "--json"),
    "status table": ("status", "--table"),
    "doctor": ("doctor",),
    "run halt": ("run", "halt", "--reason", "drill"),
    "paths": ("paths",),
    "keys": ("keys",),
    "faults": ("faults",),
    "schema": ("schema",),
    "run restart": (
        "run", "restart", *STACK, "--param", "service=signal_service", "--plan", "0" * 64,
        "--confirm", "signal_service",
    ),
    "approve": ("approve", "0badc0de", *STACK, "--confirm", "resume"),
    "check": ("check", "pre-market", *STACK, "--attest", "intended"),
    "drill": ("drill", "halt"),
    "audit retire": ("audit", "retire"),
}  # fmt: skip
ACTING = {"run halt", "run restart", "approve", "check", "drill"}
SCREENS = {"demo", "watch"}
"""The first brings a world of its own, the second is pressed all over above."""


def test_every_verb_there_is_was_tried() -> None:
    named = {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    assert named | groups == {words[0] for words in VERBS.values()} | SCREENS


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_of_a_watching_command_line_writes_anything(
    wire: Between, world: DemoWorld, tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "modules.json"
    terminal = probed(wire, world, out, "--watch", *VERBS[verb])
    try:
        assert (terminal.wait_end(40) == ExitCode.FORBIDDEN) is (verb in ACTING)
    finally:
        terminal.close()
    assert wire.writes == []
    assert writers(out) == []


def test_the_recorder_sees_a_write_when_there_is_one(wire: Between, world: DemoWorld, tmp_path: Path) -> None:
    out = tmp_path / "modules.json"
    terminal = probed(wire, world, out, "run", "halt", "--reason", "positive control")
    try:
        terminal.wait_end(40)
    finally:
        terminal.close()
    assert wire.writes != []
    assert writers(out) != []
