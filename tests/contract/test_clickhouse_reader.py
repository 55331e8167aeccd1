"""Facts from ClickHouse: from a real one and the demo's, and from one that says what newer ones do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from backends.demo.hummingbot_desk.clickhouse import INGEST, ClickHouse
from backends.demo.port import HttpPort
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, Value, ValueType
from backends.model.query import SqlQuery
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers.clickhouse import ClickHouseFactReader
from backends.web import Web
from tests.building import generations
from tests.conftest import started
from tests.contract.http_server import Answer, HttpServer
from tests.servers.clickhouse import DATABASE, PASSWORD, TABLE, USERS, ClickHouseServer, start_clickhouse
from tests.servers.process import wait_until

INT, FLOAT, TEXT, COUNT, TIME, ROWS = (
    ValueType.INT, ValueType.FLOAT, ValueType.TEXT, ValueType.COUNT, ValueType.TIME, ValueType.TABLE,
)  # fmt: skip
EVENTS = [
    {"event_id": f"e{number:03}", "event_type": kind, "source_line": number}
    for number, kind in enumerate(["audit"] * 2 + ["fill"] * 41 + ["order"] * 3)
]
ENDLESS = "SELECT count() AS n FROM system.numbers"
BREAKS_LATE = """
SELECT arrayStringConcat(arrayMap(x -> 'xxxxxxxxxx', range(1000))) AS n FROM system.numbers LIMIT 150
UNION ALL SELECT toString(throwIf(number = 7)) AS n FROM system.numbers LIMIT 10"""


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseServer]:
    server = started("clickhouse", start_clickhouse)
    yield server
    server.stop()


@pytest.fixture(params=["real", "demo"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of one that holds ``EVENTS``."""
    if request.param == "real":
        real = request.getfixturevalue("clickhouse")
        real.run(f"TRUNCATE TABLE {TABLE}")
        await asyncio.to_thread(insert, real.url)
        yield real.url
        return
    port = HttpPort(Starlette(routes=ClickHouse({"default": "", "reader": PASSWORD}).routes()))
    await port.open()
    await asyncio.to_thread(insert, port.url)
    yield port.url
    await port.close()


def insert(url: str) -> None:
    asked = {"database": DATABASE, "query": f"INSERT INTO {TABLE} FORMAT JSONEachRow"}
    lines = "\n".join(json.dumps(event) for event in EVENTS)
    urllib.request.urlopen(f"{url}/?{urlencode(asked)}", lines.encode(), timeout=10.0).close()


def source(url: str, **other: Any) -> Source:
    plain = Source(
        "clickhouse", SourceKind.CLICKHOUSE, "ClickHouse", url, every=30.0, deadline=10.0,
        username="reader", password=Secret(PASSWORD), options={"database": DATABASE},
    )  # fmt: skip
    return replace(plain, **other)


async def look(
    place: Source, text: str, kind: ValueType, pick: str | None = None, limit: int = 200
) -> Finding:
    fact = Fact("f", "F", "Events", place.id, SqlQuery(text, limit), kind, pick)
    async with Web() as web:
        return (await ClickHouseFactReader(place, web).read([fact]))["f"]


async def why(place: Source, text: str, kind: ValueType = INT) -> str:
    """Why that is no value."""
    found = await look(place, text, kind)
    assert isinstance(found, Broken), found
    return str(found.why)


async def test_every_statement_of_the_desk_is_answered(house: str) -> None:
    stack = generations("hummingbot-desk")["R0"]
    facts = [each for each in stack.facts.values() if each.source == "clickhouse"]
    place = replace(stack.sources["clickhouse"], url=house)
    async with Web() as web:
        found = await ClickHouseFactReader(place, web).read(facts)
    assert found["ch.count"] == Found(46)
    types = found["ch.types"]
    assert isinstance(types, Found) and isinstance(types.value, Table)
    assert types.value.columns == ("event_type", "n") and types.value.total == 3
    assert [tuple(map(str, row)) for row in types.value.rows] == [
        ("fill", "41"),
        ("order", "3"),
        ("audit", "2"),
    ]


