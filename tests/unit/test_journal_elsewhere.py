"""What another process has under way is read from the journal both write, while it is under way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.journal.chain_file import ChainFile
from backends.journal.elsewhere import LONGEST, OtherRooms
from backends.journal.entry import boot_id
from tests.clock import FakeClock


@pytest.fixture
def other() -> Iterator[int]:
    """The number of a process that is not this one."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child.pid
    child.kill()
    child.communicate()


def record(pid: int, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "v": 1, "kind": kind, "text": f"{kind} of halt", "mode": "live", "host": "ops1", "pid": pid,
        "boot": boot_id(), "mono": time.monotonic() + 1, "at": "2026-11-21T14:03:05.118Z", "stack": "tp",
        "procedure": "halt", "operation": "op-1", "operator": {"user": "lee"}, "session": {"via": "cli"},
        **more,
    }  # fmt: skip


def rooms(folder: Path, clock: FakeClock) -> OtherRooms:
    return OtherRooms(folder, "ops1", clock, lambda: None)


def test_who_does_what_and_how_far_it_is(tmp_path: Path, fake_clock: FakeClock, other: int) -> None:
    chain, seen = ChainFile(tmp_path), rooms(tmp_path, fake_clock)
    assert seen.look() == ()
    chain.append(record(other, "intent"), is_synced=False)
    (run,) = seen.look()
    assert (run.user, run.host, run.via, run.procedure, run.last) == (
        "lee",
        "ops1",
        "cli",
        "halt",
        "intent of halt",
    )
    chain.append(record(other, "step", text="Stop the gateway: sent"), is_synced=False)
    assert seen.look()[0].last == "Stop the gateway: sent"
    chain.append(record(other, "outcome"), is_synced=False)
    assert seen.look() == ()


@pytest.mark.parametrize("changes", [{"mode": "dry"}, {"pid": os.getpid()}], ids=["dry run", "our own"])
def test_what_is_not_another_s_effect_is_not_told(
    tmp_path: Path, fake_clock: FakeClock, other: int, changes: dict[str, Any]
) -> None:
    ChainFile(tmp_path).append(record(other, "intent") | changes, is_synced=False)
    assert rooms(tmp_path, fake_clock).look() == ()


def test_a_room_that_died_is_not_at_work_any_more(tmp_path: Path, fake_clock: FakeClock, other: int) -> None:
    ChainFile(tmp_path).append(record(other, "intent"), is_synced=False)
    seen = rooms(tmp_path, fake_clock)
    assert len(seen.look()) == 1
    os.kill(other, 9)
    os.waitpid(other, 0)
    assert seen.look() == ()


def test_a_room_on_another_host_is_believed_for_half_an_hour(
    tmp_path: Path, fake_clock: FakeClock, other: int
) -> None:
    ChainFile(tmp_path).append(record(other, "intent", host="ops2"), is_synced=False)
    seen = rooms(tmp_path, fake_clock)
    fake_clock.advance(LONGEST - 1)
    assert len(seen.look()) == 1
    fake_clock.advance(LONGEST + 1)
    assert seen.look() == ()


def test_what_is_going_on_when_the_room_opens_is_told_too_and_the_next_file_is_followed(
    tmp_path: Path, fake_clock: FakeClock, other: int
) -> None:
    chain = ChainFile(tmp_path, limit=3_000)
    for _ in range(20):
        chain.append(record(other, "note", operation=""), is_synced=False)
    chain.append(record(other, "intent"), is_synced=False)
    seen = rooms(tmp_path, fake_clock)
    assert [run.operation for run in seen.look()] == ["op-1"]
    for _ in range(20):
        chain.append(record(other, "note", operation=""), is_synced=False)
    chain.append(record(other, "intent", operation="op-2"), is_synced=False)
    assert [run.operation for run in seen.look()] == ["op-1", "op-2"]
