"""What an operator can choose a value from: a service, a row of a table, one of several words."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.condition import Param
from backends.model.fact import Table
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.stack import Stack
from tui.presenters import words
from widgets.grid_layout import Column
from widgets.row import Cell, Row


class Options(Struct, frozen=True):
    """The values there are, each with what is known about it. The key of a row is the value."""

    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    note: SafeText
    """How old the list is, or that there is none."""


def options(param: Param, stack: Stack, board: Board, now: Instant) -> Options | None:
    """What can be chosen; None where the value is typed, also because its list cannot be read."""
    if param.is_service:
        return _services(stack, board, now)
    if param.one_of:
        return Options((param.label,), tuple(_row(word, (word,)) for word in param.one_of), SafeText(""))
    if param.fact is None or param.column is None:
        return None
    reading = board.readings.get(param.fact)
    table = None if reading is None else reading.value
    if not isinstance(table, Table) or param.column not in table.columns:
        return None
    place = table.columns.index(param.column)
    names = (param.column, *(name for name in table.columns if name != param.column))
    places = [table.columns.index(name) for name in names]
    found = {row[place]: _row(row[place], [row[index] for index in places]) for row in table.rows}
    left = f", {table.total - len(table.rows)} more are not listed" if table.total > len(table.rows) else ""
    return Options(names, tuple(found.values()), SafeText(f"{words.outcome(reading, now)}{left}"))


def option_columns(titles: Sequence[str]) -> tuple[Column, ...]:
    """A column for each title; the value itself is never dropped."""
    return tuple(
        Column(
            name, SafeText(name.upper().replace("_", " "), NAME_LIMIT), 36 if n == 0 else 14, least=8, drop=n
        )
        for n, name in enumerate(titles)
    )


def _services(stack: Stack, board: Board, now: Instant) -> Options:
    rows = []
    for spec in stack.services:
        reading = board.readings.get(SERVICE + spec.name)
        state = words.raw(reading.value.state.value) if reading is not None and reading.value else "?"
        rows.append(_row(spec.name, (spec.name, state, words.outcome(reading, now), spec.role)))
    return Options(("service", "state", "answer", "role"), tuple(rows), SafeText(""))


def _row(key: str, texts: Sequence[str]) -> Row:
    cells = [Cell(SafeText(text, NAME_LIMIT), "strong" if n == 0 else "text") for n, text in enumerate(texts)]
    return Row(key, tuple(cells))
