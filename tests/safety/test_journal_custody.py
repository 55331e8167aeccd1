"""The engine tells when its journal is in trouble, and each event that must be on record is there once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backends.anchored import anchored
from backends.demo.process import free_port
from backends.engine import Engine, Mode
from backends.journal import custody
from backends.journal.anchorage import Anchorage
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.custody import Custody
from backends.journal.entry import Entry, Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.verify import read, verify
from backends.model.alarm import Alarm
from backends.model.anchor import AnchorError, AnchorKind, AnchorPlace, Mark
from backends.model.intent import Intent
from backends.model.safetext import SafeText
from tests.clock import FakeClock
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SETTLED", 0.05)
    monkeypatch.setattr(custody, "TICK", 0.02)


@contextmanager
def engine(
    folder: Path, url: str, mode: Mode = Mode.ARMED, anchor: AnchorPlace | None = None
) -> Iterator[Engine]:
    made = Engine([redis_stack(url)], mode, folder, KIM, anchor=anchor)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def alarm(made: Engine, ident: str, seconds: float = 20.0) -> Alarm:
    """The alarm of that id, once it is on the board."""

    def found() -> list[Alarm]:
        return [each for each in made.board("tiny").alarms if each.id == ident]

    wait_until(lambda: bool(found()), seconds)
    return found()[0]


def intent(procedure: str) -> Intent:
    return Intent("op-1", "tiny", procedure, KIM, SafeText("x"), seen=0, via="cli")


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in read(folder / "journal") if record["kind"] == kind]


def is_on_record(folder: Path, openings: int) -> bool:
    return len(records(folder, "session")) == openings


def test_a_damaged_journal_is_an_alarm_that_names_the_place(tmp_path: Path, redis_db: RedisServer) -> None:
    chain = ChainFile(tmp_path / "journal")
    for number in range(5):
        chain.append({"v": 1, "kind": "note", "text": f"note {number}"}, is_synced=False)
    (path,) = files_of(tmp_path / "journal")
    path.write_bytes(path.read_bytes().replace(b"note 2", b"note 7"))
    with engine(tmp_path, redis_db.url, Mode.WATCH) as made:
        found = alarm(made, "journal-damaged")
        assert found.priority.value == "high"
        assert "000001.jsonl line 3: record 3 was changed" in found.title
        assert alarm(made, "journal-damaged").since == found.since


def test_a_journal_that_is_damaged_later_is_an_alarm_after_the_next_check(
    tmp_path: Path, redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, whole = Custody._look, []

    def noting(self: Custody) -> str | None:
        found = look(self)
        whole.append(found is None)
        return found

    monkeypatch.setattr(custody, "DAILY", 0.2)
    monkeypatch.setattr(Custody, "_look", noting)
    with engine(tmp_path, redis_db.url) as made:
        made.record("abandoned", "tiny", "halt", "left alone")
        wait_until(lambda: whole and records(tmp_path, "abandoned"), 20)
        (path,) = files_of(tmp_path / "journal")
        path.write_bytes(path.read_bytes().replace(b"left alone", b"left above"))
        assert "record 1 was changed" in alarm(made, "journal-damaged").title


def test_a_journal_that_lost_what_this_room_has_written_is_an_alarm_without_an_anchor_too(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """A chain that begins anew holds by itself: only who wrote the other one can tell."""
    with engine(tmp_path, redis_db.url) as made:
        for number in range(2):
            made.record("abandoned", "tiny", "halt", f"left alone {number}")
        wait_until(lambda: len(records(tmp_path, "abandoned")) == 2, 20)
        shutil.rmtree(tmp_path / "journal")
        made.record("abandoned", "tiny", "halt", "left alone afterwards")
        found = alarm(made, "journal-cut-off")
        assert found.priority.value == "high"
        assert "it was empty, and record 2 had been written" in found.title
    assert verify(tmp_path / "journal").is_whole


def test_a_journal_that_cannot_be_written_is_an_alarm_until_it_can(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with engine(tmp_path, redis_db.url) as made:
        made.record("abandoned", "tiny", "halt", "left alone")
        found = alarm(made, "journal-unwritable")
        assert found.priority.value == "high"
        assert "1 records wait in memory" in found.title
        (tmp_path / "journal").unlink()
        wait_until(lambda: not [it for it in made.board("tiny").alarms if it.subject == "journal"], 20)
    assert len(records(tmp_path, "abandoned")) == 1


def test_an_anchor_that_is_away_is_a_low_alarm_and_nobody_waits_for_it(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    away = AnchorPlace(AnchorKind.REDIS, f"redis://127.0.0.1:{free_port()}/0", "controlroom:journal")
    with engine(tmp_path, redis_db.url, anchor=away) as made:
        made.submit(intent("halt"))
        wait_until(lambda: bool((run := made.run("op-1")) and run.verdict), 5)
        assert alarm(made, "journal-not-anchored").priority.value == "low"


def test_a_run_leaves_its_head_at_the_anchor_before_the_program_ends(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    place = AnchorPlace(AnchorKind.REDIS, redis_db.url, "controlroom:journal")
    made = Engine([redis_stack(redis_db.url)], Mode.ARMED, tmp_path, KIM, observe=False, anchor=place)
    made.start()
    made.submit(intent("halt"))
    wait_until(lambda: bool((run := made.run("op-1")) and run.verdict), 20)
    made.stop()
    folder = tmp_path / "journal"
    found = verify(folder, held := anchored(place, KIM.host, str(folder)))
    assert found.is_whole
    assert held[0].seq == found.head.seq


def test_the_chain_is_held_against_what_was_anchored(
    tmp_path: Path, redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the room is open, and at its next start, by each kind of room."""
    monkeypatch.setattr(custody, "Anchorage", partial(Anchorage, every=0.1))
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    place = AnchorPlace(AnchorKind.REDIS, redis_db.url, "controlroom:journal")
    with engine(tmp_path, redis_db.url, anchor=place) as made:
        made.submit(intent("halt"))
        folder = tmp_path / "journal"
        outcome = wait_until(lambda: records(tmp_path, "outcome"), 20)[0]
        wait_until(lambda: {m.seq for m in anchored(place, KIM.host, str(folder))} >= {outcome["seq"]}, 20)
        (path,) = files_of(folder)
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        made.record("refused", "tiny", "halt", "as if nothing had happened")
        # That what was written here is gone is seen first, perhaps.
        short = "shorter than its anchor: it ends at record"
        wait_until(lambda: short in alarm(made, "journal-cut-off").title, 20)
        assert alarm(made, "journal-cut-off").priority.value == "high"
    assert verify(tmp_path / "journal").damage is None
    for mode in (Mode.ARMED, Mode.WATCH):
        with engine(tmp_path, redis_db.url, mode, place) as made:
            assert any(word in alarm(made, "journal-damaged").title for word in ("CUT OFF", "REBUILT"))


