"""What another room on this host does is seen here within a second, and keeps a resume from starting."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from backends.engine import Engine, Mode
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.entry import Kind, Session, body
from backends.journal.journal import Journal
from backends.journal.neighbours import Neighbour, Neighbours
from backends.journal.redact import Redactor
from backends.journal.verify import read
from backends.model.clock import SystemClock
from backends.model.intent import Identity
from backends.model.procedure import Run, Verdict
from backends.procedures.elsewhere import run_of, under_way
from backends.procedures.sequence_runner import SequenceRunner
from backends.procedures.stop_runner import StopRunner
from tests.building import later, stack
from tests.clock import FakeClock
from tests.records import STEP, whole
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.desk import asked, office
from tests.sim.virtual import simulate
from tests.sim.world import KIM, Paper

ROOT = Path(__file__).parents[2]
LEE = Identity("lee", 1001, "ops1", "/dev/pts/9")


@contextmanager
def room(folder: Path, server: RedisServer, mode: Mode) -> Iterator[Engine]:
    server.command("SET", "kill_switch:state", json.dumps({"state": "ACTIVE"}))
    engine = Engine([redis_stack(server.url)], mode, folder, KIM, is_room=True)
    engine.start()
    try:
        assert engine.wait_asked("tiny", 20.0)
        yield engine
    finally:
        engine.stop()


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.alone
def test_a_halt_in_another_room_is_on_this_board_within_a_second(
    tmp_path: Path, redis_db: RedisServer, mode: Mode
) -> None:
    with room(tmp_path, redis_db, mode) as engine:
        seen: list[tuple[float, Run]] = []

        def look() -> None:
            run = engine.run("op-4711")
            if run is not None and (not seen or seen[-1][1] != run):
                seen.append((time.time(), run))

        engine.subscribe(look)
        told = ("-m", "tests.safety.dying_room", str(tmp_path), redis_db.url, "halt", "never")
        subprocess.run([sys.executable, *told], cwd=ROOT, timeout=60, check=True)
        wait_until(lambda: bool(seen) and seen[-1][1].verdict is Verdict.VERIFIED, 5.0)
    begun = next(r for r in read(tmp_path / "journal") if r["kind"] == "intent")
    first, run = seen[0]
    assert first - datetime.fromisoformat(begun["at"]).timestamp() <= 1.0
    assert (run.room, run.title) == ("kim on /dev/pts/3", "kim: Halt trading")


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("point", ["after intent 1", "after act 1"])
def test_a_console_that_is_killed_is_told_at_once_with_what_is_true_now(
    tmp_path: Path, redis_db: RedisServer, mode: Mode, point: str
) -> None:
    """Nobody says of the dead that they are at it; it stays open, so that who comes back is told as well."""
    with room(tmp_path, redis_db, mode) as engine:
        words = ("-m", "tests.safety.dying_room", str(tmp_path), redis_db.url, "halt", point)
        subprocess.run([sys.executable, *words], cwd=ROOT, timeout=60, check=False)
        is_on = point == "after act 1"
        truth = f"true now: kill.state reads {'ENGAGED' if is_on else 'ACTIVE'}"

        def is_told() -> bool:
            run = engine.run("op-4711")
            return run is not None and run.verdict is Verdict.UNCONFIRMED and truth in run.sentence

        wait_until(is_told, 5.0)
    assert "outcome" not in [each["kind"] for each in read(tmp_path / "journal")]


class Pages:
    """A journal that another process writes."""

    def __init__(self, folder: Path) -> None:
        self._chain = ChainFile(folder / "journal")
        self._session = Session(LEE, "0.1", pid=1)
        self.reader = Neighbours(folder / "journal", LEE.host, lambda _: self.is_alive)
        self.is_alive = True

    def write(self, kind: Kind, operation: str = "op-1", **more: Any) -> None:
        entry = whole(kind, operation=operation, **more)
        self._chain.append(body(entry, self._session, later(0)), is_synced=False)

    def news(self) -> list[tuple[str, int, str | None]]:
        """Operation, steps told so far, and the verdict."""
        return [self._short(each) for each in self.reader.look()]

    @staticmethod
    def _short(each: Neighbour) -> tuple[str, int, str | None]:
        end = "cut off" if each.is_cut_off else None
        return each.told.operation, len(each.told.steps), end if each.end is None else each.end["verdict"]


def test_a_run_is_followed_from_its_intent_to_its_outcome_and_to_a_later_one(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    assert pages.news() == []
    pages.write(Kind.INTENT)
    assert pages.news() == [("op-1", 0, None)]
    assert pages.news() == []
    pages.write(Kind.STEP, step=STEP)
    assert pages.news() == [("op-1", 1, None)]
    assert [each.operation for each in pages.reader.under_way] == ["op-1"]
    pages.write(Kind.OUTCOME, verdict="VERIFIED")
    assert pages.news() == [("op-1", 1, "VERIFIED")]
    assert pages.reader.under_way == ()
    pages.write(Kind.OUTCOME, verdict="CONTRADICTED")
    assert pages.news() == [("op-1", 1, "CONTRADICTED")]


def test_what_had_ended_before_and_dry_runs_are_no_news(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    pages.write(Kind.INTENT)
    pages.write(Kind.OUTCOME, verdict="VERIFIED")
    pages.write(Kind.INTENT, "op-2", mode="dry")
    pages.write(Kind.INTENT, "op-3")
    assert pages.news() == [("op-3", 0, None)]


def test_a_run_of_a_process_that_is_no_more_is_told_once_as_cut_off_and_then_by_its_outcome(
    tmp_path: Path,
) -> None:
    pages = Pages(tmp_path)
    assert pages.news() == []
    pages.write(Kind.INTENT)
    assert pages.news() == [("op-1", 0, None)]
    pages.is_alive = False
    pages.write(Kind.STEP, step=STEP)
    pages.write(Kind.INTENT, "op-2")
    assert pages.news() == [("op-1", 1, "cut off"), ("op-2", 0, "cut off")]
    assert pages.reader.under_way == ()
    assert pages.news() == []
    pages.write(Kind.OUTCOME, verdict="UNCONFIRMED")
    assert pages.news() == [("op-1", 1, "UNCONFIRMED")]


def test_a_journal_that_is_lost_hides_neither_who_was_at_work_nor_who_comes(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    assert pages.news() == []
    for operation in ("op-1", "op-2"):
        pages.write(Kind.INTENT, operation)
    pages.write(Kind.OUTCOME, verdict="VERIFIED")
    assert pages.news() == [("op-1", 0, "VERIFIED"), ("op-2", 0, None)]
    shutil.rmtree(tmp_path / "journal")
    assert pages.news() == []
    assert [each.operation for each in pages.reader.under_way] == ["op-2"]
    pages.write(Kind.OUTCOME, "op-2", verdict="VERIFIED")
    pages.write(Kind.INTENT, "op-3")
    assert pages.news() == [("op-2", 0, "VERIFIED"), ("op-3", 0, None)]


def test_of_a_journal_that_was_put_back_what_had_ended_is_no_news(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    pages.write(Kind.INTENT)
    pages.write(Kind.OUTCOME, verdict="VERIFIED")
    assert pages.news() == []
    path = files_of(tmp_path / "journal")[0]
    copy = path.read_bytes()
    pages.write(Kind.NOTE)
    assert pages.news() == []
    path.write_bytes(copy)
    assert pages.news() == []


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_when_another_room_began_does_not_move_with_the_clock_of_the_host(
    tmp_path: Path, step: float
) -> None:
    """By that it is known whether a resume of theirs came after a halt of this room."""
    chain, clock = ChainFile(tmp_path), FakeClock()
    began = clock.now()
    entry = whole(Kind.INTENT, stack="tiny", procedure="resume", operation="op-1")
    chain.append(body(entry, Session(LEE, "0.1", pid=1), began), is_synced=False)
    (told,) = Neighbours(tmp_path, LEE.host, lambda _: True).look()
    clock.step_wall(step)
    clock.advance(10.0)
    assert run_of(told, stack(), clock.now()).started.mono == began.mono


def test_what_was_cut_off_before_the_first_look_is_told_by_the_start_of_the_room(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    pages.write(Kind.INTENT)
    pages.is_alive = False
    assert pages.news() == []
    assert pages.reader.under_way == ()


def test_who_wrote_its_outcome_and_left_while_it_was_looked_was_not_cut_off(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    assert pages.news() == []
    pages.write(Kind.INTENT)

    def leaves(_: Any) -> bool:
        pages.write(Kind.OUTCOME, verdict="VERIFIED")
        return False

    pages.reader._is_alive = leaves
    assert pages.news() == [("op-1", 0, "VERIFIED")]


def test_a_resume_waits_for_what_another_room_does_and_a_stop_waits_for_nobody() -> None:
    for procedure, verdict in (("resume", Verdict.REFUSED), ("halt", Verdict.VERIFIED)):
        made = office()
        made.procedures._gate._elsewhere = lambda _before: ["halt by lee on /dev/pts/9"]
        run = simulate(made.procedures.execute(asked(procedure)))
        assert run.verdict is verdict, procedure
        if verdict is Verdict.REFUSED:
            assert [str(each) for each in run.blockers] == [
                "halt by lee on /dev/pts/9 is running; wait for its end"
            ]


@pytest.mark.parametrize("procedure", ["resume", "flatten", "restart"])
def test_of_two_rooms_that_begin_at_the_same_moment_the_one_whose_intent_came_first_goes_on(
    procedure: str,
) -> None:
    """Neither is there yet when the other looks first; what moves the market twice would turn positions."""
    paper, asked_for = Paper(), []

    def recent() -> list[dict[str, Any]]:
        return [{"seq": number, **each} for number, each in enumerate(paper.records(), 7)]

    def elsewhere(before: int | None) -> list[str]:
        asked_for.append(before)
        return [] if before is None else [f"{procedure} by lee on /dev/pts/9"]

    made = office(paper=paper, recent=recent)
    made.procedures._gate._elsewhere = elsewhere
    run = simulate(made.procedures.execute(asked(procedure)))
    assert run.verdict is Verdict.REFUSED
    assert f"{procedure} by lee on /dev/pts/9 is running; wait for its end" in run.sentence
    assert made.desk.sent == []
    assert asked_for == [None, 7]


@pytest.mark.parametrize("procedure", ["halt", "flatten"])
def test_a_run_that_a_fault_of_ours_has_ended_is_over_for_the_other_rooms(
    procedure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process lives on: whoever waits for its end would wait until somebody leaves that room."""

    async def fails(*_: Any) -> None:
        raise KeyError("secret-4711")

    monkeypatch.setattr(StopRunner, "_hear", fails)
    monkeypatch.setattr(SequenceRunner, "_do", fails)
    made = office()
    with pytest.raises(KeyError):
        simulate(made.procedures.execute(asked(procedure)))
    kinds = [entry.kind for _, entry in made.paper.entries if entry.kind is not Kind.STEP]
    assert kinds == [Kind.INTENT, Kind.OUTCOME]
    last = made.paper.entries[-1][1]
    assert (last.operation, last.verdict) == ("op-1", Verdict.UNCONFIRMED.value)
    assert "KeyError" in last.text and "4711" not in last.text


def test_what_other_rooms_run_is_told_whole_or_as_far_as_it_began_before(tmp_path: Path) -> None:
    chain, session = ChainFile(tmp_path), Session(LEE, "0.1", pid=os.getppid())
    for kind in (Kind.NOTE, Kind.INTENT):
        entry = whole(kind, stack="tiny", procedure="halt", operation="op-1")
        chain.append(body(entry, session, SystemClock().now()), is_synced=False)
    journal = Journal(tmp_path, Session(KIM, "0.1"), SystemClock(), Redactor())
    lee = ["halt by lee on /dev/pts/9"]
    told = {before: under_way(journal, "tiny", before) for before in (None, 3, 2)}
    journal.close()
    assert told == {None: lee, 3: lee, 2: []}
    assert under_way(journal, "another", None) == []
