"""``controlroom run halt``: no terminal, no screen, at once; the exit status says what was proved."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.between import Between, between, journal
from tests.servers.demo import DemoWorld
from tests.servers.process import wait_until
from tests.terminal.program import CONTROLROOM, ROOT, cold_command
from tui.commands.exitcode import ExitCode

HALT = ("run", "halt", "--stack", "trading-platform", "--reason", "drill")
STOPPED = (ExitCode.VERIFIED, ExitCode.FALLBACK)
"""By whichever way: a busy machine may keep Redis from answering in time."""

FIRST_EFFECT = 1.0
"""Seconds from the start of the process to the first write on the wire."""


@pytest.fixture
def wire(world: DemoWorld, tmp_path: Path) -> Iterator[Between]:
    with between(world, tmp_path) as it:
        yield it


@pytest.fixture
def bare(world: DemoWorld) -> dict[str, str]:
    """An environment as cron has it: no TERM, no locale."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(world.home), "XDG_STATE_HOME": world.env["XDG_STATE_HOME"]}


@pytest.mark.alone
def test_the_first_effect_is_on_the_wire_within_a_second_of_a_cold_start(
    wire: Between, bare: dict[str, str]
) -> None:
    took = []
    for _ in range(3):  # the best of three: the machine may be busy, the program may not be slow
        before = len(wire.writes)
        begun = time.monotonic()
        process = subprocess.Popen(
            [*CONTROLROOM, "--config", str(wire.config), *HALT, "--no-wait"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bare, cwd=ROOT,
        )  # fmt: skip
        wait_until(lambda before=before: len(wire.writes) > before, 15, "a write", every=0.005)
        took.append(wire.writes[before].at - begun)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert min(took) <= FIRST_EFFECT, took


def test_it_says_what_it_did_and_the_journal_holds_intent_before_outcome(
    world: DemoWorld, wire: Between, bare: dict[str, str]
) -> None:
    done = cold_command(wire.config, bare, *HALT)
    assert done.returncode in STOPPED, done.stdout + done.stderr
    assert "VERIFIED" in done.stdout or "ALREADY" in done.stdout
    kinds = [record["kind"] for record in journal(world.config.parent)]
    assert "intent" in kinds
    assert kinds.index("intent") < kinds.index("outcome")


def test_json_tells_every_step(wire: Between, bare: dict[str, str]) -> None:
    done = cold_command(wire.config, bare, *HALT, "--json")
    run = json.loads(done.stdout)
    assert run["procedure"] == "halt"
    assert run["verdict"] in ("VERIFIED", "ALREADY")
    assert {step["id"] for step in run["steps"]} >= {"redis", "orchestrator"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("run", "halt", "--stack", "nowhere"), 2),
        (("run", "dance"), 2),
        (("run",), 2),
        (("run", "halt", "--list"), 2),
        (("--watch", *HALT), 6),
    ],
    ids=["no such stack", "no such procedure", "no procedure", "a list and a stop", "watch mode"],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    wire: Between, bare: dict[str, str], arguments: tuple[str, ...], status: int
) -> None:
    done = cold_command(wire.config, bare, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert wire.writes == []


def test_a_refusal_is_said_once_and_journalled(wire: Between, world: DemoWorld, bare: dict[str, str]) -> None:
    before = len(journal(world.config.parent))
    done = cold_command(wire.config, bare, "--watch", *HALT)
    assert done.stdout.count("REFUSED") == 1
    assert done.stdout.lower().count("by hand") == 1
    assert done.stderr == ""
    assert "refused" in kinds_since(world, before)


def test_a_broken_config_is_one_line_and_nothing_is_started(tmp_path: Path, bare: dict[str, str]) -> None:
    config = tmp_path / "broken.toml"
    config.write_text('[stack.trading-platform]\nenvironment = "demo"\ncolour = "red"\n')
    done = cold_command(config, bare, *HALT)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "broken.toml" in done.stderr
    assert "colour" in done.stderr


def test_it_finishes_although_its_output_is_closed(wire: Between, bare: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*CONTROLROOM, "--config", str(wire.config), *HALT],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=bare, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) in STOPPED


def test_no_signal_that_can_be_heard_keeps_it_from_its_end(
    world: DemoWorld, wire: Between, bare: dict[str, str]
) -> None:
    before = len(journal(world.config.parent))
    with subprocess.Popen(
        [*CONTROLROOM, "--config", str(wire.config), *HALT],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=bare, cwd=ROOT,
    ) as process:  # fmt: skip
        wait_until(lambda: "intent" in kinds_since(world, before), 20, "its intent", every=0.002)
        for number in ("HUP", "INT", "TERM", "QUIT", "TSTP", "TTIN", "TTOU"):
            process.send_signal(signal.Signals[f"SIG{number}"])
        said, _ = process.communicate(timeout=30)
    assert process.returncode in STOPPED, said
    assert "VERIFIED" in said or "ALREADY" in said
    assert "outcome" in kinds_since(world, before)


def kinds_since(world: DemoWorld, count: int) -> list[str]:
    return [record["kind"] for record in journal(world.config.parent)[count:]]


@pytest.mark.parametrize("disk", ["full", "gone"])
def test_it_halts_without_a_terminal_type_and_without_a_place_for_its_journal(
    wire: Between, bare: dict[str, str], tmp_path: Path, disk: str
) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    state = tmp_path / "state" if disk == "full" else Path("/dev/null")
    config = tmp_path / "elsewhere.toml"
    kept = [line for line in wire.config.read_text().splitlines() if not line.startswith("state_dir")]
    config.write_text("\n".join(kept))
    done = subprocess.run(
        [*CONTROLROOM, "--config", str(config), *HALT],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, cwd=ROOT, check=False,
        env=bare | {"XDG_STATE_HOME": str(state)}, preexec_fn=fill if disk == "full" else None,
    )  # fmt: skip
    assert done.returncode in STOPPED, done.stdout + done.stderr
    assert "TERM" not in bare
    assert "VERIFIED" in done.stdout or "ALREADY" in done.stdout
    assert "The journal could not be written; the stop went ahead without it." in done.stdout
    assert done.stderr == ""
    assert wire.writes
