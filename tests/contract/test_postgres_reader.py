"""PostgreSQL is read in a session that cannot write; each query fails alone and nothing waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, ValueType
from backends.model.query import SqlQuery
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers import postgres
from backends.readers.postgres import PostgresFactReader
from tests.contract.faulty import Fault, Faulty
from tests.servers.postgres import PostgresServer

TEXT, INT, FLOAT, BOOL = ValueType.TEXT, ValueType.INT, ValueType.FLOAT, ValueType.BOOL
TIME, COUNT, TABLE = ValueType.TIME, ValueType.COUNT, ValueType.TABLE

SCHEMA = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
CREATE TABLE positions (symbol text PRIMARY KEY, qty numeric, updated_at timestamptz, metadata jsonb);
INSERT INTO positions VALUES
  ('AAPL', 150.50, '2026-11-21 15:31:02.5+00', '{"by": {"name": "kim"}}'), ('MSFT', -3, NULL, NULL);
CREATE TABLE audit AS SELECT n AS id, 'event ' || n AS action FROM generate_series(1, 5000) AS n;
CREATE TABLE secret_rows (n int);
"""


def fact(sql: str, kind: ValueType = INT, pick: str | None = None, limit: int = 200, **more: Any) -> Fact:
    return Fact(f"{sql} {kind.value} {pick}", "F", "g", "pg", SqlQuery(sql, limit), kind, pick, **more)


def source(url: str, deadline: float = 10.0, **more: Any) -> Source:
    return Source("pg", SourceKind.POSTGRES, "PostgreSQL", url, every=3.0, deadline=deadline, **more)


@asynccontextmanager
async def reading(url: str, **more: Any) -> AsyncIterator[PostgresFactReader]:
    reader = PostgresFactReader(source(url, **more))
    try:
        yield reader
    finally:
        await reader.close()


async def read_one(url: str, asked: Fact, **more: Any) -> Finding:
    async with reading(url, **more) as reader:
        return (await reader.read([asked]))[asked.id]


async def value(url: str, asked: Fact) -> Any:
    found = await read_one(url, asked)
    assert isinstance(found, Found), found
    return found.value


def said(found: Finding) -> str:
    assert isinstance(found, Broken), found
    return str(found.why)


async def why(url: str, asked: Fact, **more: Any) -> str:
    return said(await read_one(url, asked, **more))


async def failure(url: str, **more: Any) -> str:
    async with reading(url, **more) as reader:
        with pytest.raises(SourceError) as caught:
            await reader.read([fact("SELECT 1")])
        return str(caught.value)


def port_of(dsn: str) -> int:
    return int(str(psycopg.conninfo.conninfo_to_dict(dsn)["port"]))


def through(door: Faulty, dsn: str) -> str:
    return dsn.replace(f":{port_of(dsn)}/", f":{door.port}/")


@pytest.fixture
def dsn(postgres_dsn: str) -> Iterator[str]:
    """A database of this test's own."""
    with psycopg.connect(postgres_dsn, autocommit=True) as link:
        link.execute("DROP DATABASE IF EXISTS reading WITH (FORCE)")
        link.execute("CREATE DATABASE reading")
    url = postgres_dsn.rsplit("/", 1)[0] + "/reading"
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    yield url
    with psycopg.connect(postgres_dsn, autocommit=True) as link:
        link.execute("DROP DATABASE reading WITH (FORCE)")


async def test_a_query_becomes_a_value_of_the_facts_type(dsn: str) -> None:
    one = "SELECT * FROM positions WHERE symbol = 'AAPL'"
    assert await value(dsn, fact("SELECT count(*) AS n FROM positions;", INT, "n")) == 2
    assert await value(dsn, fact("SELECT count(*) FROM audit -- all of it", COUNT)) == 5000
    assert await value(dsn, fact("SELECT id FROM audit", COUNT)) == 5000
    assert await value(dsn, fact("SELECT symbol FROM positions WHERE qty > 999", COUNT)) == 0
    assert await value(dsn, fact(one, FLOAT, "qty")) == 150.5
    assert await value(dsn, fact(one, TEXT, "symbol")) == "AAPL"
    assert await value(dsn, fact(one, TEXT, "metadata.by.name")) == "kim"
    assert await value(dsn, fact(one, TIME, "updated_at")) == 1_795_275_062.5
    assert await value(dsn, fact("SELECT bool_and(qty > 0) FROM positions", BOOL)) is False
    assert await value(dsn, fact("SHOW server_encoding", TEXT)) == "UTF8"
    aged = fact(one, FLOAT, "qty", observed="updated_at")
    assert await read_one(dsn, aged) == Found(150.5, 1_795_275_062.5)