async def test_the_demos_ingest_puts_each_event_there_as_often_as_it_is_run_anew(
    house: str, tmp_path: Path
) -> None:
    reports, port = tmp_path / "reports", int(house.rpartition(":")[2])
    (reports / "event_store").mkdir(parents=True)
    (reports / "clickhouse_ingest").mkdir()
    (reports / "event_store" / "events_1.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in EVENTS))
    (tmp_path / "main.py").write_text(INGEST.format(port=port))
    for _ in range(2):
        (reports / "clickhouse_ingest" / "state.json").unlink(missing_ok=True)
        env = os.environ | {"PYTHONPATH": str(tmp_path), "CH_HOST": "127.0.0.1"}
        run = await asyncio.create_subprocess_exec(sys.executable, tmp_path / "main.py", "--once", env=env)
        assert await run.wait() == 0
        assert json.loads((reports / "clickhouse_ingest" / "latest.json").read_text())["status"] == "pass"
    assert await look(source(house), f"SELECT count() AS n FROM {TABLE}", INT, "n") == Found(3 * 46)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (f"SELECT event_id FROM {TABLE} ORDER BY source_line DESC LIMIT 1", TEXT, "e045"),
        (f"SELECT event_id FROM {TABLE} WHERE event_type = 'order'", COUNT, 3),
        (f"SELECT event_id FROM {TABLE} ORDER BY source_line LIMIT 5", COUNT, 5),
        (f"SELECT count(*) FROM {TABLE}", COUNT, 46),
        (f"SELECT source_line FROM {TABLE} WHERE event_id = 'e007'; ", INT, 7),
        ("SELECT 1 AS n -- a comment to the end", INT, 1),
    ],
)
async def test_rows_are_those_of_the_statement(
    house: str, text: str, kind: ValueType, expected: Value
) -> None:
    assert await look(source(house), text, kind) == Found(expected)


async def test_of_more_rows_than_may_be_kept_one_more_is_counted(house: str) -> None:
    found = await look(source(house), f"SELECT event_id FROM {TABLE} ORDER BY source_line", ROWS, limit=10)
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert [str(row[0]) for row in found.value.rows] == [f"e{number:03}" for number in range(10)]
    assert found.value.total == 11


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT n FROM no_such_table", "Code: 60"),
        (f"SELECT no_such_column FROM {TABLE}", "Code: 47"),
        ("SELECT no_such_function(1) AS n", "Code: 46"),
        ("SELECT FROM WHERE", "Code: 62"),
        (f"INSERT INTO {TABLE} (event_id) VALUES ('x')", "Code: 62"),
        ("SELECT 'many' AS n", "'many'"),
        ("SELECT 1 AS a, 2 AS b", "2 columns"),
        (f"SELECT source_line FROM {TABLE} LIMIT 2", "2 rows"),
    ],
)
async def test_what_is_no_number_is_never_taken_for_one(house: str, text: str, said: str) -> None:
    assert said in await why(source(house), text)
    assert await look(source(house), f"SELECT count() AS n FROM {TABLE}", INT) == Found(46)


@pytest.mark.parametrize("options", [{}, {"database": "no_such_database"}])
async def test_a_table_is_looked_for_in_the_database_that_is_named(
    house: str, options: dict[str, str]
) -> None:
    said = await why(source(house, options=options), f"SELECT count() AS n FROM {TABLE}")
    assert said.startswith("statement failed: Code: ") and (options.get("database") or "default.") in said


@pytest.mark.parametrize("who", [{"password": Secret("wrong")}, {"password": None}, {"username": "nobody"}])
async def test_who_is_not_known_is_refused(house: str, who: dict[str, Any]) -> None:
    said = await why(source(house, **who), "SELECT 1 AS n")
    assert said in {f"refused ({status}): the credentials are not accepted" for status in (401, 403)}


