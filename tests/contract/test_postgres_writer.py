"""One statement, one transaction, on a real PostgreSQL: committed as a whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from backends.model.action import HttpCall, SqlStatement
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import Source, SourceKind
from backends.writers.postgres import PostgresEffector
from tests.contract.faulty import Fault, Faulty
from tests.servers.postgres import PostgresServer

DONE, FAILED, UNKNOWN = ReceiptKind.DONE, ReceiptKind.FAILED, ReceiptKind.UNKNOWN
VALUES = {"operator": "kim", "reason": "it's 5'; DROP TABLE act; --", "id": 2, "details": {"a": [1, "x"]}}
CANCEL = SqlStatement(
    "postgres",
    "UPDATE act SET status = 'cancelled', by = %(by)s WHERE id = %(id)s AND status = 'open'",
    {"by": "$operator", "id": "$id"},
    rows=1,
)


class Table:
    """Three open rows, and a connection of the test's own to look at them."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.link = psycopg.connect(dsn, autocommit=True)
        self.ask("DROP TABLE IF EXISTS act")
        self.ask("CREATE TABLE act (id int PRIMARY KEY, status text, by text, details jsonb)")
        self.ask("INSERT INTO act VALUES (1, 'open'), (2, 'open'), (3, 'open')")

    def ask(self, text: str) -> list[Any]:
        cursor = self.link.execute(text.encode())
        return cursor.fetchall() if cursor.description else []

    def statuses(self) -> list[str]:
        return [row[0] for row in self.ask("SELECT status FROM act ORDER BY id")]


@pytest.fixture
def table(postgres_dsn: str) -> Iterator[Table]:
    table = Table(postgres_dsn)
    try:
        yield table
    finally:
        table.ask("DROP TABLE IF EXISTS act")
        table.link.close()


async def act(
    dsn: str, action: SqlStatement, deadline: float = 10.0, connect: float = 10.0, **values: Any
) -> Receipt:
    source = Source("postgres", SourceKind.POSTGRES, "PostgreSQL", dsn, 1.0, 1.0)
    effector = PostgresEffector(source)
    await effector.warm()
    step = Step("s", "Do it", action, (), connect=connect, deadline=deadline)
    return await effector.act(action, {**VALUES, **values}, step)


def through(dsn: str, port: int) -> str:
    real = urlsplit(dsn).port
    return dsn.replace(f":{real}/", f":{port}/")


async def test_the_expected_rows_are_changed_and_committed(table: Table) -> None:
    receipt = await act(table.dsn, CANCEL)
    assert (receipt.kind, receipt.text) == (DONE, "1 row touched, committed")
    assert table.ask("SELECT id, by FROM act WHERE status = 'cancelled'") == [(2, "kim")]


async def test_any_other_number_of_rows_is_rolled_back(table: Table) -> None:
    receipt = await act(table.dsn, CANCEL, id=9)
    assert (receipt.kind, receipt.text) == (FAILED, "0 rows touched instead of 1: rolled back")
    every = SqlStatement("postgres", "UPDATE act SET status = 'gone'", rows=1)
    receipt = await act(table.dsn, every)
    assert (receipt.kind, receipt.text) == (FAILED, "3 rows touched instead of 1: rolled back")
    assert table.statuses() == ["open"] * 3


async def test_a_value_stays_a_value(table: Table) -> None:
    note = SqlStatement(
        "postgres",
        "UPDATE act SET by = %(why)s, details = %(details)s WHERE id = 1",
        {"why": "$reason", "details": "$details"},
    )
    assert (await act(table.dsn, note)).kind is DONE
    assert table.ask("SELECT by, details FROM act WHERE id = 1") == [
        ("it's 5'; DROP TABLE act; --", {"a": [1, "x"]})
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("UPDATE act SET status = 'x'; UPDATE act SET by = 'x'", "multiple commands"),
        ("UPDATE act SET nonsense = 1", "nonsense"),
        ("INSERT INTO act (id) VALUES (1)", "duplicate key"),
        ("UPDATE act SET by = %(nobody)s", "nobody"),
        ("UPDATE act SET by = %s", ""),
        ("VACUUM", "transaction block"),
    ],
)
async def test_what_the_server_refuses_changed_nothing(table: Table, text: str, words: str) -> None:
    receipt = await act(table.dsn, SqlStatement("postgres", text))
    assert receipt.kind is FAILED, receipt.text
    assert words in receipt.text
    assert table.statuses() == ["open"] * 3


