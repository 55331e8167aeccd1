"""One number or word from the newest rows of a CSV file that is being written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from backends.model.fact import ValueType
from backends.model.query import CsvWindow
from backends.model.row import UncountableError, meets
from backends.readers.coerce import MisfitError, coerce, decode, excerpt, number_in
from backends.readers.file_bytes import ending

CSV_LIMIT: Final = 4 * 1024 * 1024
"""Bytes at the end of the file that are read."""
_HOUR: Final = 3600.0

Row = Mapping[str, str]


class Windowed(Struct, frozen=True):
    """What was found, None when no row is there; ``at`` is the time of the newest row of the file."""

    raw: Any
    at: float | None


class Sheet:
    """The end of a CSV file as it is now. For any number of windows: it is understood once."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and MisfitError when its first line is not text."""
        header, content, self.is_cut = ending(path, CSV_LIMIT)
        self.names = next(csv.reader([decode(header)]), [])
        self._content = content if self.is_cut else content[len(header) :]
        self._times: dict[str, list[float | None]] = {}

    @cached_property
    def rows(self) -> list[Row]:
        """Those that are wholly written. Raises MisfitError when one is none."""
        return _rows(self.names, self._content)

    def times(self, column: str) -> list[float | None]:
        """When each row is of; None without such a column. Raises MisfitError when one tells no time."""
        if column not in self._times:
            is_there = column in self.names
            self._times[column] = [_time(row[column]) if is_there else None for row in self.rows]
        return self._times[column]


def window(sheet: Sheet, asked: CsvWindow, now: float) -> Windowed:
    """What the rows say. Raises MisfitError when they cannot be understood, or were not all read."""
    wanted = [asked.column, *asked.where] if asked.agg not in _OF_TIME else [*asked.where]
    is_timed = asked.agg in _OF_TIME or asked.hours is not None
    if is_timed or asked.time in sheet.names:
        wanted.append(asked.time)
    for name in wanted:
        if name not in sheet.names:
            raise MisfitError(f"no column {excerpt(name)}")
    if len(set(sheet.names)) != len(sheet.names):
        raise MisfitError("two columns have the same name")
    timed = list(zip(sheet.times(asked.time), sheet.rows, strict=True))
    newest = max((at for at, _ in timed if at is not None), default=None)
    if asked.hours is not None:
        since = now - asked.hours * _HOUR
        oldest = min((at for at, _ in timed if at is not None), default=since)
        if sheet.is_cut and oldest > since:
            raise MisfitError(f"its last {CSV_LIMIT // 2**20} MiB do not reach {asked.hours:g} h back")
        timed = [(at, row) for at, row in timed if at is not None and at >= since]
    elif sheet.is_cut and asked.agg not in ("last",):
        raise MisfitError(f"is larger than {CSV_LIMIT // 2**20} MiB; how far to look back must be said")
    if all(at is not None for at, _ in timed):
        timed.sort(key=lambda each: each[0] or 0.0)
    return Windowed(_answer(asked, timed), newest)


def _rows(names: list[str], content: bytes) -> list[Row]:
    """A last line without its end is left out: it may be half a number."""
    complete = content[: content.rfind(b"\n") + 1]
    rows: list[Row] = []
    try:
        for cells in csv.reader(io.StringIO(decode(complete), newline=""), strict=True):
            if not cells:
                continue
            if len(cells) != len(names):
                raise MisfitError(f"a row has {len(cells)} fields, {len(names)} expected")
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error:
        raise MisfitError("not CSV") from None
    return rows


def _time(cell: str) -> float:
    return float(str(coerce(ValueType.TIME, cell)))


def _answer(asked: CsvWindow, timed: list[tuple[float | None, Row]]) -> Any:
    meeting = [(at, row) for at, row in timed if _meets(row, asked.where)]
    if asked.agg == "count":
        return len(meeting)
    if asked.agg == "share":
        return len(meeting) / len(timed) if timed else None
    times = [at for at, _ in meeting if at is not None]
    if asked.agg in _OF_TIME:
        return _OF_TIME[asked.agg](times) if times else None
    cells = [row[asked.column] for _, row in meeting]
    if asked.agg == "flips":
        return _flips(cells, asked.hours or (_span(times) if times else 0.0))
    if asked.agg == "last":
        return cells[-1].encode() if cells else None
    return _OF_NUMBERS[asked.agg]([float(number_in(cell)) for cell in cells]) if cells else None


def _flips(cells: list[str], hours: float) -> float | None:
    changes = sum(before != after for before, after in pairwise(cells))
    return changes / hours if hours else None


def _meets(row: Row, where: Mapping[str, str]) -> bool:
    try:
        return meets(row, where)
    except UncountableError as odd:
        raise MisfitError(f"is {excerpt(odd)}, a number expected") from None


def _span(times: list[float]) -> float:
    return (times[-1] - times[0]) / _HOUR


def _gap(times: list[float]) -> float:
    return max((after - before for before, after in pairwise(times)), default=0.0)


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


_OF_TIME: Final[dict[str, Callable[[list[float]], float]]] = {"span": _span, "gap": _gap}
_OF_NUMBERS: Final[dict[str, Callable[[list[float]], float]]] = {"min": min, "max": max, "mean": _mean}
