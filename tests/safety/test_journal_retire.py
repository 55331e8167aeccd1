"""Old files of the journal go by rule alone: never one that is needed, never twice, and never half."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backends.arming import make_retirer
from backends.engine import Engine, Mode
from backends.journal import custody
from backends.journal.anchorage import Anchorage
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.custody import Custody
from backends.journal.due import turn_of
from backends.journal.entry import Kind
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.unfinished import recent, unfinished
from backends.journal.verify import read, verify
from backends.model.anchor import AnchorError, Mark
from backends.procedures.permit import arm
from tests import old_journal
from tests.clock import FakeClock
from tests.old_journal import DAY, KEEP, SESSION, add, kinds, names, retirement, touch, written
from tests.records import whole
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

ROOT = Path(__file__).parents[2]


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


WORKER = """
import sys
from functools import partial
from pathlib import Path
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.entry import Entry, Kind, body
from backends.journal.verify import verify
from tests.clock import FakeClock
from tests.old_journal import KEEP, SESSION
from backends.journal.retire import Retirement
folder, mono, wall = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
clock = FakeClock(mono, wall)
retire = Retirement(folder, KEEP, SESSION, clock)
sys.stdin.readline()
for number in range(40):
    ChainFile(folder).append(body(Entry(Kind.NOTE, "meanwhile"), SESSION, clock.now()), is_synced=False)
    if number == 20:
        try:
            print(len(retire(partial(verify, folder), lambda: None).gone))
        except BlockingIOError:
            print("busy")
"""


def test_of_several_processes_one_retires_while_all_of_them_write(folder: Path) -> None:
    clock = written(folder, 61)
    now = clock.now()
    command = [sys.executable, "-c", WORKER, str(folder), str(now.mono), str(now.wall)]
    rooms = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for room in rooms:
        assert room.stdin is not None
        room.stdin.write("go\n")
        room.stdin.flush()
    said = sorted(room.communicate(timeout=60)[0].strip() for room in rooms)
    assert [room.returncode for room in rooms] == [0] * 4
    assert said.count("10") == 1
    assert set(said) <= {"0", "10", "busy"}
    found = verify(folder)
    assert (found.is_whole, found.retired, found.head.seq) == (True, 30, 61 + 160 + 1)


def test_while_another_process_retires_this_one_leaves_it_alone(folder: Path) -> None:
    clock = written(folder, 61)
    with (folder / "retiring").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            retirement(folder, clock)()
        add(folder, clock, whole(Kind.NOTE, "a record waits for none of it"))
    assert len(names(folder)) == 21


def test_what_a_room_reads_at_its_start_is_there_after_a_retirement(folder: Path) -> None:
    clock = written(folder, 3)
    add(folder, clock, whole(Kind.SESSION, "opened the room", config="ab" * 32))
    written(folder, 61, clock)
    assert retirement(folder, clock)().gone
    written(folder, 61, clock)
    assert retirement(folder, clock)().gone, "and with it the first that told of one"
    assert (kinds(folder).count("retired"), "session" in kinds(folder)) == (1, False)
    made = Custody(Journal(folder, SESSION, clock, Redactor()), clock, None)
    assert made._last_config() == "ab" * 32
    assert unfinished(folder, "ops1") == []


class Kept:
    """An anchor that keeps every head, or one that is away."""

    def __init__(self, is_there: bool = True) -> None:
        self._is_there = is_there

    def put(self, mark: Mark) -> None:
        if not self._is_there:
            raise AnchorError("no answer")


def kept_by(folder: Path, clock: FakeClock, anchor: Kept | None) -> tuple[str | None, str | None]:
    """One round of the journal's keeper: what is wrong with the chain, and why nothing could be retired."""
    permit = arm(KIM, is_watch=False)
    assert permit is not None
    journal = Journal(folder, SESSION, clock, Redactor(), turn_of(KEEP))
    retire = make_retirer(permit, folder, KEEP, SESSION, clock)
    made = Custody(journal, clock, None if anchor is None else lambda: anchor, retire)
    made.begin()
    try:
        return made._clear(retire)
    finally:
        made.close()
        journal.close()


def test_the_keeper_anchors_the_head_first_and_without_an_answer_removes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Anchorage.settle, "__defaults__", (0.2,))
    clock = written(folder, 61)
    assert kept_by(folder, clock, Kept(is_there=False)) == (None, None)
    assert len(names(folder)) == 21
    monkeypatch.setattr(Anchorage.settle, "__defaults__", (10.0,))
    assert kept_by(folder, clock, Kept()) == (None, None)
    assert names(folder)[0] == "000011.jsonl"


def test_the_keeper_tells_why_what_is_old_could_not_be_retired(folder: Path) -> None:
    clock = written(folder, 20)
    clock.step_wall(400 * DAY)
    damage, why = kept_by(folder, clock, None)
    assert (damage, len(names(folder))) == (None, 7)
    assert "the clock was set 400.0 days forward" in str(why)


def test_an_armed_room_retires_and_then_its_alarms_are_none(
    tmp_path: Path, folder: Path, redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody, "SETTLED", 0.0)
    written(folder, 61, FakeClock(wall=time.time() - 61 * DAY))
    made = Engine([redis_stack(redis_db.url)], Mode.ARMED, tmp_path, KIM, keep_days=KEEP)
    made.start()
    try:
        wait_until(lambda: names(folder)[0] == "000011.jsonl", 10)
        made.record("abandoned", "tiny", "halt", "left alone")
        wait_until(lambda: "abandoned" in kinds(folder), 5)
        assert [it.id for it in made.board("tiny").alarms if it.subject == "journal"] == []
    finally:
        made.stop()
    assert verify(folder).is_whole


def test_a_room_that_watches_retires_nothing_and_does_not_load_what_could(
    tmp_path: Path, folder: Path, redis_db: RedisServer
) -> None:
    written(folder, 61, FakeClock(wall=time.time() - 61 * DAY))
    program = f"""
import sys, threading
from pathlib import Path
from backends.arming import make_retirer
from backends.engine import Engine, Mode
from backends.journal import custody
from tests.safety.dying_room import redis_stack
from tests.sim.world import KIM
assert "backends.journal.retire" not in sys.modules
checked, verify = threading.Event(), custody.verify
def noted(*arguments, **more):
    found = verify(*arguments, **more)
    checked.set()
    return found
custody.verify, custody.SETTLED = noted, 0.0
made = Engine([redis_stack({redis_db.url!r})], Mode.WATCH, Path({str(tmp_path)!r}), KIM, keep_days={KEEP})
made.start()
assert checked.wait(20)
made.wait_asked("tiny", 5)
made.stop()
print("backends.journal.retire" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False"]
    assert (len(names(folder)), "retired" in kinds(folder)) == (21, False)
