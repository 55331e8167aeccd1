"""Facts of one Docker Engine beside the state of its services: one look a poll, each question asked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from msgspec.structs import replace

from backends.model.fact import Fact, Finding, Raw, SourceError, ValueType
from backends.model.query import DockerQuery
from backends.model.stack import ServiceSpec, Source
from backends.readers.coerce import MisfitError
from backends.readers.docker_client import DockerClient, DockerRefusedError, NoWayError
from backends.readers.docker_look import Look
from backends.readers.docker_run import RunLogs
from backends.readers.extract import Rows, broken, extract
from backends.readers.lane import Lane

_GONE = 404
_NO_SWARM = 503
"""What an engine that manages no swarm answers to questions about one."""


class DockerFactReader:
    """A FactReader; blocking requests in a thread of their own, over one connection pool."""

    def __init__(self, source: Source, services: Sequence[ServiceSpec], runs: RunLogs | None = None) -> None:
        """``services`` are the stack's: a fact names one of them, the engine knows its container. ``runs`` is
        what all readers of this source remember together."""
        self._source = source
        self._names = {spec.name: spec.match for spec in services}
        self._lane = Lane("Docker")
        self._client: DockerClient | None = None
        self._runs = runs or RunLogs()

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when the engine answered nothing, or is another by
        now that cannot be reached."""
        if self._client is not None:
            await self._client.follow()
        return await self._lane.call(lambda: self._look(facts), self._source.deadline)

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _look(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        ends = monotonic() + self._source.deadline
        silences: list[SourceError] = []
        if self._client is None:
            self._client = DockerClient(self._source, self._source.deadline)
        queries = [fact.query for fact in facts if isinstance(fact.query, DockerQuery)]
        look = Look(self._client, self._names, queries, self._runs, ends)
        findings = {fact.id: _finding(fact, look, silences) for fact in facts}
        if silences:
            # A fresh connection next time: this one may be the reason.
            self._client.close()
            self._client = None
            if len(silences) == len(facts):
                raise silences[0]
        return findings


def _finding(fact: Fact, look: Look, silences: list[SourceError]) -> Finding:
    if not isinstance(fact.query, DockerQuery):
        return broken("asks Docker something that it does not know")
    is_flag = fact.type is ValueType.BOOL and fact.pick is None
    try:
        if fact.query.what == "log" and fact.query.since_start and is_flag:
            return extract(fact, _answer(fact.query, look.has_written))
        found = _answer(fact.query, look.answer)
    except (DockerRefusedError, MisfitError) as refusal:
        return broken(str(refusal))
    except NoWayError:
        raise
    except SourceError as silence:
        silences.append(silence)
        return broken(str(silence))
    return _of_log(fact, found) if fact.query.what == "log" else extract(fact, found)


def _answer(query: DockerQuery, ask: Callable[[DockerQuery], Raw]) -> Raw:
    """What the engine says; None where it says: no such thing."""
    try:
        return ask(query)
    except DockerRefusedError as refusal:
        if refusal.status == _GONE or (refusal.status == _NO_SWARM and query.what in ("tasks", "nodes")):
            return None
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        raise MisfitError("Docker's answer cannot be understood") from None


def _of_log(fact: Fact, lines: Raw) -> Finding:
    """All matching lines for a table or a count, whether there is one for a flag; any other type is about the
    last one."""
    if not isinstance(lines, Rows) or fact.type in (ValueType.TABLE, ValueType.COUNT):
        return extract(fact, lines)
    if fact.type is ValueType.BOOL and fact.pick is None:
        return extract(fact, lines.total > 0)
    last = Rows(lines.rows[-1:], min(lines.total, 1))
    return extract(fact if fact.pick else replace(fact, pick="line"), last)
