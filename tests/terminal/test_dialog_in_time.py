"""The key that stops opens its dialog at once, although nothing answers, and the stop can be pressed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backends.demo.process import free_port
from tests.bench.pace import pace
from tests.servers.between import journal
from tests.servers.demo import isolated_env
from tests.servers.process import wait_until
from tests.terminal.program import room, until_it_listens
from tests.terminal.two_steps import configured

WITHIN = 0.1
"""Seconds from the key to the dialog on the terminal, on the reference machine."""


@pytest.mark.alone
def test_with_every_source_down_the_dialog_opens_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    config = configured(tmp_path, f"redis://127.0.0.1:{free_port()}/0")
    terminal = room(config, isolated_env(tmp_path))
    took = []
    try:
        terminal.wait_for("0/1 sources", 20)
        terminal.look(1.0)  # what is loaded after the first frame
        for _ in range(7):  # the best: the machine may be busy, the program may not be slow
            begun = time.monotonic()
            terminal.press("f9")
            shown = terminal.wait_for("Know that", 5)
            took.append(terminal.came - begun)
            assert "UNKNOWN" in shown
            terminal.press("escape")
            terminal.wait_for(lambda text: "Know that" not in text, 5)
        terminal.press("f9")
        terminal.wait_for("Know that", 5)
        until_it_listens(terminal)
        terminal.press("h")
        terminal.wait_for("By hand", 15)
        wait_until(
            lambda: [each for each in journal(tmp_path) if each["kind"] == "outcome"], 15, "an outcome"
        )
    finally:
        terminal.close()
    assert min(took) <= WITHIN * pace(), took
