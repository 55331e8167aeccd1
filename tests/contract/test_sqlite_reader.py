"""A SQLite file, read and never written."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import SqlQuery
from backends.model.stack import Source, SourceKind
from backends.readers.sqlite import SqliteFactReader

INT, TEXT, COUNT, TIME = ValueType.INT, ValueType.TEXT, ValueType.COUNT, ValueType.TIME
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) AS i FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file whose name needs quoting in an address."""
    path = tmp_path / "history of #1?.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE capital_approvals (timestamp TEXT, approved_fraction REAL)")
        made.executemany(
            "INSERT INTO capital_approvals VALUES (?, ?)", [("2026-01-12T09:15:02", 0.3), ("x", 0.5)]
        )
    made.close()
    return path


async def read(path: Path, sql: str, kind: ValueType, deadline: float = 10.0) -> Finding:
    source = Source("db", SourceKind.SQLITE, "History", "", 1.0, deadline)
    reader = SqliteFactReader(source)
    reader._path = path
    return (await reader.read([Fact("f", "F", "g", "db", SqlQuery(sql), kind)]))["f"]


@pytest.mark.parametrize(
    ("sql", "kind", "expected"),
    [
        ("SELECT count(*) AS count FROM capital_approvals", COUNT, 2),
        ("SELECT count(*) FROM capital_approvals", COUNT, 2),
        ("SELECT approved_fraction FROM capital_approvals", COUNT, 2),
        ("SELECT timestamp FROM capital_approvals LIMIT 1", TIME, 1768209302.0),
    ],
)
async def test_rows_are_read(path: Path, sql: str, kind: ValueType, expected: object) -> None:
    found = await read(path, sql, kind)
    assert isinstance(found, Found), found
    assert found.value == expected


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT x FROM nowhere", "no such table"),
        ("DELETE FROM capital_approvals", "would write"),
        (ENDLESS, "no answer within"),
    ],
)
async def test_a_query_that_has_no_answer_says_why(path: Path, sql: str, why: str) -> None:
    found = await read(path, sql, INT, deadline=2.0 if sql == ENDLESS else 10.0)
    assert isinstance(found, Broken)
    assert why in found.why
    assert (await read(path, "SELECT count(*) AS count FROM capital_approvals", COUNT)) == Found(2)


async def test_no_file_is_made_where_there_is_none_and_another_kind_of_file_is_none(tmp_path: Path) -> None:
    assert await read(tmp_path / "gone.db", "SELECT 1", INT) == Absent()
    assert not (tmp_path / "gone.db").exists()
    (tmp_path / "text.db").write_text("not a database " * 100)
    with pytest.raises(SourceError, match="no SQLite database"):
        await read(tmp_path / "text.db", "SELECT 1", INT)


async def test_a_disk_that_hangs_is_waited_for_by_one_thread(tmp_path: Path) -> None:
    pipe = tmp_path / "some.db"
    os.mkfifo(pipe)
    reader = SqliteFactReader(Source("db", SourceKind.SQLITE, "History", f"sqlite://{pipe}", 1.0, 0.1))
    fact = Fact("f", "F", "g", "db", SqlQuery("SELECT 1"), INT)
    for words in ("did not answer within", "has not answered for"):
        with pytest.raises(SourceError, match=words):
            await reader.read([fact])
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