async def test_an_anchor_that_is_away_at_the_start_is_held_against_the_chain_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room that starts with its host comes before the network: a day later would be late."""
    monkeypatch.setattr(custody, "AGAIN", 0.02, raising=False)
    clock, asked = FakeClock(), list[int]()
    journal = Journal(tmp_path / "journal", Session(KIM, "0.1.0"), clock, Redactor())
    await journal.record(Entry(Kind.NOTE, "all that is left"), budget=5)

    def marks() -> list[Mark]:
        asked.append(1)
        if len(asked) < 4:
            raise AnchorError("Redis did not tell the heads: no route")
        return [Mark(KIM.host, str(journal.folder), 9, "0" * 64, clock.now().iso())]

    kept = Custody(journal, clock, None, marks=marks)
    keeper = asyncio.create_task(kept.keep())
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while not kept.alarms(clock.now()):  # noqa: ASYNC110 (there is nothing that tells)
                await asyncio.sleep(0.01)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    journal.close()
    found = [str(each.title) for each in kept.alarms(clock.now())]
    assert [each.partition(": ")[2][:51] for each in found] == [
        "CUT OFF: it ends at record 1, and record 9 was anch"
    ]
    assert len(asked) == 5, "three that failed, one that answered, and the check"


def test_a_room_that_watches_anchors_nothing_and_does_not_load_what_could(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    program = f"""
import sys
from pathlib import Path
from backends.engine import Engine, Mode
from backends.model.anchor import AnchorKind, AnchorPlace
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.sim.world import KIM
for name in [name for name in sys.modules if name.startswith("backends.writers")]:
    del sys.modules[name]