async def test_a_table_keeps_order_and_columns_is_cut_at_its_limit_and_says_how_many_there_are(
    dsn: str,
) -> None:
    table: Table = await value(dsn, fact("SELECT action, id FROM audit ORDER BY id DESC", TABLE, limit=3))
    assert table.columns == ("action", "id")
    assert table.rows == (("event 5000", "5000"), ("event 4999", "4999"), ("event 4998", "4998"))
    assert table.total == 5000


async def test_nothing_found_is_missing_and_not_zero(dsn: str) -> None:
    assert await read_one(dsn, fact("SELECT qty FROM positions WHERE symbol = 'TSLA'", FLOAT)) == Absent()
    assert await read_one(dsn, fact("SELECT sum(n) FROM secret_rows", INT)) == Absent()
    assert await read_one(dsn, fact("SELECT metadata FROM positions WHERE qty < 0", TEXT)) == Absent()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (fact("SELECT count(*) FROM orders"), "table orders does not exist"),
        (fact("SELECT size FROM positions"), "column size does not exist"),
        (fact("SELECT 1 / 0"), "query failed: division by zero"),
        (fact("SELEKT 1"), "is not one SELECT statement"),
        (fact("SELECT 1) AS a; DELETE FROM audit; SELECT (1"), "is not one SELECT statement"),
        (fact("SELECT pg_sleep(30)"), "no answer within 2 s"),
        (fact("SELECT qty FROM positions"), "2 rows, one expected"),
        (fact("SELECT symbol FROM positions WHERE qty > 0", INT), "is 'AAPL', a number expected"),
        (fact("SELECT 'NaN'::numeric", FLOAT), "is 'NaN', a number expected"),
        (fact("SELECT 'Infinity'::float8", FLOAT), "is 'Infinity', a number expected"),
        (fact("SELECT 'true'", BOOL), "is 'true', true or false expected"),
        (fact("SELECT ''", TEXT), "is empty, text expected"),
        (fact("SELECT repeat('x', 2000000)", TEXT), "a row is more than 64 KiB"),
        (fact("SELECT 1, 2"), "not JSON: member '?column?' is there twice"),
        (fact("SELECT nextval('numbers')"), "table numbers does not exist"),
    ],
    ids=lambda part: part.id if isinstance(part, Fact) else "",
)
async def test_a_query_that_fails_says_why_and_the_others_still_answer(
    dsn: str, asked: Fact, reason: str
) -> None:
    good = [fact("SELECT count(*) AS n FROM positions", INT, "n"), fact("SELECT 7 AS n", INT, "n")]
    async with reading(dsn, options={"statement_timeout": "2s"}) as reader:
        found = await reader.read([good[0], asked, good[1]])
    assert said(found[asked.id]) == reason
    assert [found[each.id] for each in good] == [Found(2), Found(7)]


async def test_text_of_another_encoding_breaks_only_its_own_fact(dsn: str) -> None:
    asked = [
        fact("SELECT set_config('client_encoding', 'LATIN1', false) AS e", TEXT),
        fact("SELECT 'caf' || chr(233) AS word", TEXT, "word"),
        fact("SELECT 7 AS n", INT, "n"),
    ]
    async with reading(dsn) as reader:
        found = await reader.read(asked)
    assert "is not UTF-8 text" in said(found[asked[1].id])
    assert found[asked[2].id] == Found(7)


