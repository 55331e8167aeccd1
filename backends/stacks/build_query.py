"""What a fact of a stack file asks becomes the model's query."""

from __future__ import annotations

from collections.abc import Mapping

from backends.model.query import (
    CsvWindow,
    Derivation,
    DockerQuery,
    FileQuery,
    HostQuery,
    HttpQuery,
    LoginQuery,
    LokiQuery,
    PrometheusQuery,
    Query,
    RedisQuery,
    SqlQuery,
    SystemdQuery,
)
from backends.model.stack import Source
from backends.stacks import schema, schema_read
from backends.stacks.naming import word
from backends.stacks.places import with_folders


def build_query(item: schema.FactSpec, sources: Mapping[str, Source]) -> Query:
    """The query of a fact that was checked: exactly one kind is asked. ``sources`` as they are in use."""
    if item.redis is not None:
        read = item.redis
        name = next(name for name in schema_read.REDIS_OPERATIONS if getattr(read, name) is not None)
        if name == "server":
            return RedisQuery(str(read.server), "", read.field, read.start, read.stop)
        return RedisQuery(name, getattr(read, name), read.field, read.start, read.stop, read.minutes)
    if item.http is not None:
        return HttpQuery(item.http.path, tuple(item.http.expect), item.http.body)
    if item.sql is not None:
        return SqlQuery(item.sql.strip().removesuffix(";"), item.limit)
    if item.login is not None:
        return LoginQuery(item.login)
    return _local(item, sources) if item.docker is None else _docker(item.docker)


def _local(item: schema.FactSpec, sources: Mapping[str, Source]) -> Query:
    if item.systemd is not None:
        return SystemdQuery(item.systemd.unit, item.systemd.show, item.systemd.log)
    if item.file is not None:
        return _file(item.file)
    if item.host is not None:
        return _host(item.host, sources)
    if item.prom is not None:
        return PrometheusQuery(item.prom.what, item.prom.query, item.prom.minutes, item.prom.agg)
    if item.loki is not None:
        return LokiQuery(item.loki.query, item.loki.minutes, item.loki.limit)
    if item.derive is not None:
        unless = tuple((fact, word(said)) for fact, said in item.derive.unless.items())
        return Derivation(
            item.derive.op, tuple(item.derive.of), item.derive.over, item.derive.column or "", unless
        )
    raise ValueError(f"fact {item.id} asks nothing")


def _host(read: schema_read.HostRead, sources: Mapping[str, Source]) -> HostQuery:
    return HostQuery(read.what, with_folders(read.target, sources), read.name, read.value)


def _file(read: schema_read.FileRead) -> FileQuery:
    csv = None
    if read.csv is not None:
        csv = CsvWindow(read.csv.column, read.csv.agg, read.csv.hours, read.csv.time, read.csv.where)
    return FileQuery(
        path=read.path,
        what=read.what,
        newest=read.newest,
        pattern=read.pattern,
        csv=csv,
        member=read.member,
        beside=read.beside,
        public=tuple(read.public),
        in_url=tuple(read.in_url),
        group_reads=read.group_reads,
    )


def _docker(read: schema_read.DockerRead) -> DockerQuery:
    return DockerQuery(
        what=read.what,
        service=read.service,
        name=read.name,
        value=read.value,
        pattern=read.pattern,
        tail=read.tail,
        since_start=read.since_start,
        denied_by=read.denied_by,
    )
