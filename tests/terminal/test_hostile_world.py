"""The program on a world whose names, values and log lines are made to take over a terminal."""

from __future__ import annotations

import json
import re
import statistics
import unicodedata

import pytest

from backends.demo.trading_platform.hostile import BUTTON, TEXTS
from tests.bench.pace import floor
from tests.bench.room import DIALOG, key_to_dialog, key_to_paint
from tests.bench.table import REFERENCE, Results
from tests.servers.demo import DemoWorld, switch
from tests.terminal.program import command, key_bytes, panes_are_filled, room
from tests.terminal.screen import Terminal

PRESSES = 9

OWN = re.compile(
    rb"""\x1b(?: \[[\d;]*[mH] | \[\?(?:25|7|1000|1003|1004|1006|1015|1049|2004|2026)[hl] | \[\?20(?:26|48)\$p
             | \[[<>]\d*u | \]22;[a-z-]*\x07 )""",
    re.VERBOSE,
)
"""What the program itself says to a terminal: colours, places, modes, what it asks, the pointer's shape."""
ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def acting(text: str) -> set[str]:
    """The characters of it that do anything but stand there, ends of lines aside."""
    return {hex(ord(each)) for each in text if unicodedata.category(each) in ACTING and each not in "\r\n"}


def click(terminal: Terminal, words: str) -> int:
    """Click on each place of the picture that holds the words; how many there were."""
    places = [
        (found.start() + 3, y)
        for y, line in enumerate(terminal.lines, 1)
        for found in re.finditer(re.escape(words), line)
    ]
    for x, y in places:
        terminal.send(b"\x1b[<0;%d;%dM\x1b[<0;%d;%dm" % (x, y, x, y))
    return len(places)


@pytest.mark.alone
def test_a_hostile_world_is_shown_inert_and_holds_no_key_up(world: DemoWorld) -> None:
    terminal = room(world.config, world.env)
    try:
        terminal.wait_for(panes_are_filled, 30)
        switch(world, "hostile", is_on=True)
        for words in (BUTTON[:12], r"\x1b]52;c", r"\x1b]0;owned", r"\x9b31m"):
            terminal.wait_for(words, 30)
        terminal.wait_for(panes_are_filled, 30)
        starts, dialogs, paints = [], [], []
        for number in range(PRESSES):
            starts.append(floor())  # side by side: how busy the machine is changes by the second
            dialogs.append(key_to_dialog(terminal))
            paints.append(key_to_paint(terminal, number))
        terminal.wait_for(BUTTON[:12], 30)
        assert click(terminal, BUTTON[:12])
        terminal.look(0.5)
        terminal.send(key_bytes("escape"))
        terminal.press("4", "/")
        terminal.wait_for("text to look for", 10)
        terminal.press(*"endless", "enter")
        terminal.wait_for(re.compile(r" 1 of [\d,]+ lines").search, 30)
        assert terminal.popen.poll() is None
        seen = bytes(terminal.raw)
        terminal.send(key_bytes("escape"))
        terminal.press("q")
        assert terminal.wait_end() == 0
    finally:
        terminal.close()
    assert acting(OWN.sub(b"", bytes(terminal.raw)).decode()) == set()
    assert not re.search(rb"\x1b\[\?1(?:049|003)l|\x1b\[H", seen), "it was cleared, or left, by what it shows"
    assert [text for text in TEXTS if acting(text) and text.encode() in seen] == []
    here = Results(pace=statistics.median(starts) / REFERENCE).budget_here(DIALOG)
    assert here is not None
    assert statistics.median(dialogs) <= here
    assert statistics.median(paints) <= here


@pytest.mark.parametrize("words", [("status", "--table"), ("status", "--json"), ("doctor",)], ids=" ".join)
def test_what_is_printed_of_a_hostile_world_is_inert(world: DemoWorld, words: tuple[str, ...]) -> None:
    switch(world, "hostile", is_on=True)
    done = command(world.config, world.env, *words)
    assert acting(done.stdout + done.stderr) == set()
    assert words == ("doctor",) or "x1b]52;c;" in done.stdout
    assert "--json" not in words or json.loads(done.stdout)["schema"]
