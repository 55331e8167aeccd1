"""Of logs that are begun anew each day the newest line that counts stands until another one does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, ValueType
from backends.model.query import FileQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers import file_log
from backends.readers.files import FilesFactReader

LIVE, PAPER = Found(SafeText("LIVE MODE")), Found(SafeText("mode=PAPER"))
UNKNOWN = Broken(SafeText("not known yet: logs_a.log is looked through from its end"))
MODE = "(mode=PAPER|LIVE MODE)"
QUERY = FileQuery("logs_*.log*", "match", newest="match", pattern=MODE)
ASKED = Fact("mode", "Mode", "g", "files", QUERY, ValueType.TEXT)


def reader(folder: Path) -> FilesFactReader:
    return FilesFactReader(
        Source("files", SourceKind.FILES, "F", f"file://{folder}", every=1.0, deadline=10.0)
    )


async def told(by: FilesFactReader) -> Finding:
    return (await by.read([ASKED]))["mode"]


async def looks(by: FilesFactReader) -> list[Finding]:
    """One after the other until something is known."""
    found = [await told(by)]
    while found[-1] == UNKNOWN and len(found) < 9:
        found.append(await told(by))
    return found


def write(path: Path, text: str, at: float) -> None:
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (at, at))


async def test_what_was_said_at_the_start_is_known_after_the_log_was_begun_anew(tmp_path: Path) -> None:
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "EPP STARTUP LIVE MODE\ntick\n", 100.0)
    assert await told(bots) == LIVE
    for day in range(3):
        log.rename(tmp_path / f"logs_a.log.2026-02-2{day}")
        write(log, "tick\n", 200.0 + day)
        assert await told(bots) == await told(reader(tmp_path)) == LIVE
    write(log, "EPP STARTUP mode=PAPER\n", 300.0)
    assert await told(bots) == await told(reader(tmp_path)) == PAPER


async def test_a_line_stands_however_much_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_log, "REACH", 1000)
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "LIVE MODE\n", 100.0)
    assert await told(bots) == LIVE
    for _ in range(40):
        write(log, "tick tick tick\n" * 5, 100.0)
        assert await told(bots) == LIVE
    for_others = await looks(reader(tmp_path))
    assert for_others == [UNKNOWN, UNKNOWN, LIVE], "who comes later looks back a piece at a time"
    write(log, "tick tick tick\n" * 90, 100.0)
    assert await looks(bots) == [UNKNOWN, UNKNOWN, UNKNOWN, LIVE], "it may have said something else unseen"


@pytest.mark.parametrize("begin", ["", "LIVE MODE\n"])
@pytest.mark.parametrize("width", [1, 2, 3, 6, 2500])
async def test_an_older_log_has_no_word_until_all_of_a_newer_one_was_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str, width: int
) -> None:
    monkeypatch.setattr(file_log, "REACH", 1000)
    write(tmp_path / "logs_a.log.2026-02-20", "mode=PAPER\n", 100.0)
    log, early = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "tick\n", 200.0)
    assert await told(early) == PAPER
    write(log, "tick\n" * 250 + begin + ("t" * width + "\n") * (3000 // (width + 1)), 200.0)
    for each in early, reader(tmp_path):
        *before, last = await looks(each)
        assert last == (LIVE if begin else PAPER) and before and set(before) == {UNKNOWN}
    write(log, "LIVE MODE\n", 200.0)
    assert await told(early) == LIVE


async def test_a_line_that_is_being_written_counts_when_it_is_whole(tmp_path: Path) -> None:
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "mode=PAPER\nLIVE MO", 100.0)
    assert await told(bots) == PAPER
    write(log, "DE\n", 100.0)
    assert await told(bots) == LIVE


async def test_a_log_that_was_cut_back_is_read_from_its_beginning(tmp_path: Path) -> None:
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "mode=PAPER\n" + "tick\n" * 9, 100.0)
    assert await told(bots) == PAPER
    log.write_text("LIVE MODE\n")
    assert await told(bots) == LIVE


async def test_a_log_in_the_place_of_one_that_was_deleted_is_read_from_its_beginning(tmp_path: Path) -> None:
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "20 mode=PAPER\n", 100.0)
    assert await told(bots) == PAPER
    log.write_text("21 LIVE MODE\n" + "tick\n" * 9)  # a disk that gives the freed place away again does this
    assert await told(bots) == LIVE


async def test_what_a_log_said_that_is_not_there_any_more_is_forgotten(tmp_path: Path) -> None:
    log, bots = tmp_path / "logs_a.log", reader(tmp_path)
    write(log, "mode=PAPER\n", 100.0)
    assert await told(bots) == PAPER
    away = log.rename(tmp_path / "away")
    assert await told(bots) == Absent()
    away.write_text("mode=paper\ntick\n")
    away.rename(log)
    assert await told(bots) == Absent()


async def test_where_no_log_says_it_there_is_nothing(tmp_path: Path) -> None:
    assert await told(reader(tmp_path)) == Absent()
    write(tmp_path / "logs_a.log", "tick\n", 100.0)
    assert await told(reader(tmp_path)) == Absent()
