"""Watch mode holds no code that writes: not in memory, not on the wire, whatever key is pressed."""

from __future__ import annotations

import importlib
import json
import pkgutil
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Input

import tui.screens
from tests.servers.between import Between, between, journal
from tests.servers.demo import DemoWorld
from tests.terminal.program import command, key_bytes, panes_are_filled
from tests.terminal.screen import Terminal
from tui.actions import EMERGENCIES
from tui.cli import app
from tui.commands.exitcode import ExitCode
from tui.palette import Palette
from tui.screens.checks import CheckScreen
from tui.screens.faults import FaultScreen
from tui.screens.fleet import FleetScreen
from tui.screens.main import MainScreen
from tui.screens.overlay import Overlay
from tui.screens.procedures import ProcedureScreen
from tui.screens.runbook import RunbookScreen
from tui.screens.text import TextScreen
from widgets.grid import Grid
from widgets.log_view import LogView
from widgets.text_panel import TextPanel

STACK = ("--stack", "trading-platform")
REFUSED = "WATCH – READ ONLY: F9 HALT is not possible here"
COLUMNS, ROWS = 112, 34
PROBE = """
import atexit, json, pathlib, sys
out = pathlib.Path(sys.argv[1])
atexit.register(lambda: out.write_text(json.dumps(sorted(sys.modules))))
sys.argv = ["controlroom", *sys.argv[2:]]
from tui.cli import main
main()
"""


@pytest.fixture(scope="module")
def journalled(world: DemoWorld) -> None:
    """A journal to look at: this writes its first record."""
    command(world.config, world.env, "--watch", "run", "halt")


@pytest.fixture
def wire(world: DemoWorld, tmp_path: Path) -> Iterator[Between]:
    """With an anchor and a rule to retire by, so that these could be written to."""
    with between(world, tmp_path) as it:
        with it.config.open("a") as config:
            config.write(f'[room.anchor]\nkind = "redis"\nurl = "redis://127.0.0.1:{it.redis.port}/9"\n')
            config.write("[room.journal]\nkeep_days = 400\n")
        yield it


def probed(wire: Between, world: DemoWorld, out: Path, *arguments: str) -> Terminal:
    """The program under a terminal; its modules are in ``out`` when it has ended."""
    argv = [sys.executable, "-c", PROBE, str(out), "--config", str(wire.config), *arguments]
    return Terminal(argv, world.env, COLUMNS, ROWS)


def writers(out: Path) -> list[str]:
    """What was loaded that can write to anything; the demo's own world too."""
    modules = json.loads(out.read_text())
    return [name for name in modules if name.startswith(("backends.writers", "backends.demo.remote"))]


class Seen(NamedTuple):
    """A screen of the room: the key that opens it on the main screen, and how it is told by its picture."""

    opener: str
    kind: type[DOMNode]
    words: str


OVER = {
    "procedures": Seen("e", ProcedureScreen, "Procedures of"),
    "checks": Seen("k", CheckScreen, "R, twice: begin anew"),
    "runbook": Seen("o", RunbookScreen, "Runbook of"),
    "fleet": Seen("f", FleetScreen, "f comes back here"),
    "help": Seen("question_mark", TextScreen, "Next colour theme"),
    "detail": Seen("enter", TextScreen, "expected as"),
    "palette": Seen("colon", Palette, "Search for commands"),
    "filter": Seen("slash", Input, "text to look for"),
}
LEAVES = "q"
"""Not pressed all over: it ends the program."""
TYPED = [chr(code) for code in range(33, 127) if chr(code) != LEAVES]
FUNCTION = [f"f{number}" for number in range(1, 13)]


def bound(*kinds: type[DOMNode]) -> list[str]:
    """The keys these bind, by themselves and by what they are made of."""
    maps = [kind._merged_bindings or kind._merge_bindings() for kind in kinds]
    keys = dict.fromkeys(key for found in maps for key in found.key_to_bindings)
    return [key for key in keys if key != LEAVES]


