"""HTTP services, Prometheus, Loki and ClickHouse: everything that answers over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from backends.model.fact import Fact, ValueType
from backends.model.query import HttpQuery, PrometheusQuery
from backends.model.stack import SourceKind
from tests.contract.fault_table.network import answering, transport, url
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import MISSING, Door, Ground, Stage, Staged, Trial, reading
from tests.contract.http_server import Answer, HttpServer

MANY = (ValueType.TABLE, ValueType.COUNT)
WRONG_LEAVES: dict[ValueType, list[Any]] = {
    ValueType.TEXT: [[], {}, 5, True, "", " "],
    ValueType.INT: [[], {}, True, "x", "", 1.5, 1e300, "np.int64(5)"],
    ValueType.FLOAT: [[], {}, False, "x", "", "nan", "np.float64(1.5)", 10**400],
    ValueType.BOOL: [[], {}, "true", "false", 1, 0, ""],
    ValueType.TIME: [[], {}, True, 0, -1, "", "yesterday", 1e300],
    ValueType.COUNT: ["", "x", True, -1, 1.5],
    ValueType.TABLE: ["", "x", True, 7],
}


def nested(path: str, leaf: Any) -> Any:
    """An answer that has ``leaf`` at the path of a fact's ``pick``."""
    node = leaf
    for step in reversed(path.split(".")):
        node = [None] * int(step) + [node] if step.isdecimal() else {step: node}
    return node


def said(content: Any) -> Answer:
    return Answer(200, json.dumps(content).encode())


def _is_json(fact: Fact) -> bool:
    return isinstance(fact.query, HttpQuery) and fact.query.body == "json"


def _status_alone(fact: Fact) -> bool:
    return isinstance(fact.query, HttpQuery) and fact.query.body == "none"


def _any_text(fact: Fact) -> bool:
    return isinstance(fact.query, HttpQuery) and fact.query.body == "text"


_STATUS = {"only the status is asked": _status_alone}
_ANY_TEXT = {"any text is a text": _any_text}


def _leaves(turn: int) -> Stage:
    """Each fact's path is its own, so that each gets a wrong value that its type dreads."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        async with HttpServer() as server:
            server.otherwise = said("text where an object is wanted")
            asked: list[Subject] = []
            for place, fact in enumerate(subjects):
                assert isinstance(fact, Fact)
                if _is_json(fact) and fact.pick is not None:
                    leaves = WRONG_LEAVES[fact.type]
                    server.answers[f"/{place}"] = said(nested(fact.pick, leaves[turn % len(leaves)]))
                    asked.append(replace(fact, query=HttpQuery(f"/{place}")))
                else:
                    asked.append(fact)
            async with reading(SourceKind.HTTP, url(SourceKind.HTTP, server.port), asked) as staged:
                yield staged

    return stage


def _http(body: bytes, status: int = 200) -> Stage:
    return answering(SourceKind.HTTP, Answer(status, body))


HTTP = Door(
    SourceKind.HTTP,
    transport(SourceKind.HTTP)
    | {
        "wrong type": {
            "text": Trial(_http(b'"healthy"'), but=_STATUS | _ANY_TEXT),
            "another status": Trial(_http(b"{}", 418)),
            **{f"values, turn {turn}": Trial(_leaves(turn), but=_STATUS | _ANY_TEXT) for turn in range(8)},
        },
        "huge": {"more than it may": Trial(_http(b" " * 1_100_000 + b'{"status": "healthy"}'), but=_STATUS)},
        "missing": {"no such page": Trial(_http(b'{"detail": "Not Found"}', 404), MISSING)},
    },
)


def _of_kind(kind: SourceKind, **data: Any) -> Stage:
    return answering(kind, said({"status": "success", "data": data}))


def _all(kind: SourceKind, data: Any) -> Stage:
    """The same in the place of every list there is."""
    lists = ("result", "activeTargets", "groups", "alerts")
    return _of_kind(kind, resultType="vector", **dict.fromkeys(lists, data))


def _many(fact: Fact) -> bool:
    return fact.type in MANY


_NONE_OF_THEM = {"a search that finds none says so": _many}


def _many_now(fact: Fact) -> bool:
    """Of a range a number is made even for a table."""
    return _many(fact) and not (isinstance(fact.query, PrometheusQuery) and fact.query.what == "range")


_ANY_CELL = {"a table shows what its cells say, and a count counts them": _many_now}


def _series(value: Any) -> list[Any]:
    """One for a query and for a range, and one for each list, of which only the query's has a value."""
    labels = {"alertname": "a"}
    return [
        {
            "metric": {"a": "b"}, "value": [1, value], "values": [[1, value]], "labels": labels, "name": "a",
            "health": "up", "state": "firing", "activeAt": "", "rules": [{"name": "a", "health": "ok"}],
        }
    ]  # fmt: skip


