"""PostgreSQL behind a pooler that passes on nothing of what a client asks for its session."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backends.model.action import SqlStatement
from backends.model.fact import Fact, Found, ValueType
from backends.model.procedure import ReceiptKind, Step
from backends.model.query import SqlQuery
from backends.model.stack import Source, SourceKind
from backends.readers.extract import broken
from backends.readers.postgres import PostgresFactReader
from backends.writers.postgres import PostgresEffector
from tests.servers.postgres import PostgresServer

KEPT = (b"user", b"database", b"client_encoding", b"application_name")
"""What the pooler passes on of a client's first words."""


@asynccontextmanager
async def pooler(server: PostgresServer) -> AsyncIterator[Source]:
    """The source as it is behind one."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        while (words := await _packet(reader))[:4] in ENCRYPTED:
            writer.write(b"N")
        told = words[4:].split(b"\0")
        pairs = [pair for pair in zip(told[::2], told[1::2], strict=False) if pair[0] in KEPT]
        first = words[:4] + b"".join(b"%b\0%b\0" % pair for pair in pairs) + b"\0"
        back.write(struct.pack(">I", len(first) + 4) + first)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as door:
        port = door.sockets[0].getsockname()[1]
        url = f"postgresql://127.0.0.1:{port}/postgres"
        yield Source(
            "db", SourceKind.POSTGRES, "DB", url, 1.0, 10.0,
            username="postgres", options={"statement_timeout": "2s"},
        )  # fmt: skip
        await asyncio.gather(*serving)


ENCRYPTED = (struct.pack(">I", 80877103), struct.pack(">I", 80877104))
"""The questions whether the connection can be encrypted."""


async def _packet(reader: asyncio.StreamReader) -> bytes:
    size = struct.unpack(">I", await reader.readexactly(4))[0]
    return await reader.readexactly(size - 4)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def fact(key: str, sql: str) -> Fact:
    return Fact(key, key, "test", "db", SqlQuery(sql), ValueType.TEXT, pick="n")


async def test_behind_a_pooler_nothing_is_written_either(postgres_server: PostgresServer) -> None:
    writes = fact("writes", "SELECT lo_create(0)::text AS n")
    untold = fact("untold", "SELECT set_config('transaction_read_only', 'off', true) AS n")
    async with pooler(postgres_server) as source:
        reader = PostgresFactReader(source)
        found = await reader.read([writes, untold])
        assert found["writes"] == broken("would write: refused, this session only reads")
        assert not isinstance(found["untold"], Found)
        await reader.close()


async def test_behind_a_pooler_a_query_ends_at_its_time_and_the_next_is_answered(
    postgres_server: PostgresServer,
) -> None:
    slow = fact("slow", "SELECT pg_sleep(30)::text AS n")
    after = fact("after", "SELECT 'here' AS n")
    async with pooler(postgres_server) as source:
        reader = PostgresFactReader(source)
        found = await reader.read([slow, after])
        assert found["slow"] == broken("no answer within 2 s")
        assert isinstance(found["after"], Found)
        await reader.close()


async def test_behind_a_pooler_the_server_ends_a_statement_too(postgres_server: PostgresServer) -> None:
    statement = SqlStatement("db", "SELECT pg_sleep(30)")
    async with pooler(postgres_server) as source:
        effector = PostgresEffector(source)
        # The server gives up a fifth of the time before the client does: long enough for a busy machine.
        receipt = await effector.act(statement, {}, Step("wait", "Wait", statement, (), 5.0, 4.0))
        assert receipt.kind is ReceiptKind.FAILED and "took too long and was rolled back" in receipt.text
        await effector.close()
