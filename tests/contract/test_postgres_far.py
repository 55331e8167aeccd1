"""PostgreSQL behind several hosts: the first that answers as asked is used, for reading and for writing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from backends.model.action import SqlStatement
from backends.model.fact import Fact, Found, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import SqlQuery
from backends.model.stack import Source, SourceKind
from backends.readers.postgres import PostgresFactReader
from backends.stacks.address import take_apart
from backends.writers.postgres import PostgresEffector
from tests.servers.postgres import PostgresServer


def source(server: PostgresServer, lost: int) -> Source:
    hosts = f"127.0.0.1:{lost},127.0.0.1:{server.port}"
    url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=primary"
    address = take_apart("postgres", url)
    return Source("db", SourceKind.POSTGRES, "DB", address.url, 1.0, 2.0, username=address.username)


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
    step = Step("make", "Make it", statement, (), 2.0, 2.0)
    assert (await effector.act(statement, {}, step)).kind is ReceiptKind.DONE
    fact = Fact("n", "n", "test", "db", SqlQuery("SELECT count(*) AS n FROM far"), ValueType.INT, pick="n")
    assert await reader.read([fact]) == {"n": Found(0)}
    await reader.close()
    await effector.close()
