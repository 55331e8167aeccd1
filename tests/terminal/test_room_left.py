"""A line that is lost in the middle of what is no stop: what degrades goes on to its end, a restore ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.between import journal
from tests.servers.demo import isolated_env
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.terminal.program import room, until_it_listens
from tests.terminal.screen import Terminal
from tests.terminal.two_steps import configured

DOWN = "\x1b[B"


@pytest.fixture
def terminal(redis_db: RedisServer, tmp_path: Path) -> Iterator[Terminal]:
    """The room on a halted stack of two switches, whose procedures wait some seconds before they send."""
    redis_db.command("SET", "kill_switch:state", '{"state": "ENGAGED"}')
    redis_db.command("SET", "circuit_breaker:state", '{"state": "OPEN"}')
    made = room(configured(tmp_path, redis_db.url), isolated_env(tmp_path))
    yield made
    made.close()


def cursor(text: str) -> int | None:
    """The line it is in. What the line says may change by itself."""
    return next((place for place, row in enumerate(text.splitlines()) if "▌" in row), None)


def lost_in(terminal: Terminal, title: str, words: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """What the journal says of the procedure of that title, whose line is lost once it has begun."""
    terminal.wait_for("Kill switch reads ENGAGED", 20)
    terminal.press("e")
    # The last of its lines: what is below those drawn so far is still the screen before, cursor and all.
    terminal.wait_for("Releases the kill switch", 10)
    terminal.wait_for(lambda text: cursor(text) is not None)
    while title not in terminal.text.splitlines()[before := cursor(terminal.text) or 0]:
        terminal.press(DOWN)
        terminal.wait_for(lambda text, before=before: cursor(text) not in (None, before))
    terminal.press("enter")
    terminal.wait_for(f"{title} · two-steps", 10)
    until_it_listens(terminal, "Cancel")
    terminal.press("tab")
    for word in words:
        terminal.press(*word, "enter")
    terminal.press("enter")
    wait_until(lambda: [each for each in journal(folder) if each["kind"] == "intent"], 10, "an intent")
    terminal.hang_up()

    def outcome() -> dict[str, Any] | None:
        return next((each for each in journal(folder) if each["kind"] == "outcome"), None)

    found = wait_until(outcome, 15, "an outcome")
    assert found is not None
    terminal.popen.wait(15)
    return found


def test_what_degrades_goes_on_to_its_verdict(
    terminal: Terminal, redis_db: RedisServer, tmp_path: Path
) -> None:
    outcome = lost_in(terminal, "Isolate", ("two-steps",), tmp_path)
    assert outcome["verdict"] == "VERIFIED", outcome
    assert b"TRIPPED" in redis_db.command("GET", "circuit_breaker:state")


def test_a_restore_ends_before_it_has_sent_anything(
    terminal: Terminal, redis_db: RedisServer, tmp_path: Path
) -> None:
    outcome = lost_in(terminal, "Resume", ("RESUME two-steps", "the quarterly exercise"), tmp_path)
    assert outcome["verdict"] == "FAILED", outcome
    assert "the room was closed" in outcome["text"]
    assert b"ENGAGED" in redis_db.command("GET", "kill_switch:state")