_ODD: dict[str, Any] = {
    "null": None, "object": {}, "text": "", "words": "up", "number": 0, "list of lists": [[]],
    "list of words": ["up"], "list of empty objects": [{}], "list of nulls": [None],
}  # fmt: skip

PROMETHEUS = Door(
    SourceKind.PROMETHEUS,
    transport(SourceKind.PROMETHEUS)
    | {
        "wrong type": {
            **{what: Trial(_all(SourceKind.PROMETHEUS, odd)) for what, odd in _ODD.items()},
            "no data": Trial(answering(SourceKind.PROMETHEUS, said({"status": "success", "data": None}))),
            "empty data": Trial(_of_kind(SourceKind.PROMETHEUS)),
            **{
                f"value {value!r}": Trial(_all(SourceKind.PROMETHEUS, _series(value)), but=_ANY_CELL)
                for value in ("", "up", [])
            },
        },
        "huge": {
            "more than it may": Trial(answering(SourceKind.PROMETHEUS, Answer(200, b" " * 4_300_000 + b"{}")))
        },
        "missing": {"nothing": Trial(_all(SourceKind.PROMETHEUS, []), MISSING, but=_NONE_OF_THEM)},
    },
)


def _loki(shipped: Any, kind: str = "streams", result: Any = ()) -> Stage:
    """What it says is shipped, and what it finds."""
    series = {"/loki/api/v1/series": said({"status": "success", "data": shipped})}
    found = {"status": "success", "data": {"resultType": kind, "result": result}}
    return answering(SourceKind.LOKI, said(found), series)


def _no_line(values: Any) -> Any:
    return [{"stream": {"job": "x"}, "values": values}]


LOKI = Door(
    SourceKind.LOKI,
    transport(SourceKind.LOKI)
    | {
        "wrong type": {
            **{f"found {what}": Trial(_loki([{"job": "x"}], result=odd)) for what, odd in _ODD.items()},
            **{
                f"shipped {what}": Trial(_loki(odd))
                for what, odd in _ODD.items()
                if not isinstance(odd, list)
            },
            **{
                f"lines {what}": Trial(_loki([{"job": "x"}], result=_no_line(odd)))
                for what, odd in _ODD.items()
            },
            "matrix": Trial(_loki([{"job": "x"}], "matrix", [{"metric": {}, "values": {"a": 1}}])),
            "another kind": Trial(_loki([{"job": "x"}], "scalar")),
        },
        "huge": {
            "more than it may": Trial(answering(SourceKind.LOKI, Answer(200, b" " * 1_100_000 + b"{}")))
        },
        "missing": {
            "no stream": Trial(_loki([]), MISSING),
            "no line": Trial(_loki([{"job": "x"}]), MISSING, but=_NONE_OF_THEM),
        },
    },
)

_HOUSE = SourceKind.CLICKHOUSE
_NO_ROWS = {"a query that finds no row says so": lambda fact: fact.type is ValueType.TABLE}


def _row_of(value: Any) -> Stage:
    """One row in which every column that is asked for is there."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        picks = {fact.pick for fact in subjects if isinstance(fact, Fact) and fact.pick}
        stage = answering(_HOUSE, said({"data": [dict.fromkeys(picks, value)]}))
        async with stage(subjects, ground) as staged:
            yield staged

    return stage


CLICKHOUSE = Door(
    _HOUSE,
    transport(_HOUSE)
    | {
        "wrong type": {
            **{what: Trial(answering(_HOUSE, said({"data": odd}))) for what, odd in _ODD.items()
               if what != "list of empty objects"},
            "no object": Trial(answering(_HOUSE, said([]))),
            "a wrong value": Trial(
                _row_of([[1, 2]]), but={"a table shows what its cells say": lambda it: it.type in MANY}
            ),
            "refused": Trial(answering(_HOUSE, Answer(404, b"Code: 60. Unknown table"))),
        },
        "huge": {"more than it may": Trial(answering(_HOUSE, Answer(200, b" " * 1_100_000 + b"{}")))},
        "missing": {"no row": Trial(answering(_HOUSE, said({"data": []})), MISSING, but=_NO_ROWS)},
    },
)  # fmt: skip
