"""Old files of the journal go by rule alone: never one that is needed, never twice, and never half."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.chain_file import ChainFile, files_of
from backends.journal.entry import Kind
from backends.journal.unfinished import recent
from backends.journal.verify import read, verify
from tests import old_journal
from tests.clock import FakeClock
from tests.old_journal import DAY, SESSION, add, kinds, names, retirement, touch, written
from tests.records import whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_only_whole_files_older_than_the_rule_go_and_the_room_reads_on(folder: Path) -> None:
    clock = written(folder, 61)
    before = names(folder)
    cleared = retirement(folder, clock)()
    assert [file.name for file in cleared.gone] == before[:10]
    assert cleared.stays.startswith("000011.jsonl stays: its youngest record or change is of 2026-")
    assert {record["text"] for record in read(folder)} >= {f"day {day}" for day in range(30, 61)}
    assert [each["seq"] for each in recent(folder)] == list(range(31, 63))
    assert retirement(folder, clock)().gone == ()
    assert kinds(folder).count("retired") == 1


def test_a_file_goes_by_the_youngest_time_in_it_and_by_when_it_was_last_touched(folder: Path) -> None:
    clock = written(folder, 61)
    os.utime(folder / "000003.jsonl", (clock.now().wall - 20 * DAY,) * 2)
    retire = retirement(folder, clock)
    assert [file.name for file in retire().gone] == ["000001.jsonl", "000002.jsonl"]


class PulledPlugError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("removed", [0, 1, 9])
def test_what_was_said_and_not_done_when_the_room_died_is_done_by_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    clock = written(folder, 61)
    real, left = Path.unlink, [removed]

    def unlink(path: Path) -> None:
        if not left[0]:
            raise PulledPlugError
        left[0] -= 1
        real(path)

    with monkeypatch.context() as patched, pytest.raises(PulledPlugError):
        patched.setattr(Path, "unlink", unlink)
        retirement(folder, clock)()
    touch(files_of(folder))
    found = verify(folder)
    assert (found.is_whole, len(found.lingering), found.retired) == (True, 10 - removed, 3 * removed)
    assert [file.name for file in retirement(folder, clock)().gone] == list(found.lingering)
    assert str(verify(folder)) == "whole: 32 records, 30 before them retired by rule"
    assert kinds(folder).count("retired") == 1


def test_before_its_record_is_on_the_disk_nothing_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = written(folder, 61)
    before = names(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backends.journal.chain_file._sync", full)
    with pytest.raises(OSError, match="No space"):
        retirement(folder, clock)()
    assert names(folder) == before
    assert verify(folder).is_whole


def test_a_file_that_is_another_when_its_turn_comes_is_left_and_told(folder: Path) -> None:
    """Checked, said, and then changed by somebody before it could be removed."""
    clock = written(folder, 61)
    real = ChainFile.append

    def append(chain: ChainFile, body: Any, is_synced: bool) -> None:
        real(chain, body, is_synced)
        (folder / "000002.jsonl").write_bytes(b"another\n")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ChainFile, "append", append)
        cleared = retirement(folder, clock)()
    assert [file.name for file in cleared.gone] == ["000001.jsonl"]
    assert "000002.jsonl is not the file whose retirement is on record" in cleared.damage
    assert (folder / "000002.jsonl").read_bytes() == b"another\n"
    again = retirement(folder, clock)()
    assert again.damage.startswith("DAMAGED")
    assert again.gone == ()


def test_a_damaged_journal_keeps_every_file(folder: Path) -> None:
    clock = written(folder, 61)
    path = folder / "000015.jsonl"
    path.write_bytes(path.read_bytes().replace(b"day", b"dey", 1))
    before = names(folder)
    assert "000015.jsonl line 1" in retirement(folder, clock)().damage
    assert names(folder) == before


def run(kind: Kind, procedure: str, **more: object) -> Callable[[Path, FakeClock], None]:
    entry = whole(kind, "x", procedure=procedure, **more)
    return lambda folder, clock: add(folder, clock, entry)


HALT = partial(run, Kind.OUTCOME, "halt", risk="stop")
RESUME = partial(run, Kind.OUTCOME, "resume", risk="restore")
NEEDED = {
    "an operation without an outcome": ([run(Kind.INTENT, "halt")], "operation op-1 in it has no outcome"),
    "a halt that was proved": ([HALT(verdict="VERIFIED")], "a stop that no resume followed"),
    "a halt that was not": ([HALT(verdict="FAILED")], "a stop that no resume followed"),
    "a halt and a resume that was not proved": (
        [HALT(verdict="ALREADY"), RESUME(verdict="UNCONFIRMED")], "a stop that no resume followed",
    ),
    "a halt and the resume of another stack": (
        [HALT(verdict="VERIFIED"), RESUME(verdict="VERIFIED", stack="other")],
        "a stop that no resume followed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NEEDED)
def test_a_file_with_what_the_room_may_still_go_by_stays_with_all_after_it(folder: Path, what: str) -> None:
    clock = written(folder, 7)
    records, words = NEEDED[what]
    for each in records:
        each(folder, clock)
    written(folder, 60, clock)
    cleared = retirement(folder, clock)()
    assert [file.name for file in cleared.gone] == ["000001.jsonl", "000002.jsonl"]
    assert cleared.stays.startswith("000003.jsonl stays: ")
    assert words in cleared.stays


def test_it_goes_when_that_is_over(folder: Path) -> None:
    clock = written(folder, 7)
    for each in (run(Kind.INTENT, "halt"), run(Kind.INTENT, "probe", mode="dry", operation="op-2")):
        each(folder, clock)
    HALT(verdict="VERIFIED")(folder, clock)
    written(folder, 20, clock)
    RESUME(verdict="VERIFIED", operation="op-3")(folder, clock)
    written(folder, 60, clock)
    assert len(retirement(folder, clock)().gone) > 10


def test_a_stop_further_back_than_any_room_looks_keeps_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.journal.due.TAIL", 4000)
    clock = written(folder, 7)
    HALT(verdict="VERIFIED")(folder, clock)
    written(folder, 60, clock)
    assert len(retirement(folder, clock)().gone) > 10


def test_nothing_goes_behind_which_no_head_is_anchored(folder: Path) -> None:
    clock = written(folder, 61)
    assert [file.name for file in retirement(folder, clock)(anchored=7).gone] == names_of(2)
    assert retirement(folder, clock)(anchored=0).stays == "000003.jsonl stays: no later head is anchored"
    assert [file.name for file in retirement(folder, clock)(anchored=61).gone] == names_of(10)[2:]


def names_of(count: int) -> list[str]:
    return [f"{number:06d}.jsonl" for number in range(1, count + 1)]


@pytest.mark.parametrize("wrote_here", [True, False], ids=["starts after it", "runs through it"])
def test_a_clock_set_forward_makes_nothing_old_for_a_room_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wrote_here: bool
) -> None:
    """The records of this run of the host show it to any process, and each remembers when it began."""
    clock = written(folder, 20)
    if not wrote_here:
        monkeypatch.setattr(old_journal, "SESSION", replace(SESSION, boot="the next boot"))
    before = retirement(folder, clock)
    clock.step_wall(400 * DAY)
    cleared = (retirement(folder, clock) if wrote_here else before)()
    assert not cleared.gone
    assert "the clock was set 400.0 days forward" in cleared.doubt
    assert len(names(folder)) == 7


def test_records_that_are_yet_to_come_make_nothing_old(folder: Path) -> None:
    clock = written(folder, 61)
    clock.step_wall(-3 * DAY)
    cleared = retirement(folder, FakeClock(5.0, clock.now().wall))()
    assert not cleared.gone
    assert "which is yet to come" in cleared.doubt


def test_after_the_host_has_started_anew_its_clock_is_taken_as_it_is(folder: Path) -> None:
    clock = written(folder, 20)
    clock.step_wall(400 * DAY)
    anew = FakeClock(50.0, clock.now().wall)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(old_journal, "SESSION", replace(SESSION, boot="the next boot"))
        assert len(retirement(folder, anew)().gone) == 6


def test_who_reads_while_files_are_retired_is_not_disturbed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = written(folder, 61)
    retire = retirement(folder, clock)
    monkeypatch.setattr("backends.journal.verify.BREATH", 1)
    monkeypatch.setattr("backends.journal.unfinished.files_of", lambda folder: list(before))
    before = files_of(folder)
    reading = read(folder)
    assert next(reading)["seq"] == 1
    assert verify(folder, pause=lambda: retire() and None).retired == 30
    assert [record["seq"] for record in reading][-1] == 62
    assert next(record["seq"] for record in recent(folder)) == 31