async def test_a_value_that_no_database_can_hold_changes_nothing(table: Table) -> None:
    for text in ("\x00", "\ud800"):
        receipt = await act(table.dsn, CANCEL, operator=text)
        assert receipt.kind is FAILED
    assert table.statuses() == ["open"] * 3


async def test_a_statement_that_ends_its_transaction_is_not_vouched_for(table: Table) -> None:
    assert (await act(table.dsn, SqlStatement("postgres", "COMMIT"))).kind is UNKNOWN


@pytest.mark.alone
async def test_a_statement_that_waits_too_long_is_rolled_back_in_time(table: Table) -> None:
    table.ask("BEGIN")
    table.ask("UPDATE act SET by = 'other' WHERE id = 2")
    began = time.monotonic()
    receipt = await act(table.dsn, CANCEL, deadline=2.0)
    assert time.monotonic() - began < 3.0
    table.ask("ROLLBACK")
    assert receipt.kind is FAILED
    assert "took too long and was rolled back" in receipt.text
    assert table.statuses() == ["open"] * 3


async def test_a_check_that_fails_at_the_commit_is_a_refusal(table: Table) -> None:
    table.ask("CREATE TABLE act_of (id int REFERENCES act DEFERRABLE INITIALLY DEFERRED)")
    try:
        receipt = await act(table.dsn, SqlStatement("postgres", "INSERT INTO act_of VALUES (9)", rows=1))
        assert receipt.kind is FAILED
        assert "act_of" in receipt.text
        assert table.ask("SELECT * FROM act_of") == []
    finally:
        table.ask("DROP TABLE act_of")


@pytest.mark.parametrize(("held", "kind"), [(b"BEGIN", FAILED), (b"UPDATE", UNKNOWN), (b"COMMIT", UNKNOWN)])
@pytest.mark.alone
async def test_silence_is_in_doubt_from_the_statement_on(
    table: Table, held: bytes, kind: ReceiptKind
) -> None:
    async with Faulty(urlsplit(table.dsn).port) as door:
        door.hold(held)
        began = time.monotonic()
        receipt = await act(through(table.dsn, door.port), CANCEL, deadline=0.5)
        assert time.monotonic() - began < 1.2
    assert receipt.kind is kind, receipt.text
    assert "no answer within 500 ms" in receipt.text


async def test_a_commit_whose_answer_is_lost_is_in_doubt(table: Table) -> None:
    async with Faulty(urlsplit(table.dsn).port) as door:
        real = door._note

        def lose(piece: bytes) -> None:
            if b"COMMIT" in piece:
                door.fault = Fault.CLOSE
            real(piece)

        door._note = lose  # type: ignore[method-assign]  # the one moment that matters
        receipt = await act(through(table.dsn, door.port), CANCEL)
    assert receipt.kind is UNKNOWN
    assert "cut off while it was committing" in receipt.text


async def test_no_database_means_nothing_happened(table: Table, postgres_server: PostgresServer) -> None:
    receipt = await act(through(table.dsn, 1), CANCEL)
    assert receipt.kind is FAILED
    assert "nothing was sent" in receipt.text
    postgres_server.pause()
    try:
        receipt = await act(table.dsn, CANCEL, connect=1.0)
    finally:
        postgres_server.resume()
    assert receipt.kind is FAILED
    assert "no connection within 1000 ms, nothing was sent" in receipt.text


async def test_it_can_be_told_apart_in_the_databases_own_list(table: Table) -> None:
    name = SqlStatement("postgres", "UPDATE act SET by = current_setting('application_name') WHERE id = 1")
    await act(table.dsn, name)
    assert table.ask("SELECT by FROM act WHERE id = 1") == [("controlroom-act",)]


async def test_a_step_of_another_kind_or_without_its_value_is_refused() -> None:
    source = Source("postgres", SourceKind.POSTGRES, "PostgreSQL", "postgresql://127.0.0.1:1/x", 1.0, 1.0)
    effector = PostgresEffector(source)
    call = HttpCall("postgres", "POST", "/")
    assert (await effector.act(call, VALUES, Step("s", "s", call, ()))).kind is FAILED
    receipt = await effector.act(CANCEL, {}, Step("s", "s", CANCEL, ()))
    assert receipt.kind is FAILED
    assert "has no value" in receipt.text


def test_the_library_loads_with_the_first_statement() -> None:
    program = "import sys, backends.writers.postgres; print('psycopg' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]
