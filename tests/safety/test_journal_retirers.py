"""Who retires the journal's files: one process at a time, an armed room by itself, a watching one never."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.arming import make_retirer
from backends.engine import Engine, Mode
from backends.journal import custody
from backends.journal.anchorage import Anchorage
from backends.journal.custody import Custody
from backends.journal.due import turn_of
from backends.journal.entry import Kind
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.unfinished import unfinished
from backends.journal.verify import verify
from backends.model.anchor import AnchorError, Mark
from backends.procedures.permit import arm
from tests.clock import FakeClock
from tests.old_journal import DAY, KEEP, SESSION, add, kinds, names, retirement, written
from tests.records import whole
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


WORKER = """
import sys
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
def check():
    for _ in range(5):  # A line that another one is writing is no damage.
        found = verify(folder)
        if found.is_whole:
            break
    return found
sys.stdin.readline()
for number in range(40):
    ChainFile(folder).append(body(Entry(Kind.NOTE, "meanwhile"), SESSION, clock.now()), is_synced=False)
    if number == 20:
        try:
            print(len(retire(check, lambda: None).gone))
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
        wait_until(lambda: "abandoned" in kinds(folder), 20)
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
