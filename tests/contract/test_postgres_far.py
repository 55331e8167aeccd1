"""PostgreSQL behind several hosts: the first that answers as asked is used, for reading and for writing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from backends.model.action import SqlStatement
from backends.model.fact import Fact, Found, SourceError, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import SqlQuery
from backends.model.stack import Source, SourceKind
from backends.readers.postgres import PostgresFactReader
from backends.readers.postgres_answer import refusal
from backends.stacks.address import take_apart
from backends.writers.postgres import PostgresEffector
from tests.servers.postgres import PostgresServer


def source(server: PostgresServer, lost: int, wanted: str = "primary") -> Source:
    hosts = f"127.0.0.1:{lost},127.0.0.1:{server.port}"
    url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs={wanted}"
    address = take_apart("postgres", url)
    return Source("db", SourceKind.POSTGRES, "DB", address.url, 1.0, 4.0, username=address.username)


@pytest.fixture
def vanished() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield int(door.getsockname()[1])


@pytest.mark.parametrize("lost", ["refuses", "vanished"])
async def test_a_host_that_is_down_is_passed_over(
    lost: str, vanished: int, postgres_server: PostgresServer
) -> None:
    place = source(postgres_server, 1 if lost == "refuses" else vanished)
    reader, effector = PostgresFactReader(place), PostgresEffector(place)
    statement = SqlStatement("db", "CREATE TABLE IF NOT EXISTS far (n int)")
    step = Step("make", "Make it", statement, (), 4.0, 4.0)
    assert (await effector.act(statement, {}, step)).kind is ReceiptKind.DONE
    fact = Fact("n", "n", "test", "db", SqlQuery("SELECT count(*) AS n FROM far"), ValueType.INT, pick="n")
    assert await reader.read([fact]) == {"n": Found(0)}
    await reader.close()
    await effector.close()


async def test_hosts_that_answer_and_are_not_what_is_wanted_are_told_from_those_that_let_nobody_in(
    postgres_server: PostgresServer,
) -> None:
    """While a failover is under way one host is down and the other still a standby."""
    reader = PostgresFactReader(source(postgres_server, 1, "standby"))
    fact = Fact("n", "n", "test", "db", SqlQuery("SELECT 1 AS n"), ValueType.INT, pick="n")
    with pytest.raises(SourceError, match="answers, but none of its hosts is a standby now"):
        await reader.read([fact])
    await reader.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("failed: Connection refused\nport 5433 failed: server is in hot standby mode", "is the primary now"),
        ("failed: session is read-only", "is the primary now"),
        ('server certificate for "a" does not match host name "b"', "has a certificate for another host"),
        ("SSL error: sslv3 alert certificate expired", "says that our certificate has expired"),
        ("SSL error: certificate verify failed", "has a certificate that is not trusted"),
    ],
)
def test_the_library_s_words_for_why_there_is_no_connection_are_told_apart(said: str, told: str) -> None:
    assert told in refusal(f"connection to server at {said}")
