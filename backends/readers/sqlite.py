"""Reads facts from one SQLite file: opened read-only, each query bounded in time and rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, urlsplit

from backends.model.fact import Fact, Finding, SourceError
from backends.model.query import SqlQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError
from backends.readers.extract import Rows, broken, extract
from backends.readers.failure import silence
from backends.readers.lane import Lane

_SHARE: Final = 0.9
_STEPS: Final = 2000
"""Instructions of SQLite's machine between two looks at the clock."""
_CELL: Final = 64 * 1024

Answers = dict[SqlQuery, Any]
"""Rows, None without a file, or the MisfitError that says why there are none."""


class SqliteFactReader:
    """A FactReader that opens the file anew for every poll, so that one put in its place is seen. A disk that
    hangs is waited for by one thread, not by one more a poll."""

    def __init__(self, source: Source) -> None:
        self._path = Path(urlsplit(source.url).path)
        self._deadline = source.deadline
        self._seconds = source.deadline * _SHARE
        self._lane = Lane(source.title)

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. No file: all are missing. Raises SourceError when it is no database, or
        cannot be opened."""
        asked = list(dict.fromkeys(fact.query for fact in facts if isinstance(fact.query, SqlQuery)))
        answers = await self._lane.call(lambda: self._ask(asked), self._deadline)
        return {fact.id: _finding(fact, answers) for fact in facts}

    async def close(self) -> None:
        """Nothing is kept open."""

    def _ask(self, queries: Sequence[SqlQuery]) -> Answers:
        if not self._path.exists():
            return dict.fromkeys(queries)
        ends = monotonic() + self._seconds
        try:
            # The form with mode=ro neither makes the file nor writes to it.
            address = f"file:{quote(str(self._path))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=self._seconds / 2)) as connection:
                connection.set_progress_handler(lambda: int(monotonic() > ends), _STEPS)
                connection.execute("PRAGMA query_only = ON")
                connection.execute("SELECT count(*) FROM sqlite_schema")
                return {query: self._rows(connection, query) for query in queries}
        except sqlite3.Error as error:
            raise SourceError(self._reason(error)) from None

    def _rows(self, connection: sqlite3.Connection, query: SqlQuery) -> Rows | MisfitError:
        try:
            cursor = connection.execute(query.text)
            fetched = cursor.fetchmany(query.limit + 1)
        except sqlite3.Error as error:
            return MisfitError(self._reason(error))
        names = [column[0] for column in cursor.description or ()]
        try:
            rows = [dict(zip(names, map(_cell, row), strict=True)) for row in fetched[: query.limit]]
        except MisfitError as misfit:
            return misfit
        return Rows(rows, len(fetched))

    def _reason(self, error: sqlite3.Error) -> str:
        said = str(error)
        if "interrupted" in said:
            return silence(self._seconds)
        if "locked" in said:
            return "somebody has locked it for writing"
        if "not a database" in said or "malformed" in said:
            return "it is no SQLite database, or a damaged one"
        if "readonly" in said:
            return "would write: refused, this session only reads"
        return f"query failed: {said[:120]}"


def _cell(raw: Any) -> Any:
    """SQLite has no types of its own: text stays what it spells, as from any source without types. Raises
    MisfitError for one too long: the beginning of a number is another number."""
    if isinstance(raw, (str, bytes)) and len(raw) > _CELL:
        raise MisfitError(f"a value is more than {_CELL // 1024} KiB")
    return raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw


def _finding(fact: Fact, answers: Answers) -> Finding:
    if not isinstance(fact.query, SqlQuery):
        return broken("asks SQLite something that is no query")
    answer = answers[fact.query]
    return broken(str(answer)) if isinstance(answer, MisfitError) else extract(fact, answer)
