"""What the configured credentials may do, asked of the servers themselves. For the doctor."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from backends.model.board import Board
from backends.model.fact import Fact, ValueType
from backends.model.query import Query, RedisQuery, SqlQuery
from backends.model.reading import Outcome
from backends.model.stack import Source, SourceKind, Stack

_PREFIX = "doctor.may."

_SQL = """
SELECT CASE
  WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'superuser'
  WHEN EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) THEN 'writes'
  ELSE 'reads' END AS may
"""

_WALL = "more than the wall needs: give `watch` a user that only reads"


def with_probes(stack: Stack) -> Stack:
    """The stack with one more fact for each server that can be asked what its user may do."""
    probes = {
        _PREFIX + source.id: Fact(
            id=_PREFIX + source.id,
            label="what the credentials may do",
            group="doctor",
            source=source.id,
            query=query,
            type=ValueType.TEXT,
            pick=pick,
            is_shown=False,
        )
        for source in stack.sources.values()
        for query, pick in _questions(source)
    }
    return replace(stack, facts={**stack.facts, **probes})


def is_probe(fact: Fact) -> bool:
    """Whether the fact was added by ``with_probes``."""
    return fact.id.startswith(_PREFIX)


def ability(source: Source, board: Board) -> Iterator[list[str]]:
    """A row for the doctor's report, none for a kind of source that cannot say."""
    if source.kind is SourceKind.DOCKER:
        if source.url.startswith("unix:"):
            yield ["may", "everything", "whoever reaches this socket is root on its host"]
        return
    reading = board.readings.get(_PREFIX + source.id)
    if reading is None or reading.outcome is Outcome.NEVER:
        return
    if reading.value is None:
        yield ["may", "unknown", str(reading.error or "the server did not say")]
    elif source.kind is SourceKind.POSTGRES:
        words = {"superuser": "everything (superuser)", "writes": "read and write", "reads": "read only"}
        yield ["may", words[str(reading.value)], "" if str(reading.value) == "reads" else _WALL]
    else:
        rule = str(reading.value)
        yield ["may", f"Redis rule {rule}", "" if only_reads(rule) else _WALL]


def only_reads(rule: str) -> bool:
    """Whether a Redis rule allows no category but reading ones and single commands that change no data."""
    allowed = [word[1:].lower() for word in rule.split() if word.startswith("+")]
    harmless = {"@read", "@connection"}
    commands = {
        "ping",
        "info",
        "time",
        "select",
        "memory",
        "memory|usage",
        "acl|whoami",
        "scan",
        "type",
        "ttl",
    }
    return rule.startswith("-@all") and all(word in harmless | commands for word in allowed)


def _questions(source: Source) -> Iterator[tuple[Query, str | None]]:
    if source.kind is SourceKind.REDIS:
        yield RedisQuery("acl", ""), None
    elif source.kind is SourceKind.POSTGRES:
        yield SqlQuery(_SQL), "may"
