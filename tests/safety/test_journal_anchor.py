"""Cutting off the journal's end, or rebuilding all of it, is seen by heads kept in another place."""

from __future__ import annotations

import errno
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from backends.anchored import anchored
from backends.demo.process import free_port
from backends.journal import chain_file
from backends.journal.anchorage import Anchorage
from backends.journal.chain_file import ChainFile, end_of, files_of
from backends.journal.entry import Kind, Session
from backends.journal.identity import identify
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.verify import verify
from backends.model.anchor import AnchorError, AnchorKind, AnchorPlace, Mark
from backends.model.clock import SystemClock
from backends.writers.anchor import make_anchor
from tests.records import whole
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tui.cli import app
from tui.commands.verdict import ExitCode

ME = identify()
RUNNER = CliRunner()


@pytest.fixture(params=["redis", "postgres"])
def place(request: pytest.FixtureRequest) -> AnchorPlace:
    """A real server that keeps the heads."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_db")
        return AnchorPlace(AnchorKind.REDIS, server.url, "controlroom:journal")
    dsn: str = request.getfixturevalue("postgres_dsn")
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("DROP TABLE IF EXISTS controlroom_journal")
    return AnchorPlace(AnchorKind.POSTGRES, dsn, "controlroom_journal")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", Session(ME, "0.1.0"), SystemClock(), Redactor())
    yield made
    made.close()


def held(place: AnchorPlace, journal: Journal) -> list[Mark]:
    return anchored(place, journal.host, str(journal.folder))


def config(tmp_path: Path, place: AnchorPlace) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[room]\nstate_dir = "{tmp_path}"\n[room.anchor]\nkind = "{place.kind.value}"\nurl = "{place.url}"\n'
    )
    return path


def checked(tmp_path: Path, place: AnchorPlace, *more: str) -> tuple[int, str]:
    done = RUNNER.invoke(
        app, ["--config", str(config(tmp_path, place)), "audit", "verify", *(more or ("--anchor",))]
    )
    return done.exit_code, done.stdout


def rewritten(folder: Path, texts: list[str]) -> None:
    """All of it made anew, without a flaw."""
    shutil.rmtree(folder)
    chain = ChainFile(folder)
    for text in texts:
        chain.append({"v": 1, "kind": "note", "text": text}, is_synced=False)


async def filled(journal: Journal, place: AnchorPlace, outcomes: int = 3) -> None:
    """Runs with their outcomes, each head anchored when it was written."""
    anchorage = Anchorage(journal, lambda: make_anchor(place), SystemClock())
    for number in range(outcomes):
        await journal.record(whole(Kind.INTENT, "begins"), budget=5)
        await journal.record(whole(Kind.OUTCOME, "ends"), budget=5)
        wait_until(lambda: len(held(place, journal)) > number, 20)  # noqa: B023 (called in this turn only)
    anchorage.close()
    assert anchorage.trouble is None


async def test_the_head_is_anchored_after_every_outcome_and_a_whole_journal_agrees_with_it(
    tmp_path: Path, journal: Journal, place: AnchorPlace
) -> None:
    assert checked(tmp_path, place)[0] == ExitCode.UNKNOWN, "an anchor that holds nothing proves nothing"
    await filled(journal, place)
    assert [mark.seq for mark in held(place, journal)] == [6, 4, 2]
    code, text = checked(tmp_path, place)
    assert code == ExitCode.VERIFIED, text
    assert "all 3 anchored heads are in it" in text


async def test_an_end_that_was_cut_off_is_found_also_when_the_journal_went_on(
    tmp_path: Path, journal: Journal, place: AnchorPlace
) -> None:
    await filled(journal, place)
    (path,) = files_of(journal.folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    assert verify(journal.folder).is_whole, "without an anchor nobody can tell"
    code, text = checked(tmp_path, place)
    assert code == ExitCode.CONFLICT
    assert "CUT OFF: it ends at record 3, and record 6 was anchored" in text
    await journal.record(whole(Kind.NOTE, "as if nothing had happened"), budget=5)
    await filled(journal, place, outcomes=4)
    code, text = checked(tmp_path, place)
    assert code == ExitCode.CONFLICT
    assert "REBUILT: record" in text


async def test_a_journal_rebuilt_from_its_first_record_is_found(
    tmp_path: Path, journal: Journal, place: AnchorPlace
) -> None:
    await filled(journal, place)
    rewritten(journal.folder, [f"nothing happened {number}" for number in range(9)])
    assert verify(journal.folder).is_whole
    code, text = checked(tmp_path, place)
    assert code == ExitCode.CONFLICT
    assert "REBUILT" in text


async def test_an_anchor_that_does_not_answer_is_unknown_and_never_whole(
    tmp_path: Path, journal: Journal
) -> None:
    await journal.record(whole(Kind.NOTE, "x"), budget=5)
    nobody = AnchorPlace(AnchorKind.REDIS, f"redis://127.0.0.1:{free_port()}/0", "controlroom:journal")
    code, text = checked(tmp_path, nobody)
    assert code == ExitCode.UNKNOWN
    assert "UNKNOWN: Redis did not tell the heads" in text
    syslog = AnchorPlace(AnchorKind.SYSLOG, "unix:///dev/log", "controlroom")
    assert checked(tmp_path, syslog)[0] == ExitCode.UNKNOWN


async def test_an_anchor_that_is_down_is_trouble_in_words_until_it_takes_the_newest_head(
    journal: Journal, redis_db: RedisServer
) -> None:
    class Flaky:
        is_down = True
        refused = 0

        def put(self, mark: Mark) -> None:
            if self.is_down:
                self.refused = mark.seq
                raise AnchorError("the anchor is away")
            make_anchor(there).put(mark)

    there = AnchorPlace(AnchorKind.REDIS, redis_db.url, "controlroom:journal")
    flaky = Flaky()
    anchorage = Anchorage(journal, lambda: flaky, SystemClock(), every=0.05)
    for _ in range(3):
        await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
    wait_until(lambda: (flaky.refused, anchorage.trouble) == (3, "the anchor is away"), 20)
    flaky.is_down = False
    wait_until(lambda: anchorage.trouble is None, 20)
    assert [mark.seq for mark in held(there, journal)] == [3]
    anchorage.close()


async def test_a_journal_that_lost_what_was_anchored_is_told_and_stays_told(journal: Journal) -> None:
    class Kept:
        marks: list[Mark]

        def put(self, mark: Mark) -> None:
            self.marks.append(mark)

    def told(text: str) -> None:
        wait_until(lambda: text in str(anchorage.cut_off), 20)

    anchor = Kept()
    anchor.marks = []
    anchorage = Anchorage(journal, lambda: anchor, SystemClock(), every=0.02)
    for _ in range(3):
        await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
    wait_until(lambda: [mark.seq for mark in anchor.marks][-1:] == [3], 20)
    assert anchorage.cut_off is None
    (path,) = files_of(journal.folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    told("it ends at record 2, and record 3 ")
    wait_until(lambda: anchor.marks[-1].seq == 2, 20, "the shorter one to be anchored too")
    await journal.record(whole(Kind.OUTCOME, "as if nothing had happened"), budget=5)
    wait_until(lambda: anchor.marks[-1].seq >= 3, 20)
    told("it ends at record 2, and record 3 ")
    journal.folder.rename(journal.folder.with_name("away"))  # At once: it is looked into meanwhile.
    told("it is empty, and record 3 ")
    anchorage.close()


def test_the_heads_of_a_journal_are_found_behind_however_many_of_another(
    place: AnchorPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two operators of a host keep their heads in one place, and one of them may be away for months."""
    monkeypatch.setattr("backends.readers.anchor.MOST", 3)
    anchor = make_anchor(place)
    for journal, numbers in (("/mine", range(1, 6)), ("/theirs", range(1, 12)), ("/mine", range(6, 8))):
        for seq in numbers:
            anchor.put(Mark("ops1", journal, seq, "0" * 64, "2026-11-21T03:04:05.678Z"))
    assert [mark.seq for mark in anchored(place, "ops1", "/mine")] == [7, 6, 5]
    assert [mark.seq for mark in anchored(place, "ops1", "/theirs")] == [11, 10, 9]
    assert anchored(place, "ops1", "/nobodys") == []


