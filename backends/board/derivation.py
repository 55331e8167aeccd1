"""Values the room makes from its own recent readings: as old as the oldest of them, as good as the worst."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from backends.board.ingest import answer
from backends.model.clock import Instant
from backends.model.fact import Fact, Table, ValueType
from backends.model.query import Derivation
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Stack

Readings = Mapping[str, Reading[Any]]

_NUMBER: Final = re.compile(r"\d{9,10}(\.\d+)?")
"""Seconds since the epoch, of any time since 1973."""
SLACK: Final = 0.05
"""Part of a window that may be lacking: polls are never exactly as far apart as they were asked for."""


class Sample(NamedTuple):
    at: Instant
    value: float


class NotYetError(Exception):
    """There is no number yet. The message says what it waits for."""


class NoValueError(Exception):
    """The readings do not make a value. The message says why."""


class NothingError(Exception):
    """There is nothing a value could be made of. The message says what there is none of."""


class Deriver:
    """Remembers the readings that derivations look back on, and makes their values. For one thread."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._made: dict[str, tuple[Fact, Derivation]] = {
            fact.id: (fact, fact.query) for fact in stack.facts.values() if isinstance(fact.query, Derivation)
        }
        self._looked_back: dict[str, float] = {}
        for _, query in self._made.values():
            if query.looks_back:
                for name in query.of:
                    self._looked_back[name] = max(query.over, self._looked_back.get(name, 0.0))
        self._samples: dict[str, deque[Sample]] = {name: deque() for name in self._looked_back}
        self._lasting: dict[str, Lasting] = {}

    def remember(self, readings: Readings) -> None:
        """Take note of what was read just now."""
        for name, kept in self._samples.items():
            reading = readings.get(name)
            if reading is None or reading.outcome is not Outcome.OK:
                continue
            if (number := _number(reading.value)) is None:
                continue
            if kept and reading.received.mono <= kept[-1].at.mono:
                continue
            kept.append(Sample(reading.received, number))
            since = reading.received.mono - self._looked_back[name]
            # The newest sample that is old enough stays: it is what the window begins with.
            while len(kept) > 1 and kept[1].at.mono <= since:
                kept.popleft()

    def made_from(self, names: Iterable[str]) -> list[str]:
        """The derived facts that have one of these facts among their inputs."""
        given = set(names)
        return [fact.id for fact, query in self._made.values() if given.intersection(query.inputs)]

    def make(self, ident: str, readings: Readings, now: Instant) -> Reading[Any]:
        """The reading of one derived fact, from the newest readings of its inputs.

        NEVER, with the reason, while it lacks readings; FAILED or MISSING as soon as an input is.
        """
        fact, query = self._made[ident]
        inputs = [readings[name] for name in query.inputs]
        try:
            outcome, value, why = self._conclude(fact, query, inputs)
        except Exception as bug:
            # A fault of ours in one must not keep what all sources answered from the board.
            outcome, value, why = Outcome.FAILED, None, f"the room itself failed: {type(bug).__name__}"
        age = _Age.of(inputs, now)
        return answer(
            ident,
            self._stack.sources[fact.source],
            age.period,
            outcome,
            value,
            now=age.received,
            before=readings.get(ident),
            observed_lag=age.observed_lag,
            max_age=age.max_age,
            error=None if why is None else SafeText(why, 200),
        )

    def _conclude(
        self, fact: Fact, query: Derivation, inputs: Sequence[Reading[Any]]
    ) -> tuple[Outcome, Any, str | None]:
        for outcome in (Outcome.FAILED, Outcome.NEVER, Outcome.MISSING):
            for reading in inputs:
                if reading.outcome is outcome:
                    label = self._stack.facts[reading.key].label
                    said = {
                        Outcome.FAILED: f"cannot be read: {reading.error}",
                        Outcome.NEVER: "is not read yet",
                    }
                    return outcome, None, f"{label} {said.get(outcome, 'is missing')}"
        unless = dict(query.unless)
        for reading in inputs[len(query.of) :]:
            if _word(reading.value) == unless[reading.key]:
                label = self._stack.facts[reading.key].label
                return Outcome.MISSING, None, f"{label} reads {unless[reading.key]}"
        try:
            value = self._value(fact.id, query, inputs[: len(query.of)])
            return Outcome.OK, _typed(fact.type, value), None
        except NotYetError as error:
            return Outcome.NEVER, None, str(error)
        except NothingError as error:
            return Outcome.MISSING, None, str(error)
        except NoValueError as error:
            return Outcome.FAILED, None, str(error)

    def _value(self, ident: str, query: Derivation, inputs: Sequence[Reading[Any]]) -> float | bool | Table:
        if query.op == "same":
            return len({_word(reading.value) for reading in inputs}) == 1
        if query.op == "differs":
            found = _differing(query.column, [reading.value for reading in inputs])
            at = max(reading.received.mono for reading in inputs)
            return self._lasting.setdefault(ident, Lasting(query.over)).of(found, query.column, at)
        if query.op in _OF_TABLES:
            return _OF_TABLES[query.op](query.column, [reading.value for reading in inputs])
        if query.op == "age":
            return inputs[0].received.wall - self._stamp(query.column, inputs)
        newest = [_known(self._stack.facts[reading.key].label, reading.value) for reading in inputs]
        if query.looks_back:
            return _LOOKING_BACK[query.op]([self._window(reading, query.over) for reading in inputs])
        return _AT_ONCE[query.op](newest)

    def _stamp(self, column: str, inputs: Sequence[Reading[Any]]) -> float:
        first, *others = inputs
        if not column:
            return _known(self._stack.facts[first.key].label, first.value)
        table: Any = first.value
        for other in (reading.value for reading in others if isinstance(reading.value, Table)):
            table = _named(table, other)
        return _oldest(column, table)

    def _window(self, newest: Reading[Any], over: float) -> list[Sample]:
        """The samples of the last ``over`` seconds and the one before them. Raises NotYetError."""
        kept = self._samples[newest.key]
        if not kept:
            raise NotYetError(f"needs {over:g} s of readings")
        since = kept[-1].at.mono - over
        place = max(
            (index for index, each in enumerate(kept) if each.at.mono <= since + SLACK * over), default=None
        )
        found = list(kept)[place or 0 :]
        if place is not None and len(found) > 1:
            first, second, *_ = found
            if second.at.since(first.at) > max(over, newest.stale_after):
                # What was before so long a silence says nothing of these seconds.
                place, found = None, found[1:]
        if place is None:
            have = found[-1].at.since(found[0].at)
            raise NotYetError(f"needs {over:g} s of readings, has {have:.0f} s")
        return found


