"""From an answer and a fact to a finding: where the value is, what it is, and how old it says it is.

An answer is ``bytes`` (text as the source gave it), parsed JSON, ``Members`` of a collection, ``Rows`` of
a query, or None for "no such thing". What does not fit is ``Broken`` with the reason; nothing is ever
defaulted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.fact import NONE, Absent, Broken, Fact, Finding, Found, Raw, Table, Value, ValueType
from backends.model.row import UncountableError, meets
from backends.model.safetext import SafeText
from backends.readers.coerce import (
    MisfitError,
    NothingError,
    coerce,
    count_in,
    excerpt,
    kind_of,
    list_in,
    parse_json,
)

ROW_LIMIT: Final = 200
"""Rows of a table that are kept; its ``total`` says how many there are."""
COLUMN_LIMIT: Final = 24
CELL_LIMIT: Final = 512
"""Characters of one cell."""
_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
"""One step of a path: a member, an index, or ``[name=word]``, which chooses from a list."""
_COUNT: Final = re.compile(r"count(\(.*\))?", re.IGNORECASE | re.DOTALL)
_CHOICE: Final = re.compile(r"\[.*\]|-?\d+")
"""A first step that takes one of several rows or entries."""


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


class Members(Struct, frozen=True):
    """Entries of a list, set or stream, bounded, each text or fields; ``total`` counts the unread too."""

    items: Sequence[bytes | Mapping[str, bytes | str]]
    total: int


class Rows(Struct, frozen=True):
    """Rows of a query, bounded, each by column name; ``total`` counts those not fetched too."""

    rows: Sequence[Mapping[str, Any]]
    total: int


def extract(fact: Fact, raw: Raw) -> Finding:
    """What ``raw`` says about ``fact``. Never raises."""
    try:
        value = _value(fact, raw)
        return Found(value, _observed(fact, raw, value))
    except NothingError:
        return Absent()
    except MisfitError as misfit:
        return broken(str(misfit))


class Same:
    """What was made of the last answer about each fact, for as long as it comes again byte for byte: nothing
    else goes into a finding, and most answers are those of the last poll."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Fact, object, Finding]] = {}

    def finding(self, fact: Fact, said: bytes | tuple[Any, ...], make: Callable[[], Finding]) -> Finding:
        """What ``make`` makes of ``said``; that holds bytes alone, for a number equals a flag."""
        known = self._last.get(fact.id)
        if known is not None and known[0] is fact and known[1] == said:
            return known[2]
        made = make()
        self._last[fact.id] = fact, said, made
        return made


def broken(why: str) -> Broken:
    """A Broken whose reason is short and safe to show."""
    return Broken(SafeText(why, 200))


def one_series(fact: Fact, rows: Rows) -> Finding:
    """What the ``value`` of the only series says; it is text, and the labels say nothing about it."""
    if rows.total > 1:
        return broken(f"{rows.total} series, one expected")
    return extract(replace(fact, pick=None), str(rows.rows[0]["value"]).encode() if rows.rows else None)


def _value(fact: Fact, raw: Raw) -> Value:
    if raw is None:
        raise NothingError
    if fact.where:
        met = _met(_table(raw, fact.pick), fact.where)
        return met if fact.type is ValueType.TABLE else met.total
    if fact.type is ValueType.TABLE:
        return _table(raw, fact.pick)
    if fact.type is ValueType.COUNT:
        return _count(raw, fact.pick)
    return coerce(fact.type, _pick(raw, fact.pick))


def _observed(fact: Fact, raw: Raw, value: Value) -> float | None:
    """Epoch seconds of the answer's own timestamp. One that was promised and is not there is a misfit:
    without it the value would look as fresh as the poll."""
    if fact.observed is None:
        # A time whose age is limited is its own timestamp; any other may lie in the future.
        is_own = fact.type is ValueType.TIME and fact.max_age is not None
        return value if is_own and isinstance(value, float) else None
    try:
        at = coerce(ValueType.TIME, _pick(raw, fact.observed))
    except (MisfitError, NothingError) as error:
        why = str(error) or "is null"
        raise MisfitError(f"its own timestamp {excerpt(fact.observed)}: {why}") from None
    return at if isinstance(at, float) else None


def _pick(raw: Raw, path: str | None) -> Any:
    """The one value at ``path``. Raises NothingError where there is none."""
    steps = _STEP.findall(path) if path else []
    node = _several(raw) if steps and _CHOICE.fullmatch(steps[0]) else _one(raw, path)
    for step in steps:
        if node is None:
            raise NothingError
        if isinstance(node, bytes):
            node = parse_json(node)
        node = _chosen(node, step[1:-1]) if step.startswith("[") else _step(node, step)
    if node is None:
        raise NothingError
    return node


def _several(raw: Raw) -> Any:
    """Rows or entries as a list to choose from; what is neither, as it is."""
    if isinstance(raw, Rows):
        return [dict(row) for row in raw.rows]
    return list(raw.items) if isinstance(raw, Members) else raw


def _chosen(node: Any, what: str) -> Any:
    """The first item of a list that reads as ``what`` says: ``name=word``, with a dotted name.

    Raises NothingError when none does. An item that has no such member is another one.
    """
    name, _, word = what.partition("=")
    for item in list_in(node):
        if reads(item, name) == word:
            return item
    raise NothingError


