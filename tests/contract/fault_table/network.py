"""Sources that are reached over TCP: nobody listens, nobody answers, or who answers speaks something else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from backends.model.stack import SourceKind
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import IMPATIENCE, PATIENCE, Ground, Stage, Staged, Trial, reading
from tests.contract.faulty import Fault, Faulty
from tests.contract.http_server import Answer, HttpServer

SCHEMES = {
    SourceKind.REDIS: "redis://127.0.0.1:{}/0",
    SourceKind.POSTGRES: "postgresql://postgres@127.0.0.1:{}/postgres",
    SourceKind.DOCKER: "tcp://127.0.0.1:{}",
    SourceKind.SWARM: "tcp://127.0.0.1:{}",
}
"""How a port is addressed; any other is HTTP's."""


def url(kind: SourceKind, port: int) -> str:
    return SCHEMES.get(kind, "http://127.0.0.1:{}").format(port)


def transport(kind: SourceKind) -> dict[str, dict[str, Trial]]:
    """The faults of the way there, which give nobody a value."""

    def at(fault: Fault | None, deadline: float) -> Trial:
        return Trial(_through(kind, fault, deadline), deadline=deadline)

    return {
        "refused": {"nobody listens": at(None, PATIENCE), "it hangs up": at(Fault.CLOSE, PATIENCE)},
        "hang": {"no answer": at(Fault.HANG, IMPATIENCE)},
        "garbage": {"noise": at(Fault.GARBAGE, PATIENCE)},
    }


def _through(kind: SourceKind, fault: Fault | None, deadline: float) -> Stage:
    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        async with Faulty(fault=fault or Fault.CLOSE) as door:
            port = 1 if fault is None else door.port
            async with reading(kind, url(kind, port), subjects, deadline) as staged:
                yield staged

    return stage


def answering(
    kind: SourceKind, otherwise: Answer, answers: dict[str, Answer] | None = None, deadline: float = PATIENCE
) -> Stage:
    """An HTTP server that gives each of these paths its answer, and all others one and the same."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        async with HttpServer() as server:
            server.otherwise = otherwise
            server.answers.update(answers or {})
            async with reading(kind, url(kind, server.port), subjects, deadline) as staged:
                yield staged

    return stage
