"""A journal whose oldest files were retired proves as much as before: whoever changes it is found out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.journal.chain import Head, seal
from backends.journal.chain_file import _repair, end_of, files_of
from backends.journal.entry import Entry, Kind, body
from backends.journal.verify import read, verify
from backends.model.anchor import Mark
from tests.clock import FakeClock
from tests.old_journal import DAY, SESSION, names, retirement, written

WHOLE = "whole: 32 records, 30 before them retired by rule"


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> Path:
    """Sixty-one days, nothing retired."""
    folder = tmp_path_factory.mktemp("before")
    written(folder, 61, clock)
    return folder


@pytest.fixture(scope="module")
def after(before: Path, tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> Path:
    """The same, retired."""
    folder = tmp_path_factory.mktemp("after") / "journal"
    shutil.copytree(before, folder)
    assert len(retirement(folder, clock)().gone) == 10
    return folder


@pytest.fixture
def folder(after: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, to be changed."""
    yield Path(shutil.copytree(after, tmp_path / "journal"))


def test_it_is_whole_begins_later_and_says_so(folder: Path, before: Path, clock: FakeClock) -> None:
    assert str(verify(folder)) == WHOLE
    assert names(folder)[0] == "000011.jsonl"
    assert [record["seq"] for record in read(folder)] == list(range(31, 63))
    *_, said = read(folder)
    assert said["kind"] == "retired"
    assert [file["name"] for file in said["retired"]["files"]] == names(before)[:10]
    later = written(folder, 40, FakeClock(clock.now().mono, clock.now().wall))
    assert len(retirement(folder, later)().gone) >= 10
    found = verify(folder)
    assert found.is_whole
    assert found.head.seq == found.retired + found.records == 103


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_anywhere_is_found(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files_of(folder)))
    whole = path.read_bytes()
    # Half of them in the newest record: the one that says what was retired.
    least = whole.rindex(b"\n", 0, -1) if b'"retired":' in whole and data.draw(st.booleans()) else 0
    place = data.draw(st.integers(least, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(flipped)
    found = verify(folder)
    path.write_bytes(whole)
    assert not found.is_whole


def test_more_missing_than_was_retired_is_found_whichever_files_it_is(folder: Path) -> None:
    for count in range(1, len(files_of(folder))):
        for path in files_of(folder)[:count]:
            path.rename(path.with_suffix(".away"))
        assert not verify(folder).is_whole, count
        for path in folder.glob("*.away"):
            path.rename(path.with_suffix(".jsonl"))
    for path in files_of(folder)[:-1]:
        path.rename(path.with_suffix(".away"))
        assert not verify(folder).is_whole, path.name
        path.with_suffix(".away").rename(path)
    assert str(verify(folder)) == WHOLE


def test_without_the_record_of_the_retirement_what_is_missing_is_damage(folder: Path) -> None:
    path = files_of(folder)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert str(verify(folder)).startswith("DAMAGED: 000011.jsonl line 1: record 1 has number 31")


def test_a_record_that_is_in_no_chain_accounts_for_nothing(folder: Path, clock: FakeClock) -> None:
    """The marker of a cut-off line makes good any line before it, and so one that was put there."""
    *_, said = read(folder)
    kept, head = without_the_last(folder)
    plain = body(Entry(Kind.RETIRED, "forged", retired=said["retired"]), SESSION, clock.now())
    apart = seal(plain, Head(500, "ab" * 32))[0]
    marker = _repair(plain, apart.rstrip(b"\n"), head)[0]
    files_of(folder)[-1].write_bytes(kept + apart.rstrip(b"\n") + marker)
    assert "is missing, and no record of the chain says it was retired" in str(verify(folder))


def test_a_retired_file_that_is_back_unchanged_is_still_to_go_and_changed_it_is_damage(
    folder: Path, before: Path
) -> None:
    shutil.copy(before / "000010.jsonl", folder)
    assert str(verify(folder)) == (
        "whole: 35 records, 27 before them retired by rule, still to be removed: 000010.jsonl"
    )
    whole = (before / "000010.jsonl").read_bytes()
    for changed in (
        b"",
        whole[:-1],
        whole + b"\n",
        whole.replace(b"day 28", b"day 82"),
        whole[: whole.index(b"\n") + 1],
    ):
        (folder / "000010.jsonl").write_bytes(changed)
        assert not verify(folder).is_whole, changed
    (folder / "000010.jsonl").unlink()
    shutil.copy(before / "000009.jsonl", folder)
    assert not verify(folder).is_whole, "one behind it is missing"


def test_heads_anchored_before_and_after_still_show_a_journal_that_was_rebuilt(
    folder: Path, before: Path
) -> None:
    marks = [
        Mark("ops1", "x", record["seq"], record["hash"], record["at"])
        for each in (before, folder)
        for record in read(each)
    ]
    found = verify(folder, marks)
    assert (found.is_whole, found.beyond) == (True, 30)
    assert "REBUILT: record 40" in str(verify(folder, [*marks, Mark("", "", 40, "0" * 64, "then")]))
    assert "REBUILT: record 30" in str(verify(folder, [*marks, Mark("", "", 30, "0" * 64, "then")]))
    assert "UNPROVED: no anchored head is left" in str(verify(folder, marks[:30]))
    assert "CUT OFF" in str(verify(folder, [*marks, Mark("", "", 99, "0" * 64, "then")]))


def without_the_last(folder: Path) -> tuple[bytes, Head]:
    """The newest file without its last record, and where the chain ends then."""
    path = files_of(folder)[-1]
    whole = path.read_bytes()
    kept = b"".join(whole.splitlines(keepends=True)[:-1])
    path.write_bytes(kept)
    head = end_of(folder)
    path.write_bytes(whole)
    return kept, head


def forged(folder: Path, clock: FakeClock, change: Callable[[dict[str, Any]], None]) -> str:
    """What verification says when the record of the retirement is another, sealed without a flaw."""
    *_, said = read(folder)
    change(said["retired"])
    kept, head = without_the_last(folder)
    record = body(Entry(Kind.RETIRED, "forged", retired=said["retired"]), SESSION, clock.now())
    files_of(folder)[-1].write_bytes(kept + seal(record, head)[0])
    return str(verify(folder))


def _set(*where: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        at: Any = said
        for key in where[:-1]:
            at = at[key]
        at[where[-1]] = to

    return change


LIES = {
    "another end": (_set("files", 9, "last", "hash", to="ab" * 32), "has number 31 where 1 is due"),
    "an end further on": (_set("files", 9, "last", "seq", to=31), "has number 31 where 1 is due"),
    "a file less at the end": (lambda said: said["files"].pop(), "has number 31 where 1 is due"),
    "a file less between": (lambda said: said["files"].pop(4), "cannot be those of 000006.jsonl"),
    "a file less at the front": (lambda said: said["files"].pop(0), "cannot be those of 000002.jsonl"),
    "a rule below the least": (_set("days", to=29), "every record is kept for 30"),
    "a file that was not old": (_set("files", 9, "newest", to="2026-11-21T00:00:00.000Z"), "not 30 days old"),
    "a longer rule than its age": (_set("days", to=90), "which was not 90 days old"),
    "the name of a file that is there": (_set("files", 9, "name", to="000011.jsonl"), "is not that file"),
    "nothing": (lambda said: said.clear(), "has number 31 where 1 is due"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_retirement_that_does_not_fit_what_is_missing_is_damage(
    folder: Path, clock: FakeClock, lie: str
) -> None:
    change, words = LIES[lie]
    assert forged(folder, clock, lambda said: None) == WHOLE
    text = forged(folder, clock, change)
    shutil.rmtree(folder)  # Its last record is of no shape that a record has.
    assert text.startswith("DAMAGED")
    assert words in text


def test_a_retirement_that_leaves_a_gap_behind_the_one_before_it_is_damage(
    folder: Path, clock: FakeClock
) -> None:
    later = written(folder, 10, FakeClock(clock.now().mono, clock.now().wall))
    assert len(retirement(folder, later)().gone) > 1
    assert [record["kind"] for record in read(folder)].count("retired") == 2

    def skip(said: dict[str, Any]) -> None:
        said["before"] = said["files"].pop(0)["last"]

    assert forged(folder, later, lambda said: None).startswith("whole")
    assert "do not follow those retired before" in forged(folder, later, skip)


def test_files_that_are_taken_for_old_too_early_are_shown_by_the_heads_anchored_then(
    folder: Path, before: Path, clock: FakeClock
) -> None:
    """A forger who says that records were older than they were: what was anchored before them says when."""
    marks = [Mark("ops1", "x", it["seq"], it["hash"], it["at"]) for it in (*read(before), *read(folder))]
    earlier = FakeClock(0.0, clock.now().wall - 5 * DAY).now().iso()
    assert verify(folder, marks).is_whole
    lied = [Mark(it.host, it.journal, it.seq, it.hash, earlier) if it.seq == 20 else it for it in marks]
    assert "RETIRED TOO EARLY: record 21 was not written" in str(verify(folder, lied))