ANYWHERE = bound(Screen, Grid, TextPanel, LogView, Input)
"""What moves about in what a screen shows, and Enter."""


def is_home(text: str) -> bool:
    """Whether nothing lies over the room."""
    return "e procedures" in text.splitlines()[-1] and not any(it.words in text for it in OVER.values())


class Hand:
    """Presses keys of a room that watches."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def press(self, *keys: str) -> None:
        for key in keys:
            self._terminal.send(key_bytes(key))

    def go_home(self) -> None:
        """Again where something that was asked for before opens late."""
        for _ in range(6):
            self.press(*["escape"] * 4)
            with suppress(AssertionError):
                self._terminal.wait_for(is_home, 5)
                return
        raise AssertionError(self._terminal.text)

    def open(self, it: Seen) -> None:
        """From the first row of the main screen; again where what was asked for before comes late."""
        for _ in range(5):
            self.go_home()
            self.press("1", "home", it.opener)
            with suppress(AssertionError):
                self._terminal.wait_for(lambda text: it.words in text, 3)
                return
        raise AssertionError(self._terminal.text)


def test_every_screen_of_the_room_is_pressed_all_over() -> None:
    """But for the demo's faults, which no key opens in watch mode."""
    screens = {module.name for module in pkgutil.iter_modules(tui.screens.__path__, "tui.screens.")}
    for name in screens:
        importlib.import_module(name)
    assert {it.kind for it in OVER.values()} >= {
        *Overlay.__subclasses__(),
        *CommandPalette.__subclasses__(),
    } - {FaultScreen}


