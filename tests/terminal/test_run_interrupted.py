"""What is told to leave before it has sent anything says so in the form that was asked for."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.demo import isolated_env
from tests.servers.process import wait_until
from tests.terminal.program import CONTROLROOM, ROOT
from tests.terminal.two_steps import configured
from tui.commands.exitcode import ExitCode


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is said: until that is clear there is time to leave."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


def heeds_sigterm(pid: int) -> bool:
    """Whether the process has a handler of its own for it."""
    (caught,) = (
        line.split()[1]
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigCgt")
    )
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_who_leaves_before_anything_was_sent_is_told_so(
    tmp_path: Path, silent_port: int, as_json: bool
) -> None:
    config = configured(tmp_path, f"redis://127.0.0.1:{silent_port}/0")
    options = ["--plan", "none", "--confirm", "two-steps", "--reason", "the quarterly exercise"]
    with subprocess.Popen(
        [*CONTROLROOM, "--config", str(config), "run", "isolate", *options, *(["--json"] if as_json else [])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=isolated_env(tmp_path), cwd=ROOT,
    ) as process:  # fmt: skip
        wait_until(lambda: heeds_sigterm(process.pid), 20, "its own way to leave", every=0.005)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    why = "Interrupted before anything was sent."
    assert process.returncode == ExitCode.PRECONDITION
    if not as_json:
        assert said.strip() == why
        return
    run = json.loads(said)
    assert (run["verdict"], run["sentence"], run["steps"]) == (None, why, [])
    assert {"operation", "rung", "ended", "journal_degraded", "blockers"} <= set(run)
