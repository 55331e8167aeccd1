"""Whether psql of this host is let in is tried by psql itself; the password is in its environment alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backends.demo.postgres_server import programs_folder
from backends.model.fact import Absent, Broken, Fact, Finding, Found, ValueType
from backends.model.query import LoginQuery, SqlQuery
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers.postgres import PostgresFactReader
from tests.servers.postgres import PostgresServer

RIGHT, WRONG = "s3cret canary'\\", "wr0ng-canary"
ROLE = "guarded"
LOGIN = Fact("in", "Login", "g", "pg", LoginQuery("psql"), ValueType.TEXT, on_demand=True)
COUNT = Fact("n", "N", "g", "pg", SqlQuery("SELECT 1 AS n"), ValueType.INT, pick="n")

SPY = """#!{python}
import os, sys
with open({told!r}, "w") as told:
    print(*sys.argv, *(name for name in os.environ if name.startswith("PG")), sep="\\n", file=told)
os.execv({psql!r}, sys.argv)
"""


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder psql comes from."""
    folder = programs_folder()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a server that asks the role for its password."""
    with postgres_server.guarded(ROLE, RIGHT.replace("'", "''")):
        yield f"postgresql://127.0.0.1:{postgres_server.port}/postgres"


def source(url: str, password: str | None, deadline: float = 10.0) -> Source:
    secret = Secret(password) if password is not None else None
    return Source(
        "pg", SourceKind.POSTGRES, "PostgreSQL", url, every=5.0, deadline=deadline, username=ROLE,
        password=secret,
    )  # fmt: skip


async def look(url: str, password: str | None, *facts: Fact, deadline: float = 10.0) -> dict[str, Finding]:
    """What a reader with that password finds of the login, and of the facts given."""
    reader = PostgresFactReader(source(url, password, deadline))
    try:
        return dict(await reader.read([*facts, LOGIN]))
    finally:
        await reader.close()


async def test_who_has_the_password_is_let_in_and_who_has_another_is_not(url: str) -> None:
    assert await look(url, RIGHT) == {"in": Found("let in")}
    assert await look(url, RIGHT, COUNT) == {"in": Found("let in"), "n": Found(1)}
    assert await look(url, WRONG) == {"in": Found("refuses the password")}
    assert await look(f"{url}s", RIGHT) == {"in": Found("has no database postgress")}


async def test_a_session_of_before_the_password_changed_does_not_pass_for_a_login(
    url: str, postgres_server: PostgresServer
) -> None:
    reader = PostgresFactReader(source(url, RIGHT))
    assert await reader.read([COUNT, LOGIN]) == {"n": Found(1), "in": Found("let in")}
    with psycopg.connect(postgres_server.dsn, autocommit=True) as link:
        link.execute(f"ALTER ROLE {ROLE} PASSWORD 'another'".encode())
    assert await reader.read([COUNT, LOGIN]) == {"n": Found(1), "in": Found("refuses the password")}
    await reader.close()


async def test_without_a_password_nothing_is_tried(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("PGPASSWORD", RIGHT)
    assert await look(url, None) == {"in": Absent()}


async def test_the_password_is_seen_in_no_argument_and_by_no_other_program(
    url: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    spy = tmp_path / "psql"
    psql = str(programs / "psql")
    spy.write_text(SPY.format(python=sys.executable, told=str(told), psql=psql))
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert await look(url, RIGHT) == {"in": Found("let in")}
    assert sorted(line for line in told.read_text().splitlines() if line.startswith("PG")) == [
        "PGAPPNAME", "PGPASSWORD", "PGUSER",
    ]  # fmt: skip
    assert RIGHT not in told.read_text()
    assert "PGPASSWORD" not in os.environ


async def test_where_no_server_answered_nothing_is_known_of_the_password(
    url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = await look("postgresql://127.0.0.1:1/postgres", RIGHT)
    assert nobody == {"in": Broken(SafeText("127.0.0.1:1 refuses the connection: nothing listens there"))}
    postgres_server.pause()
    try:
        assert await look(url, RIGHT, deadline=0.5) == {"in": Broken(SafeText("no answer within 0.45 s"))}
    finally:
        postgres_server.resume()
    monkeypatch.setenv("PATH", "/nowhere")
    (none,) = (await look(url, RIGHT)).values()
    assert none == Broken(SafeText("psql: no such file or directory: it is not installed on this host"))
