"""Makes what observes and what acts, by the kind of its source: one line of a table for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from backends.arming import make_effectors
from backends.loading import LOADING
from backends.model.clock import Clock
from backends.model.port import FactReader, LogSink, ServiceReader
from backends.model.procedure import Effector
from backends.model.stack import ServiceSpec, Source, SourceKind, Stack
from backends.procedures.permit import Permit
from backends.veil import Redact, VeiledFacts, VeiledServices

if TYPE_CHECKING:
    from backends.readers.docker_run import RunLogs
    from backends.web import Web


class Watch(Struct, frozen=True):
    """What a reader of services needs besides its source."""

    services: tuple[ServiceSpec, ...]
    """Those expected of this source."""
    clock: Clock
    poke: Callable[[], None] | None = None
    """Asks for a poll now. With it the reader streams; without, it is for single looks."""
    logs: LogSink | None = None


class Connections:
    """Makers of readers and writers, and what several of them share: the connections over HTTP, and what
    is remembered of the logs of containers.

    ``redact`` takes secrets out of a text; what a reader made here says has been through it.

    Everything here loads client libraries: call it in a thread.
    """

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._web: Web | None = None
        self._runs: dict[tuple[str, str], RunLogs] = {}

    def fact_reader(self, stack: Stack, source: Source, clock: Clock) -> FactReader:
        """A reader for a source of facts."""
        with LOADING:
            return VeiledFacts(_of_kind(_FACTS, source, "facts")(self, stack, source, clock), self._redact)

    def service_reader(
        self,
        stack: Stack,
        source: Source,
        clock: Clock,
        poke: Callable[[], None] | None = None,
        logs: LogSink | None = None,
    ) -> ServiceReader:
        """A reader of the stack's services: with ``poke`` it streams, without it is for single looks."""
        expected = tuple(spec for spec in stack.services if spec.source == source.id)
        with LOADING:
            reader = _of_kind(_SERVICES, source, "services")(source, Watch(expected, clock, poke, logs))
        return VeiledServices(reader, self._redact)

    def effectors(self, permit: Permit, stack: Stack) -> dict[str, Effector]:
        """The writers of an armed session."""
        return make_effectors(permit, stack, self._redact)

    def web(self) -> Web:
        """What all sources over HTTP share."""
        from backends.web import Web

        self._web = self._web or Web()
        return self._web

    def runs(self, stack: Stack, source: Source) -> RunLogs:
        """What all readers of a Docker Engine remember of its logs: no proof reads what a poll has read."""
        from backends.readers.docker_run import RunLogs

        return self._runs.setdefault((stack.id, source.id), RunLogs())

    async def close(self) -> None:
        """Close what is shared. Readers and writers are closed by who asked for them."""
        if self._web is not None:
            await self._web.aclose()


Maker = TypeVar("Maker")
FactMaker = Callable[[Connections, Stack, Source, Clock], FactReader]
ServiceMaker = Callable[[Source, Watch], ServiceReader]


def _of_kind(makers: Mapping[SourceKind, Maker], source: Source, what: str) -> Maker:
    if source.kind not in makers:
        raise ValueError(f"{source.kind.value} holds no {what}")
    return makers[source.kind]


def _redis_facts(_connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.redis import RedisFactReader

    return RedisFactReader(source, clock)


def _postgres_facts(_connections: Connections, _stack: Stack, source: Source, _clock: Clock) -> FactReader:
    from backends.readers.postgres import PostgresFactReader

    return PostgresFactReader(source)


def _http_facts(connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.http import HttpFactReader

    return HttpFactReader(source, connections.web(), clock)


def _systemd_facts(_connections: Connections, _stack: Stack, source: Source, _clock: Clock) -> FactReader:
    from backends.readers.systemd import SystemdFactReader

    return SystemdFactReader(source)


def _host_facts(_connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.host import HostFactReader

    return HostFactReader(source, clock)


def _sqlite_facts(_connections: Connections, _stack: Stack, source: Source, _clock: Clock) -> FactReader:
    from backends.readers.sqlite import SqliteFactReader

    return SqliteFactReader(source)


def _clickhouse_facts(connections: Connections, _stack: Stack, source: Source, _clock: Clock) -> FactReader:
    from backends.readers.clickhouse import ClickHouseFactReader

    return ClickHouseFactReader(source, connections.web())


def _files_facts(_connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.files import FilesFactReader

    return FilesFactReader(source, clock)


def _docker_facts(connections: Connections, stack: Stack, source: Source, _clock: Clock) -> FactReader:
    from backends.readers.docker_fact import DockerFactReader

    return DockerFactReader(source, stack.services, connections.runs(stack, source))


def _prometheus_facts(connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.prometheus import PrometheusFactReader

    return PrometheusFactReader(source, connections.web(), clock)


def _loki_facts(connections: Connections, _stack: Stack, source: Source, clock: Clock) -> FactReader:
    from backends.readers.loki import LokiFactReader

    return LokiFactReader(source, connections.web(), clock)


def _docker_services(source: Source, watch: Watch) -> ServiceReader:
    import docker  # noqa: F401  # the first look would load it, and meanwhile others would load theirs

    from backends.readers.docker import DockerServiceReader

    streams = watch.poke is not None
    return DockerServiceReader(
        source, watch.services, poke=watch.poke, logs=watch.logs, clock=watch.clock, is_streaming=streams
    )


def _swarm_services(source: Source, watch: Watch) -> ServiceReader:
    from backends.readers.docker_swarm import SwarmServiceReader

    return SwarmServiceReader(source, watch.services, watch.logs, watch.clock)


def _systemd_services(source: Source, watch: Watch) -> ServiceReader:
    from backends.readers.systemd import SystemdServiceReader

    return SystemdServiceReader(source, watch.services, watch.clock, watch.logs)


def _process_services(source: Source, watch: Watch) -> ServiceReader:
    from backends.readers.process import ProcessServiceReader

    return ProcessServiceReader(source, watch.services)


_FACTS: Mapping[SourceKind, FactMaker] = {
    SourceKind.REDIS: _redis_facts,
    SourceKind.POSTGRES: _postgres_facts,
    SourceKind.HTTP: _http_facts,
    SourceKind.SYSTEMD: _systemd_facts,
    SourceKind.HOST: _host_facts,
    SourceKind.SQLITE: _sqlite_facts,
    SourceKind.CLICKHOUSE: _clickhouse_facts,
    SourceKind.FILES: _files_facts,
    SourceKind.DOCKER: _docker_facts,
    SourceKind.PROMETHEUS: _prometheus_facts,
    SourceKind.LOKI: _loki_facts,
}

_SERVICES: Mapping[SourceKind, ServiceMaker] = {
    SourceKind.DOCKER: _docker_services,
    SourceKind.SWARM: _swarm_services,
    SourceKind.SYSTEMD: _systemd_services,
    SourceKind.HOST: _process_services,
}