place = AnchorPlace(AnchorKind.REDIS, {redis_db.url!r}, "controlroom:journal")
made = Engine([redis_stack({redis_db.url!r})], Mode.WATCH, Path({str(tmp_path)!r}), KIM, anchor=place)
made.start()
made.welcome("digest")
made.wait_asked("tiny", 5)
wait_until(Path({str(tmp_path / "journal" / "000001.jsonl")!r}).exists, 20)
made.stop()
print([name for name in sys.modules if name.startswith("backends.writers")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
    assert len(records(tmp_path, "session")) == 1
    assert redis_db.command("DBSIZE") == b":0\r\n"


def test_what_is_refused_left_alone_or_seen_is_on_record_once(tmp_path: Path, redis_db: RedisServer) -> None:
    with engine(tmp_path, redis_db.url) as made:
        made.submit(intent("no such procedure"))
        made.record("abandoned", "tiny", "halt", "left alone for 30 s")
        made.record("refused", "tiny", "halt", "a key that does nothing here")
        made.acknowledge_resume("tiny")
        wait_until(lambda: made.run("op-1") is not None, 20)
    assert [each["operation"] for each in records(tmp_path, "refused") if "operation" in each] == ["op-1"]
    assert len(records(tmp_path, "refused")) == 2
    assert len(records(tmp_path, "abandoned")) == 1
    assert len(records(tmp_path, "note")) == 1


def test_a_try_to_act_in_a_room_that_watches_is_on_record_once(tmp_path: Path, redis_db: RedisServer) -> None:
    with engine(tmp_path, redis_db.url, Mode.WATCH) as made:
        made.submit(intent("halt"))
        wait_until(lambda: made.run("op-1") is not None, 20)
    (record,) = read(tmp_path / "journal")
    assert (record["kind"], record["mode"], record["operation"]) == ("refused", "watch", "op-1")
    assert "only watches" in record["text"]


def test_each_opening_of_a_room_is_on_record_once_and_tells_of_another_configuration(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    for number, digest in enumerate(("one", "one", "two"), 1):
        with engine(tmp_path, redis_db.url) as made:
            made.welcome(digest)
            wait_until(partial(is_on_record, tmp_path, number), 20)
    found = records(tmp_path, "session")
    assert [each["config"] for each in found] == ["one", "one", "two"]
    assert ["another" in each["text"] for each in found] == [False, False, True]
    assert {each["operator"]["user"] for each in found} == {KIM.user}


async def test_a_step_of_the_clock_is_on_record_once_and_its_drift_is_not(tmp_path: Path) -> None:
    clock = FakeClock()
    journal = Journal(tmp_path / "journal", Session(KIM, "0.1.0"), clock, Redactor())
    keeper = asyncio.create_task(Custody(journal, clock, None).keep())
    await asyncio.sleep(0.1)
    for seconds in (0.4, 0.0, 3600.0, 0.0, -7.5):
        clock.step_wall(seconds)
        clock.advance(1.0)
        await asyncio.sleep(0.1)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    journal.close()
    texts = [record["text"] for record in records(tmp_path, "clock")]
    assert texts == ["the clock was set 3600.4 s forward, or the host slept", "the clock was set 7.5 s back"]


def test_a_last_line_that_is_being_written_is_no_damage_and_one_that_stays_half_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = ChainFile(tmp_path)
    for number in range(3):
        chain.append({"v": 1, "kind": "note", "text": f"note {number}"}, is_synced=False)
    (path,) = files_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    keeper = Custody(Journal(tmp_path, Session(KIM, "0.1.0"), FakeClock(), Redactor()), FakeClock(), None)
    assert "was cut off" in str(keeper._look())
    monkeypatch.setattr(custody.time, "sleep", lambda seconds: path.write_bytes(whole))
    assert keeper._look() is None
