"""Which rows are meant: a column and what it must read, in words or as a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from backends.model.condition import Each
from backends.model.fact import Table
from backends.model.substitution import fill_known

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
}

_MARKS: Final = ("!", "=", "^", "~", "<", ">")
"""What the sign of a comparison begins with."""


class UncountableError(Exception):
    """A cell is no number where one is compared; nothing can be said about its row."""


def meets(row: Mapping[str, Any], where: Mapping[str, str]) -> bool:
    """Whether every column reads as said: a word, ``^one|other`` (how it begins), ``~one|other`` (what is in
    it), ``=word`` whatever sign the word begins with, or ``<0.8``, ``>=5``; ``!`` before any of them: not so.

    Raises UncountableError when a bound is set for what is no finite number, KeyError for no such column.
    """
    return all(_is(str(row[column]), said) for column, said in where.items())


def demanded(said: str, values: Mapping[str, Any]) -> str:
    """``said`` with its names filled in, as far as they are known. A value it begins with is a word: what
    somebody chose, or what was read, never says how it is compared.
    """
    told = said.lstrip("!")
    found = fill_known(told, values)
    is_word = told.startswith("$") and found != told and found.startswith(_MARKS)
    return said[: len(said) - len(told)] + ("=" if is_word else "") + found


def repetitions(each: Each, table: Table, wanted: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The values of the columns a step is repeated for, each combination once, in the table's order.

    ``wanted`` is ``each.where`` with its names filled in. Raises KeyError when a column is not there.
    """
    places = {column: place for place, column in enumerate(table.columns)}
    if not table.rows:
        return []
    named, demands = [places[column] for column in each.columns], [(places[c], w) for c, w in wanted.items()]
    chosen = (row for row in table.rows if all(row[place] == word for place, word in demands))
    return list(dict.fromkeys(tuple(str(row[place]) for place in named) for row in chosen))


def _is(cell: str, said: str) -> bool:
    if said.startswith("!"):
        return not _is(cell, said[1:])
    if said.startswith("="):
        return cell == said[1:]
    if said.startswith("^"):
        return cell.startswith(tuple(said[1:].split("|")))
    if said.startswith("~"):
        return any(part in cell for part in said[1:].split("|"))
    for sign, holds in _SIGNS.items():
        if said.startswith(sign):
            return holds(_number(cell), _number(said[len(sign) :]))
    return cell == said


def _number(text: str) -> float:
    try:
        found = float(without_wrapper(text))
    except ValueError:
        raise UncountableError(text) from None
    if not math.isfinite(found):
        raise UncountableError(text)
    return found


def without_wrapper(text: str) -> str:
    """The number in ``np.float64(1.5)``: how NumPy 2 writes itself into a store that takes only text."""
    for name in ("np.float64(", "np.float32(", "np.int64(", "np.int32("):
        if text.startswith(name) and text.endswith(")"):
            return text[len(name) : -1]
    return text