def test_no_key_and_no_click_of_the_wall_screen_writes_anything(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    out = tmp_path / "modules.json"
    terminal = probed(wire, world, out, "watch")
    hand, chance = Hand(terminal), random.Random(7)  # which keys, and no secret
    try:
        terminal.wait_for(panes_are_filled, 30)
        assert "READ ONLY" in terminal.text
        for it in EMERGENCIES:
            hand.press(*it.keys, *(it.confirm or ""))
        openers = {it.opener for it in OVER.values()}
        hand.press(*(key for key in bound(MainScreen) if key not in openers))
        for seen in OVER.values():
            for key in bound(seen.kind):
                if key not in ANYWHERE:
                    hand.open(seen)
                    hand.press(key)
            for keys in (ANYWHERE, [*TYPED, *FUNCTION]):
                hand.open(seen)
                hand.press(*chance.sample(keys, len(keys)))
        for column in range(5, COLUMNS, 12):
            for row in range(2, ROWS, 4):
                terminal.send(b"\x1b[<0;%d;%dM\x1b[<0;%d;%dm" % (column, row, column, row))
        hand.go_home()
        assert "of this room failed" not in terminal.text
        terminal.popen.send_signal(signal.SIGTERM)
        terminal.wait_end()
    finally:
        terminal.close()
    assert len(wire.redis.asked) > 20, "the recorder saw no reads: this proves nothing"
    assert len(wire.docker.asked) > 3
    assert wire.writes == []
    assert writers(out) == []


def test_on_the_wall_the_faults_of_a_demo_are_not_switched_and_the_key_says_so(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    terminal = probed(wire, world, tmp_path / "modules.json", "watch")
    try:
        terminal.wait_for(panes_are_filled, 30)
        assert "x faults" not in terminal.text
        terminal.press("x")
        terminal.wait_for("READ ONLY: no fault is switched here")
        terminal.press("space", "enter")
        terminal.look(0.5)
    finally:
        terminal.close()
    assert wire.http["control"].asked == []


def test_an_emergency_key_on_the_wall_says_why_it_does_nothing_and_is_journalled(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    terminal = probed(wire, world, tmp_path / "modules.json", "watch")
    try:
        terminal.wait_for(panes_are_filled, 30)
        terminal.press("f9")
        terminal.wait_for(REFUSED)
    finally:
        terminal.close()
    assert wire.writes == []
    refused = [record for record in journal(world.config.parent) if record["kind"] == "refused"]
    assert [record["mode"] for record in refused][-1:] == ["watch"]


RESTART = ("run", "restart", *STACK, "--param", "service=signal_service")
VERBS = {
    "status": ("status", "--json"),
    "status table": ("status", "--table"),
    "doctor": ("doctor",),
    "run halt": ("run", "halt", "--reason", "drill"),
    "run halt, at once": ("run", "halt", "--reason", "drill", "--no-wait", "--json"),
    "run halt, dry": ("run", "halt", *STACK, "--dry-run"),
    "run restart": (*RESTART, "--plan", "0" * 64, "--confirm", "signal_service"),
    "run restart, dry": (*RESTART, "--dry-run", "--json"),
    "run, the list": ("run", "--list", *STACK),
    "paths": ("paths",),
    "keys": ("keys",),
    "faults": ("faults",),
    "schema": ("schema",),
    "approve": ("approve", "0badc0de", *STACK, "--confirm", "resume"),
    "approve, only seen": ("approve", "0badc0de", *STACK),
    "check": ("check", "pre-market", *STACK, "--attest", "intended"),
    "check, anew": ("check", "pre-market", *STACK, "--reset"),
    "check all": ("check", "all", *STACK, "--wait", "0"),
    "check, the list": ("check", *STACK),
    "drill": ("drill", "halt"),
    "audit verify": ("audit", "verify", "--anchor"),
    "audit show": ("audit", "show"),
    "audit export": ("audit", "export", "COPY"),
    "audit retire": ("audit", "retire"),
    "audit retire, dry": ("audit", "retire", "--dry-run"),
    "audit schema": ("audit", "schema"),
}
"""What is typed after ``controlroom --watch``; COPY becomes a file that is not there yet."""
ACTING = {
    "run halt", "run halt, at once", "run restart", "approve", "approve, only seen", "check", "check, anew",
    "drill", "audit retire",
}  # fmt: skip
SCREENS = {("demo",), ("watch",)}
"""Both have keys, and tests of their own."""


def every_verb() -> set[tuple[str, ...]]:
    """The command line's own: a command, or a group and a command of it."""
    top = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group has commands
    return {(name, *below) for name, each in top.items() for below in _below(each)}


def _below(verb: object) -> list[tuple[str, ...]]:
    return [(name,) for name in getattr(verb, "commands", ())] or [()]


def test_every_verb_there_is_was_tried() -> None:
    verbs = every_verb()
    groups = {verb[0] for verb in verbs if len(verb) > 1}
    tried = {words[: 2 if words[0] in groups else 1] for words in VERBS.values()}
    assert tried | SCREENS == verbs
    assert ("audit", "verify") in verbs


@pytest.mark.usefixtures("journalled")
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_of_a_watching_command_line_writes_anything(
    wire: Between, world: DemoWorld, tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "modules.json"
    words = [str(tmp_path / "copy") if word == "COPY" else word for word in VERBS[verb]]
    terminal = probed(wire, world, out, "--watch", *words)
    try:
        status = terminal.wait_end(40)
        assert (status == ExitCode.FORBIDDEN) is (verb in ACTING)
        assert status not in (ExitCode.FAULT, ExitCode.USAGE), terminal.text
    finally:
        terminal.close()
    assert wire.writes == []
    assert writers(out) == []


def test_a_watching_demo_refuses_the_stop_and_holds_no_code_for_it(
    wire: Between, world: DemoWorld, tmp_path: Path
) -> None:
    out = tmp_path / "modules.json"
    terminal = probed(wire, world, out, "--watch", "demo")
    try:
        terminal.wait_for(panes_are_filled, 40)
        assert "READ ONLY" in terminal.text
        terminal.press("f9")
        terminal.wait_for(REFUSED)
        terminal.press("h", "q")
        assert terminal.wait_end(20) == ExitCode.VERIFIED
    finally:
        terminal.close()
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