def reads(item: Any, path: str) -> str | None:
    """The word at ``path`` of one item of a list; None when it has no such member."""
    try:
        found = _pick(item, path)
    except (NothingError, MisfitError):
        return None
    if isinstance(found, bool):
        return str(found).lower()
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _one(raw: Raw, path: str | None) -> Any:
    """The single answer among rows or entries; what is neither, as it is."""
    if isinstance(raw, Rows):
        if raw.total > 1:
            raise MisfitError(f"{raw.total} rows, one expected")
        if not raw.rows:
            raise NothingError
        row = raw.rows[0]
        if path is None and len(row) != 1:
            raise MisfitError(f"{len(row)} columns, one expected")
        return dict(row) if path else next(iter(row.values()))
    if isinstance(raw, Members):
        if not raw.items:
            raise NothingError
        if len(raw.items) > 1:
            raise MisfitError(f"{len(raw.items)} entries, one expected")
        return raw.items[0]
    return raw


def _step(node: Any, step: str) -> Any:
    if isinstance(node, dict):
        if step not in node:
            raise MisfitError(f"no member {excerpt(step)}")
        return node[step]
    if isinstance(node, list):
        if not step.removeprefix("-").isdecimal():
            raise MisfitError(f"is a list, an object with {excerpt(step)} expected")
        place = int(step)
        if not -len(node) <= place < len(node):
            raise NothingError
        return node[place]
    raise MisfitError(f"{kind_of(node)}, an object with {excerpt(step)} expected")


def _count(raw: Raw, path: str | None) -> int:
    """How many: rows, entries, elements; or the number itself when the answer is already a count."""
    if path is None and isinstance(raw, (Members, Rows)) and not _counts_itself(raw):
        return raw.total
    node = raw if path is None and isinstance(raw, (list, dict)) else _pick(raw, path)
    if isinstance(node, bytes) and node.lstrip()[:1] in (b"[", b"{"):
        node = parse_json(node)
    return len(node) if isinstance(node, (list, dict)) else count_in(node)


def _counts_itself(raw: Members | Rows) -> bool:
    """Whether the query was ``SELECT count(*)``: one row, whose only column has the name of that function,
    which is ``count`` in PostgreSQL, ``count(*)`` in SQLite and ``count()`` in ClickHouse."""
    if not isinstance(raw, Rows) or len(raw.rows) != 1 or len(raw.rows[0]) != 1:
        return False
    return _COUNT.fullmatch(next(iter(raw.rows[0]))) is not None


def _table(raw: Raw, path: str | None) -> Table:
    if isinstance(raw, Rows):
        rows = raw.rows if path is None else [{path: row.get(path)} for row in raw.rows]
        return _rows(rows[:ROW_LIMIT], raw.total)
    if isinstance(raw, Members) and path is None:
        return listed([entry(item) for item in raw.items[:ROW_LIMIT]], raw.total)
    if isinstance(raw, Members) and path is not None and not _CHOICE.match(path):
        return listed([_parsed(_pick(item, path)) for item in raw.items[:ROW_LIMIT]], raw.total)
    node = _parsed(_pick(raw, path))
    if isinstance(node, dict):
        pairs = [{"field": name, "value": value} for name, value in node.items()]
        return _rows(pairs[:ROW_LIMIT], len(pairs))
    if isinstance(node, list):
        return listed(node[:ROW_LIMIT], len(node))
    raise MisfitError(f"{kind_of(node)}, a list expected")


def _met(table: Table, where: Mapping[str, str]) -> Table:
    """The rows that read so. Raises MisfitError when that cannot be said of all there are."""
    if table.total > len(table.rows):
        raise MisfitError(f"{table.total} rows, of which only {len(table.rows)} can be looked at")
    try:
        rows = [row for row in table.rows if meets(dict(zip(table.columns, row, strict=True)), where)]
    except UncountableError as odd:
        raise MisfitError(f"holds {excerpt(odd)}, a number expected") from None
    except KeyError as column:
        # Only of a row that met what stands before it: an id without its document has no other columns.
        raise MisfitError(f"no column {column.args[0]}") from None
    return Table(table.columns, tuple(rows), len(rows))


def _parsed(node: Any) -> Any:
    return parse_json(node) if isinstance(node, bytes) else node


def entry(item: Any) -> Any:
    """A member that is JSON text of an object, as that object; any other as it is."""
    if isinstance(item, bytes):
        try:
            parsed = parse_json(item)
        except MisfitError:
            return item
        return parsed if isinstance(parsed, dict) else item
    return item


def listed(items: Sequence[Any], total: int) -> Table:
    """Items that are all objects by their members; any others as the one column ``value``."""
    if items and all(isinstance(item, Mapping) for item in items):
        return _rows(items, total)
    return _rows([{"value": item} for item in items], total)


def _rows(rows: Sequence[Mapping[str, Any]], total: int) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))[:COLUMN_LIMIT]
    cells = tuple(tuple(_cell(row.get(name)) for name in names) for row in rows)
    return Table(tuple(SafeText(name, 64) for name in names), cells, total)


def _cell(raw: Any) -> SafeText:
    if raw is None:
        return NONE
    if isinstance(raw, bytes):
        return SafeText.from_bytes(raw, CELL_LIMIT)
    if isinstance(raw, str):
        return SafeText(raw, CELL_LIMIT)
    try:
        text = _JSON.encode(raw)
    except RecursionError:
        text = "too deep to show"
    return SafeText(text, CELL_LIMIT)