async def test_what_is_no_number_is_not_missing_and_no_value_is(clickhouse: ClickHouseServer) -> None:
    place = source(clickhouse.url)
    for text in ("SELECT 0/0 AS n", "SELECT -1/0 AS n", "SELECT avg(x) FROM (SELECT 1 AS x) WHERE x > 1"):
        said = await why(place, text, FLOAT)
        assert "a number expected" in said
    assert isinstance(await look(place, "SELECT NULL AS n", FLOAT), Absent)


async def test_whole_numbers_are_exact(clickhouse: ClickHouseServer) -> None:
    place = source(clickhouse.url)
    assert await look(place, "SELECT toUInt64(9007199254740993) AS n", INT) == Found(9007199254740993)
    assert await look(place, "SELECT toInt64(-9007199254740993) AS n", INT) == Found(-9007199254740993)
    assert await why(place, "SELECT toUInt64(18446744073709551615) AS n") == "is too large a number"


@pytest.mark.parametrize(
    "moment",
    [
        "toDateTime(1790000000)",
        "toDateTime(1790000000, 'UTC')",
        "toDateTime(1790000000, 'America/New_York')",
        "CAST(toDateTime(1790000000) AS Nullable(DateTime))",
        "toUnixTimestamp(toDateTime(1790000000))",
    ],
)
async def test_a_time_is_the_same_whatever_zone_the_server_or_its_column_is_in(
    clickhouse: ClickHouseServer, moment: str
) -> None:
    assert await look(source(clickhouse.url), f"SELECT {moment} AS t", TIME) == Found(1790000000.0)


async def test_what_is_no_time_is_none(clickhouse: ClickHouseServer) -> None:
    place = source(clickhouse.url)
    assert isinstance(await look(place, "SELECT CAST(NULL AS Nullable(DateTime)) AS t", TIME), Absent)
    assert "a time expected" in await why(place, "SELECT toDateTime(0) AS t", TIME)


async def test_a_user_who_may_only_read_is_answered_and_one_who_may_set_no_limits_is_told_why_not(
    clickhouse: ClickHouseServer,
) -> None:
    assert set(USERS) == {"reader", "wall", "locked", "tight"}
    assert await look(source(clickhouse.url, username="wall"), "SELECT 1 AS n", INT) == Found(1)
    with pytest.raises(urllib.error.HTTPError):
        clickhouse.run(f"INSERT INTO {TABLE} (event_id) VALUES ('x')", readonly=2)
    said = await why(source(clickhouse.url, username="locked"), "SELECT 1 AS n")
    assert said == "this user may set no limits: its profile needs readonly = 2, or none"


async def test_a_statement_that_fails_after_its_first_rows_says_so(clickhouse: ClickHouseServer) -> None:
    assert "Code: 395" in await why(source(clickhouse.url), BREAKS_LATE, ROWS)
    said = await why(source(clickhouse.url, username="tight"), f"SELECT count() AS n FROM {TABLE}")
    assert "Memory limit" in said


async def test_a_long_answer_is_not_read_to_its_end(clickhouse: ClickHouseServer) -> None:
    text = BREAKS_LATE.partition("UNION")[0]
    assert await why(source(clickhouse.url), text, ROWS) == "answer is more than 1024 KiB"


@pytest.mark.alone
async def test_a_statement_that_takes_too_long_is_ended_at_the_server(clickhouse: ClickHouseServer) -> None:
    def runs() -> bool:
        return "LIMIT 201" in clickhouse.run("SELECT query FROM system.processes")

    assert "Code: 159" in await why(source(clickhouse.url, deadline=2.2), ENDLESS)
    # Given up by the room before the server has counted its shortest limit.
    with pytest.raises(SourceError, match=r"no answer within 0\.45 s"):
        await look(source(clickhouse.url, deadline=0.5), ENDLESS, INT)
    wait_until(lambda: not runs(), 10.0, "its end")


