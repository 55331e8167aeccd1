"""``controlroom drill``: practised in a demo world of its own, timed, and kept on record."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.demo import isolated_env
from tests.servers.forked import run_forked
from tests.terminal.program import ROOT


def _drill(home: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = run_forked(["drill", *arguments], isolated_env(home), ROOT, seconds=120.0)
    kept = home / "state" / "controlroom" / "drills.jsonl"
    return done, [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


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
