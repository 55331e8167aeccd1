"""Facts from Loki: lines, counts, and the difference between no errors and no logs."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backends.demo.port import HttpPort
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, ValueType
from backends.model.query import LokiQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind
from backends.readers.loki import LokiFactReader
from backends.web import Web

COUNT, TABLE, TEXT, FLOAT = ValueType.COUNT, ValueType.TABLE, ValueType.TEXT, ValueType.FLOAT
AT = 1_768_600_000_000_000_000


class SmallLoki:
    """Answers as Loki 2.9 does, for two containers of which one ships its logs."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def routes(self) -> list[Route]:
        return [Route("/loki/api/v1/query_range", self._query), Route("/loki/api/v1/series", self._series)]

    async def _query(self, request: Any) -> Response:
        query = request.query_params["query"]
        self.asked.append(query)
        if query.startswith("{}"):
            return PlainTextResponse("queries require at least one regexp or equality matcher", 400)
        if query.startswith("sum"):
            series = {"metric": {}, "values": [[1768600000, "2"], [1768600060, "7"]]}
            return _success("matrix", [series])
        is_found = "cdb_risk" in query and "FATAL" not in query
        values = [[str(AT + 1), "ERROR two"], [str(AT), "ERROR one"]][: int(request.query_params["limit"])]
        return _success(
            "streams", [{"stream": {"container": "cdb_risk"}, "values": values}] if is_found else []
        )

    async def _series(self, request: Any) -> Response:
        matches = request.query_params["match[]"]
        self.asked.append(matches)
        found = [{"container": "cdb_risk"}] if "cdb_risk" in matches else []
        return JSONResponse({"status": "success", "data": found})


def _success(kind: str, result: Any) -> Response:
    return JSONResponse({"status": "success", "data": {"resultType": kind, "result": result}})


@pytest.fixture
async def loki() -> AsyncIterator[tuple[str, SmallLoki]]:
    small = SmallLoki()
    port = HttpPort(Starlette(routes=small.routes()))
    await port.open()
    try:
        yield port.url, small
    finally:
        await port.close()


async def ask(url: str, kind: ValueType, query: str, pick: str | None = None) -> Finding:
    source = Source("l", SourceKind.LOKI, "Loki", url, every=10.0, deadline=3.0)
    async with Web() as web:
        reader = LokiFactReader(source, web)
        return (await reader.read([Fact("f", "F", "G", "l", LokiQuery(query), kind, pick)]))["f"]


async def test_lines_are_counted_listed_and_the_newest_is_shown(loki: tuple[str, SmallLoki]) -> None:
    url, _ = loki
    errors = '{container="cdb_risk"} |= "ERROR"'
    assert await ask(url, COUNT, errors) == Found(2)
    assert await ask(url, TEXT, errors) == Found("ERROR two")
    table = await ask(url, TABLE, errors)
    assert isinstance(table, Found)
    assert isinstance(table.value, Table)
    assert table.value.rows[0][1:] == ("container=cdb_risk", "ERROR two")
    assert await ask(url, FLOAT, 'sum(count_over_time({container="cdb_risk"}[5m]))') == Found(7.0)


async def test_no_such_line_is_zero_but_no_stream_at_all_is_missing(loki: tuple[str, SmallLoki]) -> None:
    url, small = loki
    assert await ask(url, COUNT, '{container="cdb_risk"} |= "FATAL"') == Found(0)
    assert small.asked[-1] == '{container="cdb_risk"}'
    # The label the given runbook names does not exist: its queries find nothing, ever.
    assert await ask(url, COUNT, '{container_name="cdb_postgres"} |= "error"') == Absent()


async def test_a_refused_query_is_no_zero(loki: tuple[str, SmallLoki]) -> None:
    found = await ask(loki[0], COUNT, '{} |= "x"')
    assert isinstance(found, Broken)
    assert "at least one" in found.why


async def test_nobody_there_is_a_source_that_did_not_answer() -> None:
    with pytest.raises(SourceError, match="nothing listens there"):
        await ask("http://127.0.0.1:9", COUNT, '{a="b"}')


async def test_lines_are_understood_beside_the_loop_that_stops_run_on(
    loki: tuple[str, SmallLoki], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(text: object, limit: int = 4096) -> SafeText:
        threads.append(threading.get_ident())
        return SafeText(text, limit)

    monkeypatch.setattr("backends.readers.loki.SafeText", noted)
    await ask(loki[0], TABLE, '{container="cdb_risk"}')
    assert threads
    assert threading.get_ident() not in threads


async def test_lines_beyond_the_limit_are_not_read_but_nobody_takes_the_others_for_all(
    loki: tuple[str, SmallLoki],
) -> None:
    query = LokiQuery('{container="cdb_risk"} |= "ERROR"', limit=1)
    made = [
        Fact("lines", "Lines", "", "loki", query, TABLE),
        Fact("many", "Many", "", "loki", query, COUNT),
        Fact("ones", "Ones", "", "loki", query, COUNT, where={"line": "~one"}),
    ]
    source = Source("loki", SourceKind.LOKI, "Loki", loki[0], every=1.0, deadline=2.0)
    web = Web()
    found = await LokiFactReader(source, web).read(made)
    await web.aclose()
    table, many = found["lines"], found["many"]
    assert isinstance(table, Found)
    assert isinstance(table.value, Table)
    assert ([str(row[2]) for row in table.value.rows], table.value.total) == (["ERROR two"], 2)
    assert many == Found(2, None)
    assert isinstance(found["ones"], Broken), "the line that meets it is one that was not read"
