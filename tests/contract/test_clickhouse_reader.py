"""ClickHouse's HTTP interface: what it is asked, and what each of its answers means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backends.demo.port import HttpPort
from backends.model.fact import Broken, Fact, Found, SourceError, Table, ValueType
from backends.model.query import SqlQuery
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers.clickhouse import ClickHouseFactReader
from backends.web import Web

COUNT = "SELECT count() AS n FROM event_store_raw_v1"


class House:
    """Answers statements by what they hold, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.texts: list[str] = []
        self.answer: Response = self.rows([{"n": 41}])
        self.pause = 0.0
        self.port = HttpPort(Starlette(routes=[Route("/", self._query, methods=["POST"])]))

    def rows(self, data: list[dict[str, Any]], total: int | None = None) -> Response:
        body: dict[str, Any] = {"meta": [], "data": data, "rows": len(data)}
        return Response(json.dumps(body | ({} if total is None else {"rows_before_limit_at_least": total})))

    async def _query(self, request: Request) -> Response:
        self.asked.append(request)
        self.texts.append((await request.body()).decode())
        await asyncio.sleep(self.pause)
        return self.answer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.port.open()
    yield made
    await made.port.close()


async def look(
    house: House, kind: ValueType = ValueType.INT, pick: str | None = "n", deadline: float = 10.0
) -> Any:
    source = Source(
        "events", SourceKind.CLICKHOUSE, "ClickHouse", house.port.url, every=30.0, deadline=deadline,
        username="reader", password=Secret("hunter2-hunter2"), options={"database": "hbot_events"},
    )  # fmt: skip
    fact = Fact("rows", "Rows", "Events", "events", SqlQuery(COUNT, 2), kind, pick)
    web = Web()
    try:
        return (await ClickHouseFactReader(source, web).read([fact]))["rows"]
    finally:
        await web.aclose()


async def test_a_statement_is_sent_bounded_and_read_only(house: House) -> None:
    assert await look(house) == Found(41)
    request = house.asked[0]
    assert request.query_params["readonly"] == "1" and request.query_params["database"] == "hbot_events"
    assert float(request.query_params["max_execution_time"]) <= 10.0
    assert request.headers["x-clickhouse-user"] == "reader"
    assert request.headers["x-clickhouse-key"] == "hunter2-hunter2"
    assert "hunter2" not in str(request.url)
    assert house.texts == [f"SELECT * FROM (\n{COUNT}\n) LIMIT 3 FORMAT JSON"]


async def test_many_rows_are_a_table_that_knows_how_many_there_are(house: House) -> None:
    house.answer = house.rows([{"t": "audit", "n": 3}, {"t": "fill", "n": 2}, {"t": "x", "n": 1}], total=9)
    found = await look(house, ValueType.TABLE, pick=None)
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert found.value.columns == ("t", "n") and found.value.total == 9 and len(found.value.rows) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            PlainTextResponse("Code: 60. DB::Exception: Table hbot_events.x does not exist.", 404),
            "statement failed: Code: 60.",
        ),
        (PlainTextResponse("Code: 516. DB::Exception: hbot: Authentication failed", 403), "refused (403)"),
        (PlainTextResponse('{"data": [{"n": 1}, {"n"\nCode: 241. Memory limit exceeded'), "JSON"),
        (PlainTextResponse("[1, 2]"), "does not answer as ClickHouse"),
        (PlainTextResponse('{"data": [{"n": "many"}]}'), "many"),
    ],
)  # fmt: skip
async def test_what_is_no_number_is_never_taken_for_one(house: House, answer: Response, why: str) -> None:
    house.answer = answer
    found = await look(house)
    assert isinstance(found, Broken) and why in found.why


async def test_a_server_that_hangs_or_is_gone_did_not_answer(house: House) -> None:
    house.pause = 5.0
    with pytest.raises(SourceError, match=r"no answer within 0\.45 s"):
        await look(house, deadline=0.5)
    await house.port.close()
    with pytest.raises(SourceError, match="refuses the connection"):
        await look(house)
