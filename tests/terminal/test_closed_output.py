"""What nobody reads: a closed stream or a reader that has gone neither ends a stop nor spoils a status."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers.demo import DemoWorld, isolated_env
from tests.terminal.program import CONTROLROOM, ROOT
from tui.commands.exitcode import ExitCode

HALT = ("run", "halt", "--stack", "trading-platform", "--reason", "drill")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stop_whose_streams_are_closed_is_done_and_says_so(world: DemoWorld, closed: str) -> None:
    words = [*CONTROLROOM, "--config", str(world.config), *HALT]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}', "sh", *words],
        env=world.env, cwd=ROOT, timeout=40, check=False,
    )  # fmt: skip
    # By whichever way: a busy machine may keep Redis from answering in time.
    assert done.returncode in (ExitCode.VERIFIED, ExitCode.FALLBACK)


@pytest.mark.parametrize("asked", ["keys", "schema", "faults", "paths"])
def test_a_reader_that_has_gone_is_no_fault_of_the_program(asked: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*CONTROLROOM, asked],
            stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, timeout=40, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("asked", [("keys",), ("check",), ("run", "--list", "--json")], ids=" ".join)
def test_an_answer_that_a_full_disk_lost_is_no_success(tmp_path: Path, asked: tuple[str, ...]) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[stack.trading-platform]\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*CONTROLROOM, "--config", str(config), *asked],
            stdout=full, cwd=ROOT, timeout=40, check=False, env=isolated_env(tmp_path),
        )  # fmt: skip
    assert done.returncode == 1


@pytest.mark.parametrize("asked", [("faults", "nowhere"), ("run", "--nonsense")], ids=" ".join)
def test_a_mistake_that_nobody_could_be_told_of_still_has_its_status(asked: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*CONTROLROOM, *asked], stderr=full, cwd=ROOT, timeout=40, check=False)
    assert done.returncode == 2
