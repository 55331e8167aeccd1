"""Reads facts from files below one folder: in a thread, bounded, and never anything but reading."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Absent, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import CsvWindow, FileQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError, NothingError
from backends.readers.csv_window import Sheet, window
from backends.readers.extract import Rows, broken, extract
from backends.readers.failure import silence
from backends.readers.file_content import PARSED, last_match, matching, members, wrongs
from backends.readers.file_env import public_in
from backends.readers.file_log import Logs
from backends.readers.file_newest import newest
from backends.readers.file_place import Place, places

_SHARE = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""


class FilesFactReader:
    """A FactReader of one folder. A disk that hangs is waited for by one thread, not by one more a poll."""

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self._base = Path(unquote(urlsplit(source.url).path))
        self._clock = clock or SystemClock()
        self._seconds = source.deadline * _SHARE
        self._reading: asyncio.Future[dict[str, Finding]] | None = None
        self._logs = Logs()

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when the folder is not there or the disk hangs."""
        if self._reading is not None and not self._reading.done():
            raise SourceError("the disk has not answered the last look yet")
        look = _Look(self._base, self._clock.now().wall, self._logs)
        self._reading = asyncio.get_running_loop().run_in_executor(None, look.at, facts)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(self._reading)
        except TimeoutError:
            raise SourceError(silence(self._seconds)) from None

    async def close(self) -> None:
        """Nothing is kept open."""


class _Look:
    """One look at the folder; a file that several facts are about is found and understood once."""

    def __init__(self, base: Path, now: float, logs: Logs) -> None:
        self._base = base
        self._now = now
        self._logs = logs
        self._found: dict[str, list[Place]] = {}
        self._understood: dict[tuple[str, Path], Any] = {}
        self._sheets: dict[Path, Sheet] = {}

    def at(self, facts: Sequence[Fact]) -> dict[str, Finding]:
        try:
            is_there = self._base.is_dir()
        except OSError as error:
            raise SourceError(f"the folder {self._base} cannot be looked at: {error.strerror}") from None
        if not is_there:
            raise SourceError(f"there is no folder {self._base}")
        return {fact.id: self._finding(fact) for fact in facts}

    def _finding(self, fact: Fact) -> Finding:
        if not isinstance(fact.query, FileQuery):
            return broken("asks files something that is no file read")
        try:
            if fact.query.csv is not None:
                return self._windowed(fact, fact.query, fact.query.csv)
            return extract(fact, self._raw(fact, fact.query))
        except NothingError:
            return Absent()
        except MisfitError as misfit:
            return broken(str(misfit))
        except OSError as error:
            return broken(f"cannot be read: {error.strerror}")

    def _raw(self, fact: Fact, query: FileQuery) -> Any:
        found = self._places(query.path)
        if query.what == "exists":
            return b"true" if found else b"false"
        if query.what in ("count", "list"):
            return len(found) if query.what == "count" else self._listed(found, query.pattern)
        if query.what == "match":
            return self._matched(fact, query, found)
        place = newest(found, query)
        if query.what in ("secrets", "members") or query.public:
            return self._told(found, query)
        if query.what == "age":
            at = place.status.st_mtime
            return at if fact.type is ValueType.TIME else self._now - at
        return self._understand(query.what, place)

    def _matched(self, fact: Fact, query: FileQuery, found: list[Place]) -> Any:
        pattern = query.pattern or ""
        if query.newest == "match":
            return self._logs.newest(found, query)
        is_many = fact.type in (ValueType.TABLE, ValueType.COUNT)
        return (matching if is_many else last_match)(newest(found, query), pattern)

    def _windowed(self, fact: Fact, query: FileQuery, asked: CsvWindow) -> Finding:
        """``observed`` is the time of the newest row."""
        place = newest(self._places(query.path), query)
        sheet = self._sheets.get(place.path) or Sheet(place.path)
        self._sheets[place.path] = sheet
        windowed = window(sheet, asked, self._now)
        found = extract(replace(fact, observed=None, pick=None), windowed.raw)
        if isinstance(found, Found) and fact.observed is not None:
            return Found(found.value, windowed.at)
        return found

    def _one(self, path: str) -> Place:
        found = self._places(path)
        if len(found) != 1:
            raise MisfitError(f"{path} is not there to compare with")
        return found[0]

    def _places(self, path: str) -> list[Place]:
        if path not in self._found:
            self._found[path] = places(self._base, path)
        return self._found[path]

    def _understand(self, what: str, place: Place) -> Any:
        key = (what, place.path)
        if key not in self._understood:
            try:
                self._understood[key] = PARSED[what](place)
            except MisfitError as misfit:
                # Kept too: what cannot be understood is read twice, some time apart.
                self._understood[key] = misfit
        found = self._understood[key]
        if isinstance(found, MisfitError):
            raise found
        return found

    def _listed(self, found: Sequence[Place], pattern: str | None) -> Rows:
        rows = [
            {
                "name": self._name(place.path),
                "kind": place.kind,
                "size": place.status.st_size,
                "age": round(self._now - place.status.st_mtime),
                "changed": int(place.status.st_mtime),
                **({} if pattern is None else {"lines": _lines(place, pattern)}),
            }
            for place in found
        ]
        return Rows(rows, len(rows))

    def _told(self, found: list[Place], query: FileQuery) -> Rows:
        if query.public:
            return public_in(newest(found, query), [self._one(path) for path in query.public])
        if query.what == "secrets":
            return wrongs(found, query.in_url, query.group_reads)
        return members(found, self._name, query.member, query.beside)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._base) if path.is_relative_to(self._base) else path)


def _lines(place: Place, pattern: str) -> int | None:
    """How many lines match; None when this one of several files cannot be read."""
    try:
        return matching(place, pattern).total
    except (MisfitError, NothingError, OSError):
        return None
