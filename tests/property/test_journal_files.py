"""Over many files the chain is one, and heads kept elsewhere show what the chain alone cannot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.journal.chain_file import ChainFile, end_of, files_of, lasting_end_of
from backends.journal.entry import Entry, Kind, Session, body, capped
from backends.journal.verify import read, verify
from backends.model.anchor import Mark
from backends.model.clock import Instant
from backends.model.intent import Identity

SESSION = Session(Identity("kim", 1000, "ops1"), "0.1.0", boot="b", pid=7)
TEXT = st.text(max_size=60)
ENTRIES = st.lists(
    st.builds(
        Entry, st.sampled_from(sorted(set(Kind) - {Kind.RETIRED}, key=str)), TEXT, reason=TEXT,
        operation=st.sampled_from(["", "op-1"]),
        targets=st.lists(TEXT, max_size=2), duration=st.none() | st.floats(0, 1e6),
        step=st.none() | st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=2),
    ),
    min_size=1, max_size=3,
)  # fmt: skip


def fill(folder: Path, entries: list[Entry], limit: int = 1 << 20) -> list[Mark]:
    """Every head as it was when it was written."""
    chain, marks = ChainFile(folder, limit), []
    for number, entry in enumerate(entries):
        record = capped(body(entry, SESSION, Instant(number, 1_790_000_000.0 + number)))
        chain.append(record, is_synced=False)
        head = end_of(folder)
        marks.append(Mark("ops1", str(folder), head.seq, head.hash, record["at"]))
    return marks


def notes(count: int) -> list[Entry]:
    return [Entry(Kind.NOTE, f"note {number}", operation="op") for number in range(count)]


@given(entries=ENTRIES, bit=st.integers(0, 7))
@settings(max_examples=12, deadline=None)
def test_in_any_journal_every_flipped_byte_is_found_at_its_record(entries: list[Entry], bit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, entries)
        (path,) = files_of(folder)
        data = path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for place in range(len(data)):
                os.pwrite(file.fileno(), bytes([data[place] ^ (1 << bit)]), place)
                found = verify(folder)
                os.pwrite(file.fileno(), data[place : place + 1], place)
                assert found.damage is not None, place
                assert found.damage.record == data[:place].count(b"\n") + 1
        assert verify(folder).is_whole


def test_an_unchanged_journal_holds_every_head_it_ever_had(tmp_path: Path) -> None:
    marks = fill(tmp_path, notes(30), limit=2_000)
    assert len(files_of(tmp_path)) > 3
    found = verify(tmp_path, marks)
    assert (found.is_whole, found.records, found.astray) == (True, 30, None)


def test_a_file_that_is_missing_swapped_emptied_or_put_in_again_breaks_the_chain(tmp_path: Path) -> None:
    fill(tmp_path, notes(30), limit=2_000)
    files = files_of(tmp_path)
    whole = {path: path.read_bytes() for path in files}
    for first, path in enumerate(files[:-1]):
        path.unlink()
        assert verify(tmp_path).damage is not None, f"{path.name} missing"
        path.write_bytes(b"")
        assert verify(tmp_path).damage is not None, f"{path.name} emptied"
        other = files[first + 1]
        path.write_bytes(whole[other])
        other.write_bytes(whole[path])
        assert verify(tmp_path).damage is not None, f"{path.name} and {other.name} swapped"
        path.write_bytes(whole[path])
        other.write_bytes(whole[path] + whole[other])
        assert verify(tmp_path).damage is not None, f"{path.name} put in again"
        other.write_bytes(whole[other])
    assert verify(tmp_path).is_whole


def test_damage_is_named_by_file_and_by_line_within_it(tmp_path: Path) -> None:
    fill(tmp_path, notes(30), limit=2_000)
    path = files_of(tmp_path)[2]
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, second.replace(b"note", b"nota"), *rest]))
    found = verify(tmp_path)
    number = sum(len(each.read_bytes().splitlines()) for each in files_of(tmp_path)[:2]) + 2
    assert str(found.damage) == f"000003.jsonl line 2: record {number} was changed"
    assert found.records == number - 1


def test_wherever_the_end_is_cut_off_an_anchored_head_shows_it(tmp_path: Path) -> None:
    marks = fill(tmp_path, notes(12), limit=2_000)
    for last in range(11, -1, -1):
        path = [each for each in files_of(tmp_path) if each.stat().st_size][-1]
        lines = path.read_bytes().splitlines(keepends=True)[:-1]
        path.write_bytes(b"".join(lines))
        if not lines:
            path.unlink()
        assert verify(tmp_path).is_whole, "the chain alone cannot show it"
        found = verify(tmp_path, marks)
        assert found.astray is not None
        assert found.astray.mark == marks[-1]
        assert str(found).startswith(f"CUT OFF: it ends at record {last}, and record 12 was anchored")
        assert verify(tmp_path, marks[:last]).is_whole


@given(count=st.integers(1, 8), at=st.integers(0, 7), kept=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_a_journal_rebuilt_from_any_record_on_does_not_hold_the_head_anchored_there(
    count: int, at: int, kept: int
) -> None:
    at, kept = at % count, kept % count
    with tempfile.TemporaryDirectory() as old, tempfile.TemporaryDirectory() as new:
        marks = fill(Path(old), notes(count))
        fill(Path(new), [*notes(count)[:at], *[Entry(Kind.NOTE, "forged") for _ in range(count - at)]])
        assert verify(Path(new)).is_whole
        assert verify(Path(new), [marks[kept]]).is_whole is (kept < at)


def test_a_last_record_cut_at_any_byte_is_marked_also_where_the_next_file_is_due(tmp_path: Path) -> None:
    fill(tmp_path, notes(3), limit=1)
    path = files_of(tmp_path)[-1]
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        for later in files_of(tmp_path)[3:]:
            later.unlink()
        path.write_bytes(whole[:length])
        assert not verify(tmp_path).is_whole
        ChainFile(tmp_path, limit=1).append({"v": 1, "kind": "note"}, is_synced=False)
        found = verify(tmp_path)
        assert (found.is_whole, [each["kind"] for each in read(tmp_path)][-2:]) == (True, ["repair", "note"])
        assert path.read_bytes().startswith(whole[:length])


def test_an_end_that_lasts_is_on_the_disk_with_the_file_before_it_and_where_both_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that was anchored must not be lost in a power cut right after a file was begun."""
    marks = fill(tmp_path, notes(3), limit=1)
    written, real = set[int](), os.fsync

    def seen(file: int) -> None:
        written.add(os.fstat(file).st_ino)
        real(file)

    monkeypatch.setattr(os, "fsync", seen)
    assert lasting_end_of(tmp_path).hash == marks[-1].hash
    assert {each.stat().st_ino for each in (tmp_path, *files_of(tmp_path)[-2:])} <= written
