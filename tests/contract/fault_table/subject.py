"""What the room reads: every fact and service of every built-in stack in all its generations, and facts of
each kind of read and type beside them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec.structs import replace

from backends.model.board import SERVICE
from backends.model.fact import Fact, ValueType
from backends.model.query import (
    DockerQuery,
    FileQuery,
    HostQuery,
    HttpQuery,
    LokiQuery,
    PrometheusQuery,
    RedisQuery,
    SqlQuery,
)
from backends.model.stack import ServiceSpec, SourceKind, Stack
from backends.stacks.loader import built_in, describe

Subject = Fact | ServiceSpec

SCALARS = [kind for kind in ValueType if kind not in (ValueType.TABLE, ValueType.COUNT)]


def ident(subject: Subject) -> str:
    """Its key on the board."""
    return subject.id if isinstance(subject, Fact) else SERVICE + subject.name


@cache
def every_stack() -> tuple[tuple[str, Stack], ...]:
    """The built-in stacks, each generation under a name of its own."""
    return tuple(_built_in())


def _built_in() -> Iterator[tuple[str, Stack]]:
    for name, path in built_in().items():
        described = describe(path)
        for form in (described, *described.others):
            kind = form.generation.id if form.generation else ""
            yield f"{name} {kind}".strip(), form.build(form.sources())


@cache
def of_the_stacks(kind: SourceKind, of_services: bool) -> tuple[Subject, ...]:
    """Those that sources of this kind are asked for. Two stacks may call different things alike: each has its
    stack's name before its own, and so has the service that it is about."""
    found: list[Subject] = []
    for name, stack in every_stack():
        if of_services:
            found += [
                replace(spec, name=f"{name} {spec.name}", source="s")
                for spec in stack.services
                if stack.sources[spec.source].kind is kind
            ]
        else:
            facts = [fact for fact in stack.facts.values() if stack.sources[fact.source].kind is kind]
            found += [replace(fact, id=f"{name} {fact.id}", query=_of(name, fact)) for fact in facts]
    return tuple(found)


def _of(name: str, fact: Fact) -> Any:
    if isinstance(fact.query, DockerQuery) and fact.query.service is not None:
        return replace(fact.query, service=f"{name} {fact.query.service}")
    return fact.query


def plain(kind: ValueType, query: Any, pick: str | None = None, **more: Any) -> Fact:
    """A fact with limits that would make a wrong value look good."""
    limits: dict[str, Any] = {} if kind is ValueType.TEXT else {"warn_below": -1.0}
    name = f"{query} {kind.value} {pick}"
    return Fact(name, "F", "g", "s", query, kind, pick, missing_note="n", **limits, **more)


@cache
def of_each_kind(kind: SourceKind) -> tuple[Fact, ...]:
    """Facts of each kind of read and type, whether or not a stack has one."""
    return tuple(_OF_EACH_KIND[kind]()) if kind in _OF_EACH_KIND else ()


def _of_redis() -> list[Fact]:
    facts = [plain(kind, RedisQuery("get", "k"), pick) for kind in ValueType for pick in (None, "a.b")]
    facts += [plain(kind, RedisQuery("hget", "k", "f")) for kind in SCALARS]
    facts += [plain(ValueType.TABLE, RedisQuery("hgetall", "k"))]
    for op in ("lrange", "zrange", "zrevrange", "xrevrange"):
        facts += [
            plain(kind, RedisQuery(op, "k", stop=9), None) for kind in (ValueType.TABLE, ValueType.COUNT)
        ]
        facts.append(plain(ValueType.TEXT, RedisQuery(op, "k", stop=0), "event"))
    facts += [plain(kind, RedisQuery("xsince", "k", start=60)) for kind in (ValueType.TABLE, ValueType.COUNT)]
    for op in ("smembers", "sinter", "groups", "scan_get", "scan_hash"):
        facts += [plain(kind, RedisQuery(op, "k")) for kind in (ValueType.TABLE, ValueType.COUNT)]
    facts += [plain(ValueType.TABLE, RedisQuery(op, "k", "f")) for op in ("consumers", "each")]
    facts += [
        plain(ValueType.TEXT, RedisQuery("ping", "")),
        plain(ValueType.TIME, RedisQuery("lastsave", "")),
    ]
    facts += [plain(kind, RedisQuery("heard", "k")) for kind in (ValueType.TABLE, ValueType.COUNT)]
    for op in ("strlen", "hlen", "llen", "scard", "zcard", "xlen", "ttl", "pttl", "numsub", "dbsize"):
        facts.append(plain(ValueType.INT, RedisQuery(op, "k")))
    facts += [
        plain(ValueType.TEXT, RedisQuery("type", "k")),
        plain(ValueType.BOOL, RedisQuery("exists", "k")),
        plain(ValueType.BOOL, RedisQuery("xany", "k")),
    ]
    facts += [
        plain(ValueType.COUNT, RedisQuery("scan", "k*")),
        plain(ValueType.FLOAT, RedisQuery("time", "")),
    ]
    return [*facts, plain(ValueType.INT, RedisQuery("info", "memory", "used_memory"))]