async def test_a_server_that_hangs_did_not_answer_and_one_that_is_gone_refuses() -> None:
    server = started("clickhouse", start_clickhouse)
    try:
        place = source(server.url)
        async with Web() as web:
            # What must be answered may take its time on a busy machine; they share all connections.
            reader = ClickHouseFactReader(place, web)
            hasty = ClickHouseFactReader(replace(place, deadline=0.5), web)
            fact = Fact("f", "F", "Events", place.id, SqlQuery("SELECT 1 AS n"), INT)
            assert await reader.read([fact]) == {"f": Found(1)}
            server.child.pause()
            with pytest.raises(SourceError, match=r"no answer within 0\.45 s"):
                await hasty.read([fact])
            server.child.resume()
            assert await reader.read([fact]) == {"f": Found(1)}
            server.child.stop()
            with pytest.raises(SourceError, match="refuses the connection"):
                await reader.read([fact])
    finally:
        server.stop()


NEWER = [
    (
        Answer(200, b'{"meta": [], "data": [{"n": 41}], "rows": 1, "exception": "Code: 241. Memory limit"}'),
        "statement failed: Code: 241. Memory limit",
    ),
    (
        Answer(500, b'{"meta": [], "data": [], "rows": 0, "exception": "Code: 395. Value passed\\nis"}'),
        "statement failed: Code: 395. Value passed is",
    ),
    (
        Answer(403, b"Code: 516. DB::Exception: reader: Authentication failed"),
        "refused (403): the credentials are not accepted",
    ),
    (
        Answer(403, b"Code: 497. DB::Exception: reader: Not enough privileges."),
        "statement failed: Code: 497. DB::Exception: reader: Not enough privileges.",
    ),
    (
        Answer(500, b"Code: 164. DB::Exception: Cannot modify 'readonly' setting in readonly mode."),
        "this user may set no limits: its profile needs readonly = 2, or none",
    ),
    (Answer(200, b'{"data": [{"n": 1}, {"n"\nCode: 241. Memory limit exceeded'), "not JSON"),
    (
        Answer(200, b'{"meta": [{"name": "t", "type": "DateTime"}], "data":[{"t": "","room_zone": "Mars"}]}'),
        "holds a time of the zone 'Mars', which is not known here",
    ),
    (Answer(200, b"[1, 2]"), "does not answer as ClickHouse"),
    (Answer(502, b""), "statement failed: 502"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "said"), NEWER)
async def test_what_a_newer_one_or_another_server_says_is_no_number_either(answer: Answer, said: str) -> None:
    async with HttpServer() as server:
        server.otherwise = answer
        assert await why(source(server.url), "SELECT 41 AS n") == said


@pytest.mark.parametrize("kind", ["DateTime64(3)", "Nullable(DateTime64(3, 'Europe/Berlin'))"])
async def test_a_time_of_a_newer_one_has_its_zone_too(kind: str) -> None:
    row = {"t": "2026-09-21 16:13:20.500", "room_zone": "Europe/Berlin"}
    async with HttpServer() as server:
        answer = {"meta": [{"name": "t", "type": kind}], "data": [row]}
        server.otherwise = Answer(200, json.dumps(answer).encode())
        assert await look(source(server.url), "SELECT t", TIME) == Found(1790000000.5)


async def test_a_password_is_never_part_of_an_address() -> None:
    async with HttpServer() as server:
        await why(source(server.url), "SELECT 1 AS n")
    asked = server.requests[0]
    assert asked.method == "POST" and "hunter" not in asked.target and "hünter" not in asked.target
    assert asked.headers["authorization"] == f"Basic {b64encode(f'reader:{PASSWORD}'.encode()).decode()}"
