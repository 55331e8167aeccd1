"""Files are read bounded, in a thread, and what is half written, malformed or not there is told apart."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Fact, Found, SourceError, Table, ValueType
from backends.model.query import CsvWindow, FileQuery
from backends.model.stack import Source, SourceKind
from backends.readers.files import FilesFactReader
from tests.clock import FakeClock

TEXT, INT, FLOAT, BOOL = ValueType.TEXT, ValueType.INT, ValueType.FLOAT, ValueType.BOOL
COUNT, TABLE, TIME = ValueType.COUNT, ValueType.TABLE, ValueType.TIME
NOW = 1_790_000_000.0


def asked(path: str, what: str, kind: ValueType = TEXT, pick: str | None = None, **more: Any) -> Fact:
    extra = {key: more.pop(key) for key in ("observed", "max_age") if key in more}
    return Fact("f", "F", "g", "files", FileQuery(path, what, **more), kind, pick, **extra)


async def look(folder: Path, fact: Fact, deadline: float = 5.0) -> Any:
    source = Source("files", SourceKind.FILES, "F", f"file://{folder}", every=5.0, deadline=deadline)
    return (await FilesFactReader(source, FakeClock(wall=NOW)).read([fact]))["f"]


async def value(folder: Path, fact: Fact) -> Any:
    found = await look(folder, fact)
    assert isinstance(found, Found), found
    return found.value


async def why(folder: Path, fact: Fact) -> str:
    found = await look(folder, fact)
    assert isinstance(found, Broken), found
    return str(found.why)


def table(found: Table) -> list[dict[str, str]]:
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def put(folder: Path, name: str, text: str, age: float = 10.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (NOW - age, NOW - age))
    return path


async def test_each_kind_of_look_gives_its_value(tmp_path: Path) -> None:
    put(tmp_path, "state", "ACTIVE\n").chmod(0o640)
    put(tmp_path, "r.json", '{"a": {"b": 1e-05}, "free": "1.5E-7"}')
    put(tmp_path, "c.yaml", "exchanges:\n  okx:\n    enabled: no\n    since: 2026-03-01\n")
    put(tmp_path, "c.toml", "[a]\nb = 3\n")
    assert await value(tmp_path, asked("state", "exists", BOOL)) is True
    assert await value(tmp_path, asked("none", "exists", BOOL)) is False
    assert await value(tmp_path, asked("state", "kind")) == "file"
    assert await value(tmp_path, asked(".", "kind")) == "directory"
    assert await value(tmp_path, asked("state", "age", FLOAT)) == 10.0
    assert await value(tmp_path, asked("state", "age", TIME)) == NOW - 10
    assert await value(tmp_path, asked("state", "size", INT)) == 7
    assert await value(tmp_path, asked("state", "mode")) == "0640"
    assert await value(tmp_path, asked("state", "text")) == "ACTIVE"
    assert await value(tmp_path, asked("r.json", "json", FLOAT, "a.b")) == 1e-05
    assert await value(tmp_path, asked("r.json", "json", FLOAT, "free")) == 1.5e-07
    assert await value(tmp_path, asked("c.yaml", "yaml", BOOL, "exchanges.okx.enabled")) is False
    assert await value(tmp_path, asked("c.yaml", "yaml", TEXT, "exchanges.okx.since")) == "2026-03-01"
    assert await value(tmp_path, asked("c.toml", "toml", INT, "a.b")) == 3
    digest = hashlib.sha256(b"ACTIVE\n").hexdigest()
    assert await value(tmp_path, asked("state", "sha256")) == digest


async def test_names_of_an_env_file_are_told_and_its_values_never(tmp_path: Path) -> None:
    put(tmp_path, ".env", "# note\nexport TOKEN='canary-123'\nEMPTY=\n")
    found = await value(tmp_path, asked(".env", "env", TABLE))
    assert table(found) == [{"name": "TOKEN", "state": "set"}, {"name": "EMPTY", "state": "empty"}]
    assert "canary" not in repr(found)


async def test_of_several_files_the_newest_counts(tmp_path: Path) -> None:
    put(tmp_path, "run/a/r.json", json.dumps({"ts": "2026-03-03T00:00:00Z", "n": 3}), age=300)
    put(tmp_path, "run/b/r.json", json.dumps({"ts": "2026-03-01T00:00:00Z", "n": 1}), age=100)
    put(tmp_path, "run/c/r.json", json.dumps({"ts": "2026-03-02T00:00:00Z", "n": 2}), age=200)
    for newest, expected in (("mtime", 1), ("name", 2), ("json:ts", 3)):
        assert await value(tmp_path, asked("run/*/r.json", "json", INT, "n", newest=newest)) == expected
    assert await value(tmp_path, asked("run/*/r.json", "count", COUNT)) == 3
    listed = table(await value(tmp_path, asked("run/*/r.json", "list", TABLE)))
    assert listed[0] == {
        "name": "run/a/r.json", "kind": "file", "size": "38", "age": "300", "changed": str(int(NOW) - 300),
    }  # fmt: skip
    assert await look(tmp_path, asked("run/*/none.json", "json", INT, "n")) == Absent()
    assert await value(tmp_path, asked("run/*/none.json", "count", COUNT)) == 0


async def test_the_newest_is_what_says_so_itself_whatever_its_file_s_time(tmp_path: Path) -> None:
    put(tmp_path, "a/r.md", "# R\n**Timestamp:** 2026-01-17 10:00:00\nold\n", age=1.0)
    put(tmp_path, "b/r.md", "# R\n**Timestamp:** 2026-01-18T09:00:00Z\nnew\n", age=900.0)
    one = asked("*/r.md", "match", pattern="^(old|new)$", newest=r"line:Timestamp\W+(\d[^\n]*)")
    assert await value(tmp_path, one) == "new"
    put(tmp_path, "c/r.md", "# R\nno time at all\n")
    assert "r.md says no " in await why(tmp_path, one)


async def test_each_of_several_files_says_how_many_of_its_lines_match(tmp_path: Path) -> None:
    put(tmp_path, "b/one/VERIFIED", "a: OK\nb: OK\n")
    put(tmp_path, "b/two/VERIFIED", "a: OK\nb: FAILED\n")
    (tmp_path / "b/six/VERIFIED").mkdir(parents=True)
    listed = table(await value(tmp_path, asked("b/*/VERIFIED", "list", TABLE, pattern=": OK$")))
    assert {row["name"]: row["lines"] for row in listed} == {
        "b/one/VERIFIED": "2", "b/six/VERIFIED": "–", "b/two/VERIFIED": "1",
    }  # fmt: skip


async def test_lines_that_match_are_counted_and_the_last_whole_one_is_told(tmp_path: Path) -> None:
    put(tmp_path, "log", "ERROR at 5\nfine\nERROR at 17\nERROR at 1")
    assert await value(tmp_path, asked("log", "match", COUNT, pattern=r"ERROR at (\d+)")) == 3
    assert await value(tmp_path, asked("log", "match", INT, pattern=r"ERROR at (\d+)")) == 17
    assert await value(tmp_path, asked("log", "match", COUNT, pattern="nothing")) == 0
    assert await look(tmp_path, asked("log", "match", TEXT, pattern="nothing")) == Absent()


async def test_wrongs_of_secret_files_are_told_without_their_content(tmp_path: Path) -> None:
    put(tmp_path, "s/good", "canary-1\n").chmod(0o600)
    put(tmp_path, "s/open", "canary-2").chmod(0o644)
    put(tmp_path, "s/blank", " canary-3 \n").chmod(0o600)
    put(tmp_path, "s/empty", "\n").chmod(0o600)
    (tmp_path / "s/dir").mkdir()
    found = await value(tmp_path, asked("s/*", "secrets", TABLE))
    assert {row["file"]: row["problem"] for row in table(found)} == {
        "open": "others may read it (mode 0644), its folder is open",
        "blank": "has white space around the secret", "empty": "is empty", "dir": "is a directory",
    }  # fmt: skip
    assert "canary" not in repr(found)
    assert await look(tmp_path, asked("none/*", "secrets", TABLE)) == Absent()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"canary\n", []),
        (b"canary\r\n", ["has a carriage return (the line end of Windows)"]),
        (b"can\rary", ["has a carriage return (the line end of Windows)"]),
        (b"\xef\xbb\xbfcanary", ["begins with a byte order mark"]),
        ("canary".encode("utf-16"), ["begins with a byte order mark"]),
        *((b"can" + each + b"ary\n", ["has one of / @ : ? # and goes into an address"])
          for each in (b"/", b"@", b":", b"?", b"#")),
    ],
)  # fmt: skip
async def test_what_would_become_part_of_a_password_or_break_its_address_is_told(
    tmp_path: Path, content: bytes, wrong: list[str]
) -> None:
    put(tmp_path, "DB", "").chmod(0o600)
    (tmp_path / "DB").write_bytes(content)
    found = await value(tmp_path, asked("DB", "secrets", TABLE, in_url=("DB",)))
    assert [row["problem"] for row in table(found)] == wrong
    assert "can" not in repr(found).replace("a carriage", "")


@pytest.mark.parametrize(
    ("folder", "mode", "group_reads", "wrong"),
    [
        (0o755, 0o600, False, ""),
        (0o755, 0o640, False, "others may read it (mode 0640), its folder is open"),
        (0o755, 0o640, True, ""),
        (0o755, 0o644, True, "others may read it (mode 0644), its folder is open"),
        (0o750, 0o644, True, "others may read it (mode 0644), its folder is open"),
        (0o700, 0o640, False, ""),
        (0o700, 0o644, False, ""),
        (0o700, 0o620, True, "others may write it (mode 0620)"),
        (0o700, 0o666, True, "others may write it (mode 0666)"),
    ],
)
async def test_a_secret_that_containers_of_another_user_must_read_is_closed_by_its_folder_or_its_group(
    tmp_path: Path, folder: int, mode: int, group_reads: bool, wrong: str
) -> None:
    put(tmp_path, "s/DB", "canary").chmod(mode)
    (tmp_path / "s").chmod(folder)
    found = await value(tmp_path, asked("s/*", "secrets", TABLE, group_reads=group_reads))
    assert "".join(row["problem"] for row in table(found)) == wrong


async def test_only_what_goes_into_an_address_must_fit_into_one(tmp_path: Path) -> None:
    for name in ("DB", "DSN"):
        put(tmp_path, name, "postgresql://u:canary@h/db").chmod(0o600)
    found = await value(tmp_path, asked("D*", "secrets", TABLE, in_url=("DB",)))
    assert [row["file"] for row in table(found)] == ["DB"]


@pytest.mark.parametrize(
    ("name", "content", "fact", "reason"),
    [
        ("f", '{"a": NaN}', asked("f", "json", FLOAT, "a"), "not JSON: holds NaN"),
        ("f", '{"a": 1, "a": 2}', asked("f", "json", INT, "a"), "not JSON: member 'a' is there twice"),
        ("f", '{"a": 1', asked("f", "json", INT, "a"), "not JSON"),
        ("f", "", asked("f", "json", INT, "a"), "is empty"),
        ("f", '{"b": 1}', asked("f", "json", INT, "a"), "no member 'a'"),
        ("f", '{"a": 1}', asked("f", "json", INT, "a", observed="ts", max_age=5.0),
         "its own timestamp 'ts': no member 'ts'"),
        ("f", "a: 1\na: 2\n", asked("f", "yaml", INT, "a"), "a key is there twice: line 2"),
        ("f", "a: [1\n", asked("f", "yaml", INT, "a"), "not YAML: line 2"),
        ("f", "a = \n", asked("f", "toml", INT, "a"), "not TOML"),
        ("f", "what\n", asked("f", "env", TABLE), "holds a line that is no NAME=value"),
        ("f", "x" * 70_000, asked("f", "text"), "is 70,000 bytes, 64 KiB allowed"),
        ("d/f", "", asked("d", "text"), "is a directory, a file expected"),
        ("f", "x", asked("../f", "text"), "'..' in a path is not followed"),
        ("f", "x", asked("*/../../f", "text"), "'..' in a path is not followed"),
    ],
)  # fmt: skip
async def test_what_cannot_be_understood_is_broken_with_the_reason(
    tmp_path: Path, name: str, content: str, fact: Fact, reason: str
) -> None:
    put(tmp_path, name, content)
    assert await why(tmp_path, fact) == reason


async def test_a_file_that_is_gone_is_missing_and_a_folder_that_is_gone_is_a_failed_source(
    tmp_path: Path,
) -> None:
    for what in ("text", "json", "age", "size", "mode", "sha256", "kind"):
        assert await look(tmp_path, asked("none", what)) == Absent()
    with pytest.raises(SourceError, match="there is no folder"):
        await look(tmp_path / "none", asked("f", "exists", BOOL))


async def test_a_pattern_matches_at_any_depth_and_follows_no_link_down(tmp_path: Path) -> None:
    put(tmp_path, "a/x.py", "")
    put(tmp_path, "a/b/.y.py", "")
    put(tmp_path, "z.py", "")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/link").symlink_to(tmp_path / "a/b")
    for pattern, names in (
        ("**/*.py", ["a/b/.y.py", "a/x.py", "z.py"]),
        ("a/**", ["a/b", "a/b/.y.py", "a/b/up", "a/link", "a/x.py"]),
        ("*/link/*.py", ["a/link/.y.py"]),
        ("*/x.py", ["a/x.py"]),
        ("[!a].p?", ["z.py"]),
        ("none/*/x.py", []),
    ):
        rows = table(await value(tmp_path, asked(pattern, "list", TABLE)))
        assert [row["name"] for row in rows] == names, pattern


async def test_json_written_in_place_is_read_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "r.json", '{"state": "ACT')
    monkeypatch.setattr(time, "sleep", lambda _: path.write_text('{"state": "ACTIVE"}'))
    assert await value(tmp_path, asked("r.json", "json", TEXT, "state")) == "ACTIVE"


async def test_a_broken_file_that_several_facts_are_about_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "r.json", '{"state": "ACT')
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    facts = [replace(asked("r.json", "json", TEXT, pick), id=pick) for pick in ("state", "since", "by")]
    source = Source("files", SourceKind.FILES, "F", f"file://{tmp_path}", every=5.0, deadline=5.0)
    found = await FilesFactReader(source, FakeClock(wall=NOW)).read(facts)
    assert [str(each.why) for each in found.values() if isinstance(each, Broken)] == ["not JSON"] * 3
    assert len(waited) == 1


async def test_a_pipe_does_not_hang_it_and_a_disk_that_does_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert await why(tmp_path, asked("pipe", "text")) == "is no ordinary file"
    hanging, begun = threading.Event(), []

    def hang(_place: Any) -> bytes:
        begun.append(1)
        hanging.wait(10.0)
        return b"x"

    monkeypatch.setitem(__import__("backends.readers.files", fromlist=["PARSED"]).PARSED, "text", hang)
    put(tmp_path, "f", "x")
    source = Source("files", SourceKind.FILES, "F", f"file://{tmp_path}", every=5.0, deadline=0.2)
    reader = FilesFactReader(source, FakeClock(wall=NOW))
    with pytest.raises(SourceError, match=r"no answer within 0\.18 s"):
        await reader.read([asked("f", "text")])
    with pytest.raises(SourceError, match="has not answered the last look yet"):
        await reader.read([asked("f", "text")])
    hanging.set()
    assert len(begun) == 1


ROWS = [
    ("2026-09-21T13:00:00+00:00", "running", "1.5"),
    ("2026-09-21T13:30:00+00:00", "halted", "1e-3"),
    ("2026-09-21T14:00:00+00:00", "running", "4"),
    ("2026-09-21T14:10:00+00:00", "running", "2"),
]
"""NOW is 14:13:20 of the same day."""


def csv_fact(kind: ValueType = FLOAT, column: str = "pnl", agg: str = "last", **more: Any) -> Fact:
    extra = {key: more.pop(key) for key in ("observed", "max_age") if key in more}
    return asked("t.csv", "csv", kind, csv=CsvWindow(column, agg, **more), **extra)


def put_csv(
    folder: Path, rows: list[tuple[str, ...]] = ROWS, end: str = "", head: str = "ts,state,pnl"
) -> None:
    put(folder, "t.csv", "\n".join([head, *(",".join(row) for row in rows)]) + "\n" + end)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (csv_fact(), 2.0),
        (csv_fact(TEXT, "state"), "running"),
        (csv_fact(agg="min"), 0.001),
        (csv_fact(agg="max", hours=1), 4.0),
        (csv_fact(agg="mean", where={"state": "running"}), 2.5),
        (csv_fact(INT, agg="count", where={"pnl": ">=1.5"}), 3),
        (csv_fact(INT, agg="count", where={"state": "^run|hal"}, hours=0.5), 2),
        (csv_fact(agg="share", where={"state": "running"}), 0.75),
        (csv_fact(column="state", agg="flips", hours=2), 1.0),
        (csv_fact(agg="span"), 70 / 60),
        (csv_fact(agg="gap"), 1800.0),
    ],
    ids=lambda part: "" if not isinstance(part, Fact) else str(part.query.csv),  # type: ignore[union-attr]  # all of these ask a file
)
async def test_a_csv_says_one_number_by_the_name_of_its_column(
    tmp_path: Path, fact: Fact, expected: Any
) -> None:
    put_csv(tmp_path)
    assert await value(tmp_path, fact) == pytest.approx(expected)


async def test_a_row_cut_in_the_middle_is_not_read(tmp_path: Path) -> None:
    put_csv(tmp_path, end="2026-09-21T14:11:00+00:00,halted,7")
    assert await value(tmp_path, csv_fact()) == 2.0
    put_csv(tmp_path, end="2026-09-21T14:11:00+00:00,halted,7\n")
    assert await value(tmp_path, csv_fact()) == 7.0


async def test_columns_may_change_places_and_the_newest_row_gives_the_age(tmp_path: Path) -> None:
    put_csv(tmp_path, [(pnl, ts, state) for ts, state, pnl in ROWS], head="pnl,ts,state")
    found = await look(tmp_path, csv_fact(observed="ts", max_age=60.0))
    assert found == Found(2.0, NOW - 200)


@pytest.mark.parametrize(
    ("rows", "fact", "reason"),
    [
        (ROWS, csv_fact(column="profit"), "no column 'profit'"),
        (ROWS, csv_fact(agg="span", time="at"), "no column 'at'"),
        ([*ROWS, ("2026-09-21T14:11:00+00:00", "halted", "nan")], csv_fact(agg="mean"),
         "is 'nan', a number expected"),
        ([*ROWS, ("yesterday", "halted", "1")], csv_fact(), "is 'yesterday', a time expected"),
        ([*ROWS, ("2026-09-21T14:11:00+00:00", "halted")], csv_fact(), "a row has 2 fields, 3 expected"),
    ],
)  # fmt: skip
async def test_a_csv_that_cannot_be_understood_gives_no_number(
    tmp_path: Path, rows: list[tuple[str, ...]], fact: Fact, reason: str
) -> None:
    put_csv(tmp_path, rows)
    assert await why(tmp_path, fact) == reason


async def test_a_csv_without_rows_says_nothing(tmp_path: Path) -> None:
    put_csv(tmp_path, [])
    for agg in ("last", "mean", "share", "flips", "gap"):
        assert await look(tmp_path, csv_fact(agg=agg)) == Absent()
    assert await value(tmp_path, csv_fact(INT, agg="count")) == 0


async def test_only_the_end_of_a_long_csv_is_read_and_must_reach_far_enough_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_csv(tmp_path)
    monkeypatch.setattr("backends.readers.csv_window.CSV_LIMIT", 90)
    assert await value(tmp_path, csv_fact()) == 2.0
    assert "do not reach 2 h back" in await why(tmp_path, csv_fact(agg="max", hours=2))
    assert "how far to look back" in await why(tmp_path, csv_fact(agg="max"))
