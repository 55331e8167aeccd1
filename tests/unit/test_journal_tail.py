"""The journal's end in memory says what the files say, and reads no line twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.journal import tail
from backends.journal.chain_file import FILE_LIMIT, ChainFile, files_of
from backends.journal.tail import Tail
from backends.journal.unfinished import recent


def write(file: ChainFile, *kinds: str) -> None:
    for kind in kinds:
        file.append({"v": 1, "kind": kind, "stack": "tiny", "text": "x" * 50}, is_synced=False)


def test_it_goes_on_with_what_any_room_adds_and_with_the_next_file(tmp_path: Path) -> None:
    here, there = ChainFile(tmp_path, limit=2000), ChainFile(tmp_path, limit=2000)
    write(here, "intent", "step", "outcome")
    records = Tail(tmp_path, lambda record: record["kind"] != "step")
    assert [each["kind"] for each in records()] == ["intent", "outcome"]
    for number in range(20):
        write(there if number % 2 else here, "intent", "step", "refused")
        assert records() == [each for each in recent(tmp_path) if each["kind"] != "step"]
    assert len(files_of(tmp_path)) > 2


def test_nothing_is_understood_twice_and_half_a_line_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked at every board, between the key of a stop and its effect."""
    file = ChainFile(tmp_path)
    write(file, *["intent"] * 500)
    records = Tail(tmp_path, lambda _: True)
    assert len(records()) == 500
    looked: list[bytes] = []
    real = tail.unseal
    monkeypatch.setattr(tail, "unseal", lambda line, head: looked.append(line) or real(line, head))  # type: ignore[func-returns-value]  # to note it
    for _ in range(10):
        records()
    assert looked == []
    whole = files_of(tmp_path)[0].read_bytes()
    write(file, "outcome")
    added = files_of(tmp_path)[0].read_bytes()[len(whole) :]
    files_of(tmp_path)[0].write_bytes(whole + added[:40])
    assert len(records()) == 500
    files_of(tmp_path)[0].write_bytes(whole + added)
    assert [each["kind"] for each in records()[500:]] == ["outcome"]
    assert len(looked) == 1


def test_a_journal_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path) -> None:
    """Of another account's, or on a disk that fails: else no stop of another room would be known of."""
    (tmp_path / "journal").write_text("a file where the folder should be")
    for read in (Tail(tmp_path / "journal", lambda _: True), lambda: list(recent(tmp_path / "journal"))):
        with pytest.raises(NotADirectoryError):
            read()


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def cut(folder: Path) -> None:
    path = files_of(folder)[0]
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def replaced(folder: Path) -> None:
    """By an older copy that is as long: another file of that name."""
    path = files_of(folder)[0]
    size = path.stat().st_size
    older = ChainFile(folder / "older")
    while not files_of(folder / "older") or files_of(folder / "older")[0].stat().st_size < size:
        write(older, "session")
    files_of(folder / "older")[0].replace(path)


def begun_anew(folder: Path) -> None:
    """At its first file, where it had come to the third."""
    for path in files_of(folder):
        path.unlink()


@pytest.mark.parametrize("lost", [removed, cut, replaced, begun_anew])
def test_a_journal_that_is_lost_or_put_back_from_a_copy_is_followed_on(
    tmp_path: Path, lost: Callable[[Path], None]
) -> None:
    """A room that stays open sees the stops and resumes of others in what takes its place."""
    folder = tmp_path / "journal"
    write(ChainFile(folder, limit=1 if lost is begun_anew else FILE_LIMIT), "intent", "outcome", "note")
    records = Tail(folder, lambda _: True)
    assert len(records()) == 3
    lost(folder)
    for kind in ("intent", "refused", "outcome"):
        write(ChainFile(folder), kind)
        assert records() == list(recent(folder))
        assert records()[-1]["kind"] == kind


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    records = Tail(tmp_path / "journal", lambda _: True)
    assert records() == []
    write(ChainFile(tmp_path / "journal"), "intent")
    assert len(records()) == 1