async def test_the_session_cannot_write_even_when_the_text_tries(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("CREATE SEQUENCE numbers")
        link.execute("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM audit RETURNING 1'")
    for text in ("SELECT nextval('numbers')", "SELECT wipe()"):
        assert await why(dsn, fact(text)) == "would write: refused, this session only reads"
    assert "not one SELECT" in await why(dsn, fact("DELETE FROM audit"))
    assert await value(dsn, fact("SELECT count(*) AS n FROM audit", INT, "n")) == 5000


async def test_the_session_is_named_and_kept_between_polls(dsn: str) -> None:
    asked = fact(
        "SELECT pid, application_name AS who FROM pg_stat_activity WHERE pid = pg_backend_pid()", TABLE
    )
    async with reading(dsn) as reader:
        first = await reader.read([asked])
        assert await reader.read([asked]) == first
    found = first[asked.id]
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert found.value.rows[0][1] == "controlroom"


async def test_facts_with_the_same_query_ask_it_once(dsn: str) -> None:
    text = "SELECT symbol, qty FROM positions WHERE symbol = 'AAPL'"
    asked = [fact(text, TEXT, "symbol"), fact(text, FLOAT, "qty")]
    async with Faulty(port_of(dsn)) as door, reading(through(door, dsn)) as reader:
        await reader.read(asked)
        door.forget()
        found = await reader.read(asked)
        assert (door.sent.count(b"symbol, qty"), door.bursts, door.connections) == (1, 1, 0)
    assert list(found.values()) == [Found("AAPL"), Found(150.5)]


async def test_all_that_is_asked_goes_in_one_round_trip_however_much_it_is(dsn: str) -> None:
    asked = [fact(f"SELECT {number} AS n", INT, "n") for number in range(40)]
    async with Faulty(port_of(dsn)) as door, reading(through(door, dsn)) as reader:
        await reader.read(asked)
        door.forget()
        assert list((await reader.read(asked)).values()) == [Found(number) for number in range(40)]
        assert (door.bursts, door.connections) == (1, 0)
    # More than any socket holds, so that it cannot all be sent at once.
    long = fact(f"SELECT length('{'x' * 20_000_000}') AS n", INT, "n")
    async with reading(dsn) as reader:
        assert list((await reader.read([long, asked[1]])).values()) == [Found(20_000_000), Found(1)]


async def test_a_connection_the_server_ends_in_the_middle_has_answered_what_came_before(dsn: str) -> None:
    asked = [
        fact("SELECT 7 AS n", INT, "n"),
        fact("SELECT pg_terminate_backend(pg_backend_pid()) AS b", BOOL, "b"),
        fact("SELECT 8 AS n", INT, "n"),
    ]
    async with reading(dsn) as reader:
        found = await reader.read(asked)
        assert found[asked[0].id] == Found(7)
        lost = f"127.0.0.1:{port_of(dsn)} closed the connection"
        assert [said(found[each.id]) for each in asked[1:]] == [lost, lost]
        assert await reader.read([asked[2]]) == {asked[2].id: Found(8)}


async def test_a_connection_that_owes_an_answer_is_not_asked_again(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer owed would be taken for that to the next question."""
    asked = [fact(f"SELECT {number} AS n", INT, "n") for number in range(3)]
    async with reading(dsn) as reader:
        with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
            broken.setattr(postgres, "rows_of", lambda *_: 1 / 0)
            await reader.read(asked)
        assert list((await reader.read(asked)).values()) == [Found(0), Found(1), Found(2)]


async def test_a_connection_the_server_ended_is_made_anew_without_a_failed_poll(dsn: str) -> None:
    asked = fact("SELECT pg_backend_pid() AS pid", INT, "pid")
    async with reading(dsn) as reader:
        first = (await reader.read([asked]))[asked.id]
        assert isinstance(first, Found)
        with psycopg.connect(dsn, autocommit=True) as link:
            link.execute("SELECT pg_terminate_backend(%s, 2000)", [first.value])
        second = (await reader.read([asked]))[asked.id]
    assert isinstance(second, Found) and second != first


@pytest.mark.alone
async def test_what_there_was_no_time_for_is_asked_first_the_next_time(dsn: str) -> None:
    slow = [fact(f"SELECT pg_sleep({9 + number})") for number in range(3)]
    asked, quick = fact("SELECT 7 AS n", INT, "n"), {"statement_timeout": "700ms"}
    async with reading(dsn, deadline=2.0, options=quick) as reader:
        found = await reader.read([*slow, asked])
        assert said(found[slow[0].id]) == "no answer within 0.7 s"
        assert said(found[asked.id]) == "no answer within 1.8 s"
        assert (await reader.read([*slow, asked]))[asked.id] == Found(7)


@pytest.mark.alone
async def test_a_hang_in_the_middle_breaks_only_what_was_not_answered_and_ends_in_time(dsn: str) -> None:
    asked = [fact(f"SELECT {number} AS n", INT, "n") for number in range(3)]
    async with Faulty(port_of(dsn)) as door, reading(through(door, dsn), deadline=0.6) as reader:
        await reader.read(asked)
        door.hold(b"SELECT 1 AS n")
        started = time.monotonic()
        found = await reader.read(asked)
        assert time.monotonic() - started < 0.6
        assert found[asked[0].id] == Found(0)
        assert [said(found[each.id]) for each in asked[1:]] == ["no answer within 0.54 s"] * 2
        door.hold(None)
        assert list((await reader.read(asked)).values()) == [Found(0), Found(1), Found(2)]


@pytest.mark.parametrize("is_connected", [True, False], ids=["kept connection", "new connection"])
@pytest.mark.alone
async def test_a_hung_server_fails_the_source_in_time_also_when_cancelled(
    dsn: str, is_connected: bool
) -> None:
    asked = [fact("SELECT 1 AS n", INT, "n")]
    async with Faulty(port_of(dsn)) as door, reading(through(door, dsn), deadline=0.5) as reader:
        if is_connected:
            await reader.read(asked)
        door.fault = Fault.HANG
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0\.45 s"):
            await reader.read(asked)
        task = asyncio.create_task(reader.read(asked))
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 0.8
        door.fault = Fault.NONE
        assert (await reader.read(asked))[asked[0].id] == Found(1)


async def test_a_lock_held_by_somebody_else_breaks_one_fact_and_is_not_waited_for(dsn: str) -> None:
    asked = [fact("SELECT count(*) AS n FROM audit", INT, "n"), fact("SELECT 1 AS n", INT, "n")]
    with psycopg.connect(dsn) as blocker:
        blocker.execute("LOCK TABLE audit")
        async with reading(dsn, options={"statement_timeout": "2s"}) as reader:
            found = await reader.read(asked)
    assert said(found[asked[0].id]) == "no answer within 2 s"
    assert found[asked[1].id] == Found(1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.GARBAGE, "does not answer as a PostgreSQL server"), (Fault.CLOSE, "closed the connection")],
)
async def test_a_server_of_another_kind_is_named_as_such(dsn: str, fault: Fault, reason: str) -> None:
    async with Faulty(fault=fault) as door:
        assert await failure(f"postgresql://x@127.0.0.1:{door.port}/d") == f"127.0.0.1:{door.port} {reason}"
    asked = [fact(f"SELECT {number} AS n", INT, "n") for number in range(3)]
    async with Faulty(port_of(dsn)) as door, reading(through(door, dsn)) as reader:
        await reader.read(asked)
        door.fault = fault  # of a connection that was good
        with pytest.raises(SourceError, match=f"127.0.0.1:{door.port} {reason}"):
            await reader.read(asked)
        door.fault = Fault.NONE
        assert list((await reader.read(asked)).values()) == [Found(0), Found(1), Found(2)]


async def test_each_way_not_to_get_in_has_its_own_words(dsn: str) -> None:
    place = f"127.0.0.1:{port_of(dsn)}"
    refused = "127.0.0.1:1 refuses the connection: nothing listens there"
    assert await failure("postgresql://x@127.0.0.1:1/d") == refused
    assert await failure(dsn + "s") == f"{place} has no database readings"
    assert await failure(dsn, username="nobody_here") == f"{place} has no user nobody_here"
    assert "a name that is not known here" in await failure("postgresql://no.invalid/d")
    assert await failure("gopher://x") == "its address is not one of a PostgreSQL server"


async def test_a_refused_password_is_said_and_never_shown(dsn: str, postgres_server: PostgresServer) -> None:
    right, wrong = Secret("s3cret-canary"), Secret("wr0ng-canary-0123456789")
    with postgres_server.guarded("guarded", "s3cret-canary"):
        refused = await failure(dsn, username="guarded", password=wrong)
        assert refused == f"127.0.0.1:{port_of(dsn)} refuses the password"
        assert (await failure(dsn, username="guarded")).endswith("wants a password and none is configured")
        guarded = {"username": "guarded", "password": right}
        assert await read_one(dsn, fact("SELECT 1 AS n"), **guarded) == Found(1)
        assert await why(dsn, fact("SELECT id FROM audit"), **guarded) == "not permitted: table audit"


async def test_closed_under_a_question_it_ends_that_and_takes_nothing_from_under_it(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq's memory must not be given back while psycopg still waits for an answer in it."""
    asked, busy = fact("SELECT pg_sleep(60)", TEXT), set[asyncio.Future[Any]]()
    close = psycopg.AsyncConnection.close

    async def closed(connection: Any) -> None:
        assert not any(not each.done() for each in busy), "closed under a question"
        await close(connection)

    monkeypatch.setattr(psycopg.AsyncConnection, "close", closed)
    reader = PostgresFactReader(source(dsn, deadline=30.0))
    await reader.read([fact("SELECT 1")])
    question = asyncio.ensure_future(reader.read([asked]))
    busy.add(question)
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    await reader.close()
    with pytest.raises(SourceError):
        await asyncio.wait_for(question, 10)
    assert time.monotonic() - begun < 10


async def test_closed_and_cancelled_under_a_question_it_says_nothing_on_the_terminal(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the room is left: a cancellation in psycopg asks the server again, and complains aloud."""
    reader = PostgresFactReader(source(dsn, deadline=30.0))
    await reader.read([fact("SELECT 1")])
    question = asyncio.ensure_future(reader.read([fact("SELECT pg_sleep(60)", TEXT)]))
    await asyncio.sleep(0.2)
    question.cancel()
    await reader.close()
    with pytest.raises(asyncio.CancelledError):
        await question
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
    assert caplog.text == ""