def _of_sql() -> list[Fact]:
    return [plain(kind, SqlQuery(f"SELECT a, n FROM gone_{kind.value}"), "a") for kind in ValueType]


def _of_http() -> list[Fact]:
    facts = [plain(kind, HttpQuery(f"/{kind.value}"), "a.b") for kind in ValueType]
    facts += [plain(ValueType.TEXT, HttpQuery("/observed"), "a", observed="b", max_age=60.0)]
    facts += [plain(ValueType.FLOAT, HttpQuery("/metrics", body="prometheus"), "up")]
    return [
        *facts,
        plain(ValueType.TEXT, HttpQuery("/text", body="text")),
        plain(ValueType.INT, HttpQuery("/s", body="none")),
    ]


def _of_prometheus() -> list[Fact]:
    # A sample is a number: as a text it would be whatever it is written as.
    kinds = [kind for kind in ValueType if kind is not ValueType.TEXT]
    facts = [plain(kind, PrometheusQuery(what, "up")) for kind in kinds for what in ("query", "range")]
    lists = ("targets", "rules", "alerts")
    return facts + [
        plain(kind, PrometheusQuery(what)) for what in lists for kind in (ValueType.TABLE, ValueType.COUNT)
    ]


def _of_loki() -> list[Fact]:
    return [plain(kind, LokiQuery('{job="x"} |= "y"')) for kind in ValueType]


def _of_files() -> list[Fact]:
    facts = [
        plain(kind, FileQuery(f"{what}-{kind.value}", what), "a.b")
        for what in ("json", "yaml", "toml")
        for kind in ValueType
    ]
    facts += [plain(kind, FileQuery("text", "text")) for kind in SCALARS]
    words = ("kind", "mode", "sha256", "text")
    facts += [plain(ValueType.TEXT, FileQuery("one", what)) for what in words]
    return [*facts, plain(ValueType.TABLE, FileQuery("*.json", "list", pattern="x"))]


def _of_host() -> list[Fact]:
    about = {"uptime": ValueType.FLOAT, "load": ValueType.FLOAT, "dns": ValueType.TABLE}
    return [plain(kind, HostQuery(what, "no.invalid")) for what, kind in about.items()]


def _of_docker() -> list[Fact]:
    tables = (
        "df", "volumes", "networks", "members", "images", "info", "env", "mounts", "ports", "top", "health",
        "log", "containers", "tasks", "nodes",
    )  # fmt: skip
    words = ("image", "digest", "label")
    facts = [plain(ValueType.TABLE, _docker(what)) for what in tables]
    facts += [plain(ValueType.TEXT, _docker(what)) for what in words]
    return [
        *facts,
        plain(ValueType.COUNT, _docker("log", since_start=True)),
        plain(ValueType.BOOL, _docker("env_is")),
        plain(ValueType.TIME, _docker("started")),
        plain(ValueType.INT, _docker("restarts")),
        plain(ValueType.INT, _docker("info"), "Containers"),
    ]


_WITHOUT_SERVICE = ("df", "volumes", "networks", "members", "images", "info", "containers", "tasks", "nodes")


def _docker(what: str, **more: Any) -> DockerQuery:
    """About the first service that runs in a container of its own."""
    if what in _WITHOUT_SERVICE:
        return DockerQuery(what, name="cr_default" if what == "members" else "", **more)
    service = of_the_stacks(SourceKind.DOCKER, True)[0]
    assert isinstance(service, ServiceSpec)
    return DockerQuery(what, service.name, name="MODE", value="paper", pattern="ERROR", **more)


_OF_EACH_KIND = {
    SourceKind.REDIS: _of_redis,
    SourceKind.POSTGRES: _of_sql,
    SourceKind.SQLITE: _of_sql,
    SourceKind.CLICKHOUSE: _of_sql,
    SourceKind.HTTP: _of_http,
    SourceKind.PROMETHEUS: _of_prometheus,
    SourceKind.LOKI: _of_loki,
    SourceKind.FILES: _of_files,
    SourceKind.HOST: _of_host,
    SourceKind.DOCKER: _of_docker,
}
