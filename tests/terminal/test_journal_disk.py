"""On a full or read-only disk what is no stop is refused, by command and on the screen; a stop works."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import started
from tests.servers.between import Between, between, journal
from tests.servers.demo import DemoWorld, resume
from tests.servers.small_disk import SmallDisk
from tests.terminal.on_screen import opened_on
from tests.terminal.program import command
from tui.commands.exitcode import ExitCode
from tui.dialogs.stage import Stage

STACK = ("--stack", "trading-platform", "--reason", "the quarterly exercise")
RESTART = ("run", "restart", "--param", "service=signal_service", *STACK)
REFUSED = "the journal cannot be written; nothing was sent"


@pytest.fixture(scope="module")
def whole_disk(world: DemoWorld) -> Iterator[SmallDisk]:
    state = Path(tomllib.loads(world.config.read_text())["room"]["state_dir"])
    disk = started("root", lambda: SmallDisk(state))
    yield disk
    disk.stop()


@pytest.fixture
def disk(whole_disk: SmallDisk) -> Iterator[SmallDisk]:
    # What is left of the last block of a journal holds a record more.
    shutil.rmtree(whole_disk.folder / "journal", ignore_errors=True)
    yield whole_disk
    whole_disk.heal()


@pytest.fixture
def trades_again(world: DemoWorld) -> Iterator[None]:
    """After a test that halts."""
    yield
    resume(world)


@pytest.fixture
def wire(world: DemoWorld, tmp_path: Path) -> Iterator[Between]:
    with between(world, tmp_path) as it:
        yield it


def test_what_is_no_stop_is_refused_by_command_with_its_status_and_sends_nothing(
    wire: Between, world: DemoWorld, disk: SmallDisk
) -> None:
    dry = command(wire.config, world.env, *RESTART, "--dry-run", "--json")
    disk.fill()
    planned = ("--plan", json.loads(dry.stdout)["plan"], "--confirm", "signal_service")
    done = command(wire.config, world.env, *RESTART, *planned)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the journal's disk has 0 KiB left" in done.stdout
    assert wire.writes == []


@pytest.mark.usefixtures("trades_again")
def test_a_stop_by_command_works_and_says_that_it_is_on_no_record(
    wire: Between, world: DemoWorld, disk: SmallDisk
) -> None:
    disk.fill()
    done = command(wire.config, world.env, "run", "halt", *STACK)
    # By whichever way: a busy machine may keep Redis from answering in time.
    assert done.returncode in (ExitCode.VERIFIED, ExitCode.FALLBACK), done.stdout + done.stderr
    assert "The journal could not be written; the stop went ahead without it." in done.stdout
    assert wire.writes


@pytest.mark.usefixtures("trades_again")
async def test_the_dialog_refuses_what_is_no_stop_and_the_stop_is_marked_and_on_record_later(
    world: DemoWorld, disk: SmallDisk
) -> None:
    async with opened_on(world.config) as face:
        disk.make_read_only()
        await face.perform("restart", ["signal_service"], ends=Stage.NOT_PROVED, says=REFUSED)
        await face.perform("halt", [], says="could not be written: note this action by hand")
        (halted,) = (run for run in face.board.runs if run.procedure == "halt")
        assert halted.journal_degraded
        disk.heal()
        await face.scene.until(lambda: "journal-unwritable" not in {a.id for a in face.board.alarms})
    ours = [each for each in journal(disk.folder) if each.get("operation") == halted.operation]
    assert ours[0]["kind"] == "intent"
    assert all(each["audit_degraded"] for each in ours if each["kind"] in ("intent", "outcome"))
