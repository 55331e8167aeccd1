"""A trial: a source with a fault, everybody who is read from it, and what the board may say of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.ingest import ingest_facts, ingest_failure, ingest_services
from backends.connections import Connections
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, SourceError
from backends.model.judge import judge, judge_service
from backends.model.port import FactReader, ServiceReader
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.model.service import RunState, Service
from backends.model.stack import ServiceSpec, Source, SourceKind
from tests.clock import FakeClock
from tests.contract.fault_table.subject import Subject, every_stack, ident, of_each_kind, of_the_stacks

NOW = Instant(1000.0, 1_790_000_000.0)
PATIENCE = 60.0
"""Seconds a poll may take where an answer comes, however busy the machine is."""
IMPATIENCE = 0.25
"""Seconds it may take where none will come."""
FAULTS = ("refused", "hang", "garbage", "wrong type", "huge", "missing")
FAILED, MISSING = frozenset({Outcome.FAILED}), frozenset({Outcome.MISSING})

Readings = dict[str, Reading[Any]]
Excepted = Mapping[str, Callable[[Any], bool]]
"""Why the fault is none, and for whom."""
Staged = tuple[FactReader | ServiceReader, Sequence[Subject]]
"""A reader of the source that has the fault, and what it is asked: the same subjects, put as it needs."""


@dataclass(frozen=True)
class Ground:
    """Where a trial may set things up."""

    folder: Path
    request: pytest.FixtureRequest


Stage = Callable[[Sequence[Subject], Ground], AbstractAsyncContextManager[Staged]]


@dataclass(frozen=True)
class Trial:
    """A source that has the fault, and the outcomes there may be. Who is excepted may have a value."""

    stage: Stage
    outcomes: frozenset[Outcome] = FAILED
    but: Excepted = field(default_factory=dict)
    deadline: float = PATIENCE


@dataclass(frozen=True)
class Door:
    """One kind of source, and how it is made to have each fault: by name, or why it cannot have it."""

    kind: SourceKind
    trials: Mapping[str, Mapping[str, Trial] | str]
    of_services: bool = False
    own: tuple[Subject, ...] = ()
    """Subjects beside those of the stacks and of each kind."""

    @property
    def title(self) -> str:
        return f"{self.kind.value} {'services' if self.of_services else 'facts'}"

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        each = () if self.of_services else of_each_kind(self.kind)
        return (*of_the_stacks(self.kind, self.of_services), *each, *self.own)


def source(kind: SourceKind, url: str, deadline: float = PATIENCE) -> Source:
    """Of PostgreSQL with a password, for without one it is not asked whether it lets in who has it."""
    password = Secret("hunter2-hunter2") if kind is SourceKind.POSTGRES else None
    return Source("s", kind, "S", url, every=1.0, deadline=deadline, password=password)


@asynccontextmanager
async def reading(
    kind: SourceKind, url: str, subjects: Sequence[Subject], deadline: float = PATIENCE
) -> AsyncIterator[Staged]:
    """The program's own reader of a source, and the subjects."""
    asked = source(kind, url, deadline)
    services = tuple(of_the_stacks(SourceKind.DOCKER, True))
    if is_about_services := isinstance(subjects[0], ServiceSpec):
        services = tuple(subjects)
    stack = replace(every_stack()[0][1], services=services)
    connections = Connections(lambda text, _limit=None, *, is_cut=False: text)
    clock = FakeClock(NOW.mono, NOW.wall)
    make = connections.service_reader if is_about_services else connections.fact_reader
    reader: Any = await asyncio.to_thread(make, stack, asked, clock)
    try:
        yield reader, subjects
    finally:
        await reader.close()
        await connections.close()


async def board(reader: Any, subjects: Sequence[Any], deadline: float) -> Readings:
    """What the board says of them after one poll. What is no fault of the source's is one of the reader's,
    and raised."""
    asked = source(SourceKind.HTTP, "http://x", deadline)
    try:
        async with asyncio.timeout(deadline):
            if isinstance(subjects[0], Fact):
                return ingest_facts(subjects, await reader.read(subjects), asked, NOW, {})
            return ingest_services(await reader.services(), asked, NOW, {})
    except (SourceError, TimeoutError) as error:
        why = SafeText(str(error) or "no answer in time")
        return ingest_failure(map(ident, subjects), asked, why, NOW, {})


def assert_no_value(
    subjects: Iterable[Subject], readings: Readings, outcomes: frozenset[Outcome] | set[Outcome]
) -> None:
    """Never green, never zero, never blank."""
    wrong = [
        f"{ident(each)}: {reading.outcome.value} {reading.value if reading.error is None else reading.error}"
        for each in subjects
        if not _says_nothing(each, reading := readings[ident(each)], outcomes)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of them", *wrong[:20]])


def _says_nothing(
    subject: Subject, reading: Reading[Any], outcomes: frozenset[Outcome] | set[Outcome]
) -> bool:
    if isinstance(reading.value, Service):
        # The runtime told of it, but nothing that can be understood: it is there, and shown as unknown.
        return reading.value.state is RunState.UNKNOWN and judge_service(reading.value) is Level.UNKNOWN
    if reading.outcome not in outcomes or reading.value is not None:
        return False
    if reading.outcome is Outcome.FAILED and not (reading.error and reading.error.strip()):
        return False
    if isinstance(subject, ServiceSpec):
        return True
    wanted = subject.missing if reading.outcome is Outcome.MISSING else Level.UNKNOWN
    return judge(subject, reading, NOW) is wanted


async def run(trial: Trial, subjects: Sequence[Subject], ground: Ground) -> None:
    """Everybody is asked, and nobody has a value but who is excepted, and no exception is made in vain."""
    async with trial.stage(subjects, ground) as (reader, asked):
        assert [ident(each) for each in asked] == [ident(each) for each in subjects]
        readings = await board(reader, asked, trial.deadline)
    left = list(asked)
    for why, is_meant in trial.but.items():
        outcomes = {readings[ident(each)].outcome for each in left if is_meant(each)}
        assert Outcome.OK in outcomes, f"nobody has a value because {why}"
        left = [each for each in left if not is_meant(each)]
    assert_no_value(left, readings, trial.outcomes)
