"""What a restored database is held against: the rows of each table in the dump, counted in the database."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from backends.model.action import Command, DockerExec
from backends.model.fact import Broken, Fact, Found, Table
from backends.readers.files import FilesFactReader
from backends.stacks.loader import built_in, load_stack

STACK = load_stack(built_in()["trading-platform"])
STEPS = {step.id: step for step in STACK.procedures["restore-database"].steps}
END = "-- PostgreSQL database dump complete, rows counted"
ROWS = {"orders": 3, "positions": 0, "trades": 2}

_OTHER = """-- Database "{name}" dump
--
CREATE DATABASE {name};
\\connect {name}
COPY public.orders (id) FROM stdin;
elsewhere
\\.
-- PostgreSQL database dump complete
"""
PART = """-- Database "trader" dump
--
CREATE DATABASE trader;
\\connect trader
COPY public.orders (id, note) FROM stdin;
1\tx
-- Database "other" dump
COPY public.trades (id) FROM stdin;
\\.
COPY public.positions (id) FROM stdin;
\\.
COPY public.trades (id) FROM stdin;
7
8
\\.
-- PostgreSQL database dump complete
--
"""
"""Lines of data look like headings, as an error message kept in a table may."""
DUMP = (
    f"CREATE ROLE trader;\n{_OTHER.format(name='archive')}--\n{PART}{_OTHER.format(name='zoo')}"
    "-- PostgreSQL database cluster dump complete\n"
)


def made_of(dump: Path) -> str:
    """What is loaded of the dump."""
    action = STEPS["part"].action
    assert isinstance(action, Command)
    argv = [str(dump) if part == "$file" else part for part in action.argv]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "trader-1.sql"
    path.write_text(DUMP)
    return path


@pytest.fixture
def restored(postgres_dsn: str) -> Iterator[psycopg.Connection]:
    """A database with as many rows as the dump has."""
    name = f"restored_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        with psycopg.connect(
            urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl(), autocommit=True
        ) as link:
            for table, count in ROWS.items():
                link.execute(f"CREATE TABLE {table} AS SELECT generate_series(1, {count})")
            yield link
        server.execute(f'DROP DATABASE "{name}"')


async def compared(link: psycopg.Connection, dump: Path) -> tuple[list[str], dict[str, object]]:
    """What psql prints of the counts behind the part, and what the procedure's proofs read there."""
    _, counts = made_of(dump).split(f"{PART}\\connect trader\n")
    rows = [link.execute(each).fetchone() or () for each in counts.splitlines() if each.startswith("SELECT")]
    lines = ["|".join(map(str, row)) for row in rows]
    folder = dump.parent / "backups" / "restore"
    folder.mkdir(parents=True)
    (folder / "loaded-1.txt").write_text("\n".join([*lines, ""]))
    return lines, await read(dump.parent, "restore.same", "restore.differs")


async def read(checkout: Path, *names: str) -> dict[str, object]:
    """Those facts about that checkout: the table, or what was found instead."""
    reader = FilesFactReader(replace(STACK.sources["checkout"], url=f"file://{checkout}"))
    facts: list[Fact] = [STACK.facts[name] for name in names]
    try:
        found = await reader.read(facts)
    finally:
        await reader.close()
    assert not [each for each in found.values() if isinstance(each, Broken)]
    return {name: each.value if isinstance(each, Found) else each for name, each in found.items()}


def test_only_the_databases_own_part_of_the_dump_is_loaded_and_an_error_ends_it(dump: Path) -> None:
    assert made_of(dump).startswith(f"{PART}\\connect trader\n")
    assert made_of(dump).endswith(f"{END}\n")
    load = STEPS["load"].action
    assert isinstance(load, DockerExec)
    assert "--set=ON_ERROR_STOP=1" in load.argv


@pytest.mark.parametrize(
    "without", ["-- PostgreSQL database dump complete", "COPY public.trades (id) FROM stdin;\n7\n8\n\\.\n"]
)
def test_a_part_that_was_cut_off_or_lacks_a_table_never_ends_as_a_whole_one(dump: Path, without: str) -> None:
    dump.write_text(f"{PART}".replace(without, ""))
    assert END not in made_of(dump)


async def test_a_database_with_all_rows_of_the_dump_is_as_dumped(
    dump: Path, restored: psycopg.Connection
) -> None:
    lines, found = await compared(restored, dump)
    assert lines == [f"public.{name}|{n}|{n}|as in the dump" for name, n in ROWS.items()]
    same, differs = found["restore.same"], found["restore.differs"]
    assert isinstance(same, Table) and str(same.rows[0][same.columns.index("lines")]) == "3"
    assert isinstance(differs, Table) and differs.total == 0


async def test_a_row_that_did_not_come_back_is_told_by_its_table(
    dump: Path, restored: psycopg.Connection
) -> None:
    restored.execute("DELETE FROM trades WHERE ctid = '(0,1)'")
    _, found = await compared(restored, dump)
    same, differs = found["restore.same"], found["restore.differs"]
    assert isinstance(same, Table) and str(same.rows[0][same.columns.index("lines")]) == "2"
    assert isinstance(differs, Table)
    assert [list(map(str, row)) for row in differs.rows] == [["public.trades|2|1|NOT as in the dump"]]