async def test_a_record_that_its_disk_may_yet_refuse_is_no_head_to_anchor(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken back and another takes its number: the anchor would call the journal rebuilt for ever."""
    kept: list[Mark] = []
    anchorage = Anchorage(journal, lambda: Keeping(kept), SystemClock(), every=0.02)
    await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
    wait_until(lambda: [mark.seq for mark in kept] == [1], 20)

    def refusing(_file: int) -> None:
        sick.setattr(chain_file, "LOCK_WAIT", 0.02)  # for whoever waits until this one has written
        wait_until(lambda: len(kept) > 1 or anchorage.trouble is not None, 20)
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as sick:
        sick.setattr(chain_file, "_sync", refusing)
        with pytest.raises(OSError, match="input/output"):
            ChainFile(journal.folder).append({"v": 1, "kind": "note"}, is_synced=True)
    await journal.record(whole(Kind.OUTCOME, "in its place"), budget=5)
    wait_until(lambda: kept[-1].seq == 2, 20)
    anchorage.close()
    assert verify(journal.folder, kept).is_whole


class Keeping:
    def __init__(self, kept: list[Mark]) -> None:
        self._kept = kept

    def put(self, mark: Mark) -> None:
        self._kept.append(mark)


async def test_a_journal_of_the_same_length_with_another_end_is_told(journal: Journal) -> None:
    anchorage = Anchorage(journal, Forgetful, SystemClock(), every=0.02)
    await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
    wait_until(lambda: anchorage.settle(0.1) == 1, 20)
    rewritten(journal.folder, ["nothing happened"])
    wait_until(lambda: "it ends at record 1, and record 1 " in str(anchorage.cut_off), 20)
    anchorage.close()


class Forgetful:
    def put(self, mark: Mark) -> None:
        """Nobody asks for it here."""


@pytest.mark.alone
async def test_what_does_not_answer_at_all_holds_up_nobody(journal: Journal) -> None:
    release = threading.Event()

    class Hanging:
        def put(self, mark: Mark) -> None:
            release.wait(30)

    anchorage = Anchorage(journal, Hanging, SystemClock())
    assert await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
    began = time.monotonic()
    assert await journal.record(whole(Kind.OUTCOME, "y"), budget=5)
    anchorage.close(0.1)
    assert time.monotonic() - began < 1.0
    release.set()


async def test_a_syslog_gets_the_head_and_a_head_taken_from_it_is_checked_by_hand(
    tmp_path: Path, journal: Journal
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(5)
        there = AnchorPlace(AnchorKind.SYSLOG, f"unix://{tmp_path}/log", "controlroom")
        anchorage = Anchorage(journal, lambda: make_anchor(there), SystemClock())
        await journal.record(whole(Kind.OUTCOME, "x"), budget=5)
        line = log.recv(2000).decode()
        anchorage.close()
    head = end_of(journal.folder)
    assert line.startswith("<133>controlroom[")
    assert f"journal head {head.seq}:{head.hash} of {journal.folder}" in line
    assert checked(tmp_path, there, "--head", f"{head.seq}:{head.hash}")[0] == ExitCode.VERIFIED
    code, text = checked(tmp_path, there, "--head", f"{head.seq + 5}:{head.hash}")
    assert code == ExitCode.CONFLICT
    assert "CUT OFF" in text
    assert checked(tmp_path, there, "--head", f"{head.seq}:{'0' * 64}")[0] == ExitCode.CONFLICT
