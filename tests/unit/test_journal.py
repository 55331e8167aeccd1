"""The journal keeps what it is given: in order, whole, private, and in every later file."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.journal import identity
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.entry import Entry, Kind, Session
from backends.journal.identity import identify
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.verify import read, verify
from backends.model.intent import Identity
from tests.clock import FakeClock
from tests.records import DIGEST, STEP, whole

KIM = Identity("kim", 1000, "ops1", "/dev/pts/3", "192.0.2.7")


def made(folder: Path) -> Journal:
    return Journal(folder, Session(KIM, "0.1.0"), FakeClock(), Redactor())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = made(tmp_path / "journal")
    yield opened
    opened.close()


def entry(text: str = "x", kind: Kind = Kind.NOTE, **more: Any) -> Entry:
    return Entry(kind, text, **more)


async def test_a_record_says_who_where_when_and_what(journal: Journal) -> None:
    known = {"fact": "kill.state", "value": "ACTIVE", "quality": "fresh", "age": 0.2}
    written = await journal.record(
        Entry(
            Kind.INTENT, "kim starts: Halt", stack="tp", environment="DEMO", procedure="halt", risk="stop",
            operation="op-1", via="screen", reason="drill", targets=["redis"], plan=DIGEST,
            seen=7, before=[known],
        ),
        budget=5,
    )  # fmt: skip
    assert written
    (record,) = read(journal.folder)
    assert record["operator"] == {"user": "kim", "uid": 1000}
    assert record["session"] == {"tty": "/dev/pts/3", "remote": "192.0.2.7", "via": "screen"}
    assert record["host"] == "ops1"
    assert record["at"] == FakeClock().now().iso()
    assert record["before"] == [known]
    wanted = {
        "v": 1, "seq": 1, "kind": "intent", "mode": "live", "build": "0.1.0", "mono": 1000.0, "stack": "tp",
        "environment": "DEMO", "procedure": "halt", "class": "stop", "operation": "op-1", "reason": "drill",
        "targets": ["redis"], "plan": DIGEST, "seen": 7, "text": "kim starts: Halt",
    }  # fmt: skip
    assert wanted.items() <= record.items()


async def test_records_stand_in_the_order_they_were_handed_over(journal: Journal) -> None:
    for number in range(50):
        journal.post(whole(Kind.STEP, str(number)))
    assert await journal.record(entry("last"), budget=5)
    assert [record["text"] for record in read(journal.folder)] == [*map(str, range(50)), "last"]
    assert [record["seq"] for record in read(journal.folder)] == list(range(1, 52))


async def test_only_its_owner_may_read_it(journal: Journal) -> None:
    assert await journal.record(entry(), budget=5)
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    for path in journal.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_outside_text_stays_inside_its_record(journal: Journal) -> None:
    text = 'a\n{"kind":"outcome","verdict":"VERIFIED"}\n\x00\ud800'
    assert await journal.record(entry(text, reason="\x1b[2J"), budget=5)
    (path,) = files_of(journal.folder)
    assert path.read_bytes().count(b"\n") == 1
    (record,) = read(journal.folder)
    assert record["kind"] == "note"


async def test_what_json_cannot_hold_is_written_as_text(journal: Journal) -> None:
    after = {"nan": float("nan"), "set": {1}, "text": "y" * 100_000}
    assert await journal.record(whole(Kind.STEP, step={**STEP, "after": after}), budget=5)
    (record,) = read(journal.folder)
    found = record["step"]["after"]
    assert found["nan"] == "nan"
    assert found["set"] == "{1}"
    assert len(found["text"]) < 5000


async def test_a_record_that_cannot_be_written_down_is_counted_and_ends_nothing(journal: Journal) -> None:
    """A number of five thousand digits, as a service may answer."""
    assert not await journal.record(entry(step={"number": 10**5000}), budget=5)
    assert await journal.record(entry("after it"), budget=5)
    (record,) = read(journal.folder)
    assert (record["text"], record["lost_before"]) == ("after it", 1)
    assert verify(journal.folder).is_whole
    assert journal.unwritten == 0


async def test_the_chain_goes_on_in_the_next_session_and_the_next_file(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    for number in range(3):
        journal = made(folder)
        await journal.record(entry(f"session {number}"))
        assert journal.close(30) == 0
    chain = ChainFile(folder, limit=1)
    chain.append({"v": 1, "text": "rolled over"}, is_synced=True)
    chain.append({"v": 1, "text": "and again"}, is_synced=True)
    assert [path.name for path in files_of(folder)] == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
    found = verify(folder)
    assert (found.records, found.damage) == (5, None)
    # A crash right after the next file was made leaves it empty.
    (folder / "000004.jsonl").touch()
    ChainFile(folder).append({"v": 1, "text": "after the crash"}, is_synced=True)
    assert verify(folder).records == 6


async def test_closing_writes_what_is_still_waiting(tmp_path: Path) -> None:
    journal = made(tmp_path / "journal")
    for number in range(200):
        journal.post(whole(Kind.STEP, str(number)))
    assert journal.close(10) == 0
    assert verify(tmp_path / "journal").records == 200
    assert not await journal.record(entry("too late"))


@pytest.mark.alone
async def test_a_slow_disk_costs_the_budget_and_no_more_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    append = ChainFile.append

    def slow(self: ChainFile, body: Any, is_synced: bool) -> None:
        release.wait(10)
        append(self, body, is_synced)

    monkeypatch.setattr(ChainFile, "append", slow)
    journal = made(tmp_path / "journal")
    began = time.monotonic()
    assert not await journal.record(entry("intent"))
    assert time.monotonic() - began < 5.0, "ten seconds is how long the file takes"
    journal.post(entry("step"))
    release.set()
    assert journal.close(10) == 0
    assert [record["text"] for record in read(journal.folder)] == ["intent", "step"]


async def test_a_disk_that_refuses_is_tried_again_and_the_late_record_is_marked(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    folder.write_text("a file where the folder should be")
    journal = made(folder)
    assert not await journal.record(entry("intent"), budget=5)
    assert journal.trouble
    assert journal.unwritten == 1
    folder.unlink()
    assert await journal.record(entry("outcome"), budget=5)
    assert (journal.trouble, journal.unwritten) == (None, 0)
    late, on_time = read(folder)
    assert (late["text"], late["audit_degraded"]) == ("intent", True)
    assert "audit_degraded" not in on_time
    journal.close()


@pytest.mark.parametrize("name", ["000001.jsonl", "lock"])
async def test_a_link_in_the_journals_place_is_not_followed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    target = tmp_path / "elsewhere"
    target.write_bytes(b"")
    (folder / name).symlink_to(target)
    journal = made(folder)
    assert not await journal.record(entry(), budget=5)
    assert target.read_bytes() == b""
    assert journal.close(0.1) == 1


def test_who_is_at_the_keyboard_comes_from_the_system_and_not_from_its_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = identify({})
    for name in ("USER", "LOGNAME", "SUDO_USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert identify({}) == before
    assert identify({"SSH_CONNECTION": "192.0.2.7 51234 198.51.100.1 22"}).remote == "192.0.2.7"
    assert identify({"SSH_CONNECTION": "fe80::1%eth0 51234 ::1 22"}).remote == "fe80::1"
    assert identify({"SSH_CONNECTION": "\x1b]0;x\x07 evil"}).remote is None


def test_every_line_is_one_canonical_record(tmp_path: Path) -> None:
    ChainFile(tmp_path).append({"v": 1, "b": "ü", "a": [1, {"z": None, "y": True}]}, is_synced=False)
    (path,) = files_of(tmp_path)
    line = path.read_text("ascii")
    assert line.endswith("\n")
    assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) + "\n" == line


SHARED = [
    (1000, (), None, {"user": "one", "uid": 1000}),
    (1000, {"one"}, None, {"user": "one", "uid": 1000, "shared": True}),
    (1000, {"two"}, "1000", {"user": "one", "uid": 1000}),
    (0, (), "4294967295", {"user": "root", "uid": 0, "shared": True}),
    (0, (), "1000", {"user": "root", "uid": 0, "shared": True, "login": "one"}),
]


@pytest.mark.parametrize(("uid", "shared", "login", "operator"), SHARED)
async def test_the_record_says_of_an_account_that_several_people_use_it_and_who_logged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    uid: int, shared: set[str], login: str | None, operator: dict[str, Any],
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(identity, "name_of", {0: "root", 1000: "one"}.__getitem__)
    monkeypatch.setattr(identity, "LOGIN", tmp_path / "loginuid")
    if login is not None:
        (tmp_path / "loginuid").write_text(login)
    monkeypatch.setenv("USER", "somebody-else")
    who = identify(shared=shared)
    journal = Journal(tmp_path / "journal", Session(who, "0.1.0"), FakeClock(), Redactor())
    assert await journal.record(entry(), 5)
    journal.close()
    assert [record["operator"] for record in read(tmp_path / "journal")] == [operator]
