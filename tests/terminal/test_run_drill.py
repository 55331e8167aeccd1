"""``controlroom drill``: practised in a demo world of its own, timed, and kept on record."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.demo import isolated_env
from tests.servers.forked import run_forked
from tests.terminal.program import CONTROLROOM, ROOT, until_it_listens
from tests.terminal.screen import Terminal
from tui.dialogs.arming import DEAF_SECONDS


def _drill(home: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = run_forked(["drill", *arguments], isolated_env(home), ROOT, seconds=120.0)
    return done, _kept(home)


def _kept(home: Path) -> list[dict[str, Any]]:
    file = home / "state" / "controlroom" / "drills.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(
    ("arguments", "status", "procedure", "rung"),
    [
        (("halt", "--fault", "redis-hang"), 8, "halt", 2),
        (("restart", "--param", "service=signal_service", "--first", "halt"), 0, "restart", None),
    ],
    ids=["a stop against a fault", "a plan and its typed name, after a halt"],
)
def test_a_drill_is_timed_and_kept(
    tmp_path: Path, arguments: tuple[str, ...], status: int, procedure: str, rung: int | None
) -> None:
    done, kept = _drill(tmp_path, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert [(each["procedure"], each["verdict"], each["rung"]) for each in kept] == [
        (procedure, "VERIFIED", rung)
    ]
    assert 0 < kept[0]["seconds"] < 60


def test_what_does_not_exist_is_said_and_nothing_is_kept(tmp_path: Path) -> None:
    done, kept = _drill(tmp_path, "dance")
    assert (done.returncode, "has no procedure" in done.stderr, kept) == (2, True, [])


def test_a_drill_that_cannot_be_kept_is_told_and_that_it_is_on_no_record(tmp_path: Path) -> None:
    env = isolated_env(tmp_path) | {"CONTROLROOM_STATE_DIR": "/dev/null/nowhere"}
    done = run_forked(["drill", "halt", "--json"], env, ROOT, seconds=120.0)
    assert json.loads(done.stdout)["verdict"] == "VERIFIED"
    assert done.returncode == 2
    assert "could not be recorded in /dev/null/nowhere/drills.jsonl" in done.stderr
    assert "fault in the program" not in done.stderr


def test_a_drill_by_hand_times_the_way_to_the_dialog_the_look_at_it_and_the_verdict(tmp_path: Path) -> None:
    terminal = Terminal(
        [*CONTROLROOM, "drill", "halt", "--screen", "--fault", "redis-hang"], isolated_env(tmp_path)
    )
    try:
        terminal.wait_for("DRILL of halt, timed from now", 60)
        terminal.press("f9")
        terminal.wait_for("HALT TRADING", 20)
        until_it_listens(terminal)
        terminal.press("h")
        terminal.wait_for("VERIFIED", 20)
        terminal.press("a")
        terminal.wait_for(lambda text: "take note" not in text, 10)
        terminal.press("q")
        status = terminal.wait_end(60)
    finally:
        terminal.close()
    (record,) = _kept(tmp_path)
    assert (status, record["verdict"], record["rung"]) == (8, "VERIFIED", 2)
    assert record["to_dialog"] > 0
    assert DEAF_SECONDS <= record["in_dialog"] < 60
    assert 0.4 < record["seconds"] < 60
    assert f"confirmed {record['in_dialog']:.1f} s later" in terminal.text


def test_without_a_terminal_nothing_is_practised_by_hand_and_no_demo_starts(tmp_path: Path) -> None:
    done, kept = _drill(tmp_path, "halt", "--screen")
    assert (done.returncode, kept) == (2, [])
    assert "needs a terminal" in done.stderr
    assert "Starting the demo" not in done.stderr
