"""A wall screen can be given a Redis user that may not write: all is read, and nothing can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.model.fact import Broken
from backends.model.procedure import ReceiptKind
from backends.model.query import RedisQuery
from backends.model.secret import Secret
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from backends.writers.redis import RedisEffector
from tests.contract.test_redis_writer import ACTION, FRESH, HALT, VALUES, put, source, state
from tests.servers.redis import RedisServer

ALLOWED = (
    "~*", "&*", "-@all", "+@read", "+@connection", "+time", "+info", "+lastsave", "+pubsub", "+psubscribe",
    "-keys",
)  # fmt: skip
PASSWORD = "only-to-look-4711"


@pytest.fixture
def wall(redis_db: RedisServer) -> Iterator[dict[str, object]]:
    """Credentials of a user that may only read."""
    put(redis_db, FRESH)
    redis_db.command("ACL", "SETUSER", "wall", "reset", "on", f">{PASSWORD}", *ALLOWED)
    yield {"username": "wall", "password": Secret(PASSWORD)}
    redis_db.command("ACL", "DELUSER", "wall")


@pytest.mark.parametrize("stack", built_in())
async def test_every_fact_of_a_stack_is_read_by_a_user_that_may_only_read(
    redis_db: RedisServer, wall: dict[str, object], stack: str
) -> None:
    facts = [it for it in load_stack(built_in()[stack]).facts.values() if isinstance(it.query, RedisQuery)]
    reader = RedisFactReader(replace(source(redis_db.port, **wall), deadline=10.0))
    try:
        found = await reader.read(facts)
    finally:
        await reader.close()
    refused = {name: str(it.why) for name, it in found.items() if isinstance(it, Broken)}
    assert [name for name, why in refused.items() if "perm" in why.lower()] == []


async def test_a_halt_by_that_user_is_refused_and_says_so(
    redis_db: RedisServer, wall: dict[str, object]
) -> None:
    effector = RedisEffector(source(redis_db.port, **wall))
    receipt = await effector.act(ACTION, VALUES, HALT)
    await effector.close()
    assert receipt.kind is ReceiptKind.FAILED
    assert "NOPERM" in receipt.text or "permission" in receipt.text
    assert PASSWORD not in receipt.text
    assert state(redis_db) == FRESH


def test_the_readme_gives_exactly_that_user() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"ACL SETUSER wall on >PASSWORD {' '.join(ALLOWED)}`" in readme.read_text("utf-8")