class Lasting:
    """Tells rows that stand for some time on end from those that two stores read in turn differ in anyhow."""

    def __init__(self, over: float) -> None:
        """``over``: seconds for which a row must have stood in every table that could be made."""
        self._over = over
        self._began = self._last = -math.inf
        self._since: dict[str, float] = {}

    def of(self, table: Table, column: str, at: float) -> Table:
        """The rows that have lasted, told by ``column``; ``at`` is monotonic. Raises NotYetError."""
        places = _place(column, table)
        names = {str(row[place]) for place in places for row in table.rows}
        if at - self._last > self._over:
            # Of what was for so long in no table nobody knows whether it lasted.
            self._began, self._since = at, {}
        self._last = at
        self._since = {name: self._since.get(name, at) for name in names}
        if at - self._began < self._over * (1 - SLACK):
            raise NotYetError(f"needs {self._over:g} s of readings, has {at - self._began:.0f} s")
        enough = {name for name, since in self._since.items() if at - since >= self._over * (1 - SLACK)}
        return _only(table, column, lambda cell: cell in enough)


class _Age(NamedTuple):
    """How old a derived value is, and when it ceases to count."""

    received: Instant
    period: float
    observed_lag: float | None
    max_age: float | None

    @classmethod
    def of(cls, inputs: Sequence[Reading[Any]], now: Instant) -> _Age:
        received = min((reading.received for reading in inputs), key=lambda at: at.mono)
        # Stale as soon as the first of them is, whatever their cadences.
        ends = min(reading.received.mono + reading.stale_after for reading in inputs)
        own, max_age = _own_time(inputs, now)
        lag = None if own is None else own - now.since(received)
        return cls(received, (ends - received.mono) / 3, lag, max_age)


def _own_time(inputs: Sequence[Reading[Any]], now: Instant) -> tuple[float | None, float | None]:
    """Age and limit of the own timestamp that tells most against the inputs: one from the future, else the
    one that is the first to be too old."""
    ages = [(age, reading.max_age) for reading in inputs if (age := reading.observed_age(now)) is not None]
    ahead = [(age, limit) for age, limit in ages if age < 0]
    limited = sorted((limit - age, age, limit) for age, limit in ages if limit is not None)
    if ahead:
        return min(ahead, key=lambda each: each[0])
    return limited[0][1:] if limited else (None, None)


def _number(value: Any) -> float | None:
    if isinstance(value, Table):
        return float(value.total)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def _known(label: str, value: Any) -> float:
    if (number := _number(value)) is None:
        raise NoValueError(f"{label} is no number")
    return number


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Table):
        return str(value.total)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _typed(kind: ValueType, value: float | bool | Table) -> float | int | bool | Table:
    if isinstance(value, (bool, Table)):
        return value
    if kind is ValueType.FLOAT:
        return float(value)
    if float(value).is_integer():
        return int(value)
    raise NoValueError(f"is {value:g}, a whole number expected")


