"""The demo's database cluster is made once and copied from then on, or made anew where it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from backends.demo import postgres_server
from backends.demo.postgres_server import PostgresServer

MARK = "of the kept one"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tmp_path.chmod(0o755)
    return tmp_path / "cache"


def answers(folder: Path) -> bool:
    """Whether a server on a new cluster in ``folder`` takes a table."""
    folder.mkdir()
    return asyncio.run(_answers(folder))


async def _answers(folder: Path) -> bool:
    server = PostgresServer(folder, lambda _line: None)
    await server.start()
    try:
        async with await psycopg.AsyncConnection.connect(server.dsn("postgres", "postgres")) as link:
            await link.execute("CREATE TABLE orders (id int)")
            return True
    finally:
        await server.stop()


def test_the_second_demo_begins_with_a_copy_of_what_the_first_made(tmp_path: Path) -> None:
    assert answers(tmp_path / "first")
    kept = postgres_server._kept()
    (kept / MARK).touch()
    assert answers(tmp_path / "second")
    assert (tmp_path / "second/postgres" / MARK).exists()
    # The copy kept is of before anything was written.
    assert not (kept / "postmaster.opts").exists()


def test_one_that_cannot_be_copied_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres_server._kept().mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert answers(tmp_path / "first")
