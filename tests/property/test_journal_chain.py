"""Whoever changes the journal is found out, at the very line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.journal.chain import START, Head, seal
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.verify import read, verify

TEXTS = ("kim starts: Halt trading", 'größer \\ "verdict":"VERIFIED"', "\u2028", "", "x" * 200)


def body(number: int) -> dict[str, Any]:
    return {"v": 1, "kind": "note", "text": TEXTS[number % len(TEXTS)], "n": number, "f": number / 7}


def lines(count: int) -> list[bytes]:
    made, head = [], START
    for number in range(count):
        line, head = seal(body(number), head)
        made.append(line)
    return made


def checked(data: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "000001.jsonl"
        path.write_bytes(data)
        return verify(path)


def test_an_unchanged_journal_is_whole() -> None:
    found = checked(b"".join(lines(12)))
    assert (found.records, found.repairs, found.damage) == (12, 0, None)
    assert verify(Path("/nonexistent")).is_whole


def test_every_flipped_byte_is_found_at_its_line() -> None:
    made = lines(6)
    data = b"".join(made)
    for place in range(len(data)):
        for mask in (0x01, 0x20, 0x80, data[place] or 1):
            flipped = bytearray(data)
            flipped[place] ^= mask
            found = checked(bytes(flipped))
            line = data[:place].count(b"\n") + 1
            assert found.damage is not None, (place, mask)
            assert found.damage.record == line, (place, mask)
            assert found.records == line - 1


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_line_that_was_dropped_swapped_inserted_or_doubled_is_found(data: st.DataObject) -> None:
    made = lines(10)
    first = data.draw(st.integers(0, 8))
    other = data.draw(st.integers(first + 1, 9))
    how = data.draw(st.sampled_from(["drop", "swap", "double", "insert", "replace"]))
    changed = list(made)
    if how == "drop":
        del changed[first]
    elif how == "swap":
        changed[first], changed[other] = changed[other], changed[first]
    elif how == "double":
        changed.insert(other, made[first])
    else:
        # A forger who knows the format and the hash of the record before, but leaves the rest as it was.
        before = json.loads(made[first - 1]) if first else {"seq": 0, "hash": START.hash}
        forged, _ = seal({"v": 1, "kind": "note", "text": "forged"}, Head(before["seq"], before["hash"]))
        changed[first : first + (how == "replace")] = [forged]
    found = checked(b"".join(changed))
    assert found.damage is not None
    place = {"double": other, "insert": first + 1, "replace": first + 1}.get(how, first)
    assert found.damage.line == place + 1


def test_a_record_that_skips_a_number_is_found() -> None:
    made = lines(3)
    forged, _ = seal(body(9), Head(7, json.loads(made[2])["hash"]))
    found = checked(b"".join([*made, forged]))
    assert found.damage is not None
    assert (found.records, found.damage.record) == (3, 4)


@pytest.mark.parametrize("tail", [b"", b"\n"], ids=["cut", "cut and ended"])
def test_a_last_record_cut_at_any_byte_is_damage_until_the_next_write_marks_it(tail: bytes) -> None:
    made = lines(3)
    whole, last = b"".join(made[:2]), made[2]
    for length in range(1, len(last)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = folder / "000001.jsonl"
            path.write_bytes(whole + last[:length] + tail)
            is_complete = length == len(last) - 1 and tail == b"\n"
            assert verify(folder).is_whole is is_complete
            ChainFile(folder).append(body(99), is_synced=False)
            found = verify(folder)
            texts = [record["kind"] for record in read(folder)]
            if tail:
                # A whole line that is no record was not cut by a crash: no marker makes it good.
                assert found.is_whole is is_complete
                continue
            assert found.is_whole
            assert "repair" in texts
            assert path.read_bytes().startswith(whole + last[:length] + b"\n")
            assert list(read(folder))[-1]["n"] == 99


def test_a_repair_marker_covers_only_the_very_bytes_it_names(tmp_path: Path) -> None:
    made = lines(3)
    path = tmp_path / "000001.jsonl"
    path.write_bytes(b"".join(made[:2]) + made[2][:50])
    ChainFile(tmp_path).append(body(99), is_synced=False)
    data = path.read_bytes()
    assert verify(tmp_path).repairs == 1
    start = len(made[0]) + len(made[1])
    for place in range(start, start + 50):
        flipped = bytearray(data)
        flipped[place] ^= 1
        path.write_bytes(bytes(flipped))
        assert not verify(tmp_path).is_whole


@given(st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=4), max_size=6))
@settings(max_examples=60, deadline=None)
def test_whatever_is_recorded_is_read_back_as_it_was(bodies: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        chain = ChainFile(Path(name))
        for each in bodies:
            chain.append({"v": 1, "body": each}, is_synced=False)
        assert [record["body"] for record in read(Path(name))] == bodies
        assert verify(Path(name)).records == len(bodies)
        assert len(files_of(Path(name))) == bool(bodies)