def _rate(windows: Sequence[list[Sample]]) -> float:
    """Change a second of a counter, which only ever grows unless it began anew."""
    return sum(_grown(samples) / samples[-1].at.since(samples[0].at) for samples in windows)


def _delta(windows: Sequence[list[Sample]]) -> float:
    """How much counters grew."""
    return sum(_grown(samples) for samples in windows)


def _grown(samples: list[Sample]) -> float:
    """Raises NotYetError when it began anew: what it had counted until then, nobody knows."""
    if any(after.value < before.value for before, after in pairwise(samples)):
        raise NotYetError("restarted: its counter began anew")
    return samples[-1].value - samples[0].value


def _pooled(what: Callable[[list[float]], float]) -> Callable[[Sequence[list[Sample]]], float]:
    return lambda windows: what([sample.value for samples in windows for sample in samples])


def _ratio(values: Sequence[float]) -> float:
    if values[1] == 0:
        raise NoValueError("cannot be divided by zero")
    return values[0] / values[1]


def _without(column: str, tables: Sequence[Any]) -> Table:
    """The rows of the first table that none of the others has."""
    known = {row[place] for table in tables[1:] for place in _place(column, table) for row in table.rows}
    return _only(tables[0], column, lambda cell: cell not in known)


def _before(column: str, inputs: Sequence[Any]) -> Table:
    """The rows of a table whose time is before the given one."""
    return _only(inputs[0], column, lambda cell: _epoch(cell) < inputs[1])


def _differing(column: str, tables: Sequence[Any]) -> Table:
    """The rows of the first table that the second has with other cells, beside them; 0 where it has none."""
    first, second = tables
    known = {row[place]: _beside(row, place) for place in _place(column, second) for row in second.rows}
    beside = tuple(name for name in second.columns if name != column) or ("other",)
    nothing = (SafeText("0"),) * len(beside)
    found = [
        (row, known.get(row[place], nothing))
        for place in _place(column, first)
        for row in first.rows
        if _beside(row, place) != known.get(row[place], nothing)
    ]
    return Table((*first.columns, *beside), tuple((*row, *other) for row, other in found), len(found))


def _named(table: Table, other: Table) -> Table:
    """The rows of a table that the first column of another names."""
    column = other.columns[0] if other.rows else ""
    names = {row[place] for place in _place(column, other) for row in other.rows}
    return _only(table, column, names.__contains__) if names else Table(table.columns, (), 0)


def _beside(row: tuple[SafeText, ...], place: int) -> tuple[SafeText, ...]:
    return (*row[:place], *row[place + 1 :])


def _oldest(column: str, table: Any) -> float:
    """The earliest time in the column, epoch seconds."""
    times = [_epoch(row[place]) for place in _place(column, table) for row in table.rows]
    if not times:
        raise NothingError("there is no row")
    return min(times)


def _only(table: Table, column: str, is_wanted: Callable[[str], bool]) -> Table:
    rows = tuple(row for place in _place(column, table) for row in table.rows if is_wanted(row[place]))
    return Table(table.columns, rows, len(rows))


def _place(column: str, table: Any) -> list[int]:
    """Where the column is; nowhere in a table without rows, which names no columns either."""
    if not isinstance(table, Table):
        raise NoValueError("is made of what is no table")
    if table.total > len(table.rows):
        raise NoValueError(f"{table.total} rows, of which only {len(table.rows)} were read")
    if table.rows and column not in table.columns:
        raise NoValueError(f"no column {column}")
    return [table.columns.index(column)] if table.rows else []


def _epoch(cell: str) -> float:
    """Of a date that says its zone, or of a number that is one already."""
    if _NUMBER.fullmatch(cell):
        return float(cell)
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        raise NoValueError(f"{cell} is no time") from None
    if at.tzinfo is None:
        raise NoValueError(f"{cell} says no zone")
    return at.timestamp()


def _median(numbers: Sequence[float]) -> float:
    # The standard library's loads fractions and decimals with it, at each start.
    ordered, half = sorted(numbers), len(numbers) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


_LOOKING_BACK: Final[Mapping[str, Callable[[Sequence[list[Sample]]], float]]] = {
    "rate": _rate,
    "delta": _delta,
    "median": _pooled(_median),
    "min": _pooled(min),
    "max": _pooled(max),
}
_AT_ONCE: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "minus": lambda values: values[0] - sum(values[1:]),
    "ratio": _ratio,
}
_OF_TABLES: Final[Mapping[str, Callable[[str, Sequence[Any]], Table]]] = {
    "without": _without,
    "before": _before,
}
