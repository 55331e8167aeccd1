"""The part of PromQL that dashboards and operators use on this platform, over the present moment only."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

Series = tuple[dict[str, str], float]
"""Labels (with ``__name__``) and value."""
Vector = list[Series]
Store = Mapping[str, Sequence[Series]]
"""Series by metric name; what a counter or bucket grows by a second is under ``NAME:rate``."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_:][\w:]*)|(?P<text>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<range>\[\w+\])|(?P<sign>=~|!~|==|!=|>=|<=|[(){},=<>*]))"
)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
    ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_GATHER: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "count": len, "sum": sum, "max": max, "min": min, "avg": lambda values: sum(values) / len(values),
}  # fmt: skip


class QueryError(Exception):
    """The query cannot be understood."""


def evaluate(query: str, store: Store) -> Vector:
    """The instant vector of ``query``. Raises QueryError."""
    parser = _Parser(query, store)
    result = parser.either()
    parser.end()
    return result


class _Parser:
    """Reads and evaluates in one go: nothing is asked twice."""

    def __init__(self, query: str, store: Store) -> None:
        self._store = store
        self._tokens: list[str] = []
        at = 0
        while query[at:].strip():
            found = _TOKEN.match(query, at)
            if found is None:
                raise QueryError(f"unexpected character at {at}")
            self._tokens.append(found[0].strip())
            at = found.end()

    def end(self) -> None:
        if self._tokens:
            raise QueryError(f"unexpected {self._tokens[0]!r}")

    def either(self) -> Vector:
        result = self._compared()
        while self._take("or"):
            other = self._compared()
            known = [_plain(labels) for labels, _ in result]
            result = result + [one for one in other if _plain(one[0]) not in known]
        return result

    def _compared(self) -> Vector:
        result = self._scaled()
        if self._tokens and self._tokens[0] in _COMPARE:
            holds, limit = _COMPARE[self._tokens.pop(0)], self._number()
            result = [one for one in result if holds(one[1], limit)]
        return result

    def _scaled(self) -> Vector:
        result = self._one()
        while self._take("*"):
            factor = self._number()
            result = [(_plain(labels), value * factor) for labels, value in result]
        return result

    def _one(self) -> Vector:
        if self._take("("):
            inner = self.either()
            self._need(")")
            return inner
        name = self._next()
        if name in _GATHER:
            return self._gathered(_GATHER[name])
        if name == "vector":
            self._need("(")
            value = self._number()
            self._need(")")
            return [({}, value)]
        if name in ("rate", "increase"):
            self._need("(")
            selected = self._selected(f"{self._next()}:rate")
            self._need(")")
            return selected
        if name == "histogram_quantile":
            self._need("(")
            quantile = self._number()
            self._need(",")
            buckets = self.either()
            self._need(")")
            return _quantile(quantile, buckets)
        if not re.match(r"[A-Za-z_:]", name):
            raise QueryError(f"unexpected {name!r}")
        return self._selected(name)

    def _gathered(self, gather: Callable[[Sequence[float]], float]) -> Vector:
        by = self._by()
        self._need("(")
        inner = self.either()
        self._need(")")
        by = by or self._by()
        groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for labels, value in inner:
            kept = tuple((name, labels[name]) for name in by if name in labels)
            groups.setdefault(kept, []).append(value)
        return [(dict(kept), float(gather(values))) for kept, values in groups.items()]

    def _by(self) -> list[str]:
        names: list[str] = []
        if self._take("by"):
            self._need("(")
            while not self._take(")"):
                names.append(self._next())
                self._take(",")
        return names

    def _selected(self, name: str) -> Vector:
        result = list(self._store.get(name, ()))
        if self._take("{"):
            while not self._take("}"):
                label, sign, text = self._next(), self._next(), self._next()
                if sign not in ("=", "!=", "=~", "!~") or text[:1] != '"':
                    raise QueryError(f"unexpected {sign} {text}")
                wanted = text[1:-1]
                try:
                    pattern = re.compile(wanted if "~" in sign else re.escape(wanted))
                except re.error as error:
                    raise QueryError(str(error)) from None
                result = [
                    one for one in result
                    if bool(pattern.fullmatch(one[0].get(label, ""))) == (sign[0] == "=")
                ]  # fmt: skip
                self._take(",")
        if self._tokens and self._tokens[0].startswith("["):
            self._tokens.pop(0)
        return result

    def _next(self) -> str:
        if not self._tokens:
            raise QueryError("unexpected end of input")
        return self._tokens.pop(0)

    def _number(self) -> float:
        text = self._next()
        try:
            return float(text)
        except ValueError:
            raise QueryError(f"expected a number, got {text!r}") from None

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise QueryError(f"expected {token!r}")


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "__name__"}


def _quantile(quantile: float, buckets: Vector) -> Vector:
    """By linear interpolation inside the bucket the quantile falls in, as Prometheus does it."""
    steps = sorted(
        (float(labels["le"].replace("+Inf", "inf")), value) for labels, value in buckets if "le" in labels
    )
    if not steps or steps[-1][1] <= 0:
        return []
    rank, below, start = quantile * steps[-1][1], 0.0, 0.0
    for end, count in steps:
        if count >= rank:
            if math.isinf(end):
                return [({}, start)]
            return [({}, start + (end - start) * (rank - below) / max(count - below, 1e-12))]
        below, start = count, end
    return []
