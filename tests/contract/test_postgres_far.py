"""PostgreSQL behind several hosts: the first that answers as asked is used, for reading and for writing."""

from __future__ import annotations

from backends.model.action import SqlStatement
from backends.model.fact import Fact, Found, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import SqlQuery
from backends.model.stack import Source, SourceKind
from backends.readers.postgres import PostgresFactReader
from backends.stacks.address import take_apart
from backends.writers.postgres import PostgresEffector
from tests.servers.postgres import PostgresServer


def source(server: PostgresServer) -> Source:
    url = f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{server.port}/postgres?target_session_attrs=primary"
    address = take_apart("postgres", url)
    return Source("db", SourceKind.POSTGRES, "DB", address.url, 1.0, 2.0, username=address.username)


async def test_a_host_that_is_down_is_passed_over(postgres_server: PostgresServer) -> None:
    reader, effector = PostgresFactReader(source(postgres_server)), PostgresEffector(source(postgres_server))
    statement = SqlStatement("db", "CREATE TABLE IF NOT EXISTS far (n int)")
    step = Step("make", "Make it", statement, (), 2.0, 2.0)
    assert (await effector.act(statement, {}, step)).kind is ReceiptKind.DONE
    fact = Fact("n", "n", "test", "db", SqlQuery("SELECT count(*) AS n FROM far"), ValueType.INT, pick="n")
    assert await reader.read([fact]) == {"n": Found(0)}
    await reader.close()
    await effector.close()
