"""What the types cannot say about what a fact of a stack file asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from backends.stacks import schema, schema_read
from backends.stacks.naming import Complaint, known, not_said_by, path_objection, source_of
from backends.stacks.places import FOLDER
from backends.stacks.statement import objection

_BOUNDED: Final = ("lrange", "zrange", "zrevrange", "xrevrange", "xlatest")
_WITH_FIELD: Final = ("hget", "info", "consumers", "each", "xlatest")
_KINDS: Final = {
    "redis": ("redis",),
    "sql": ("postgres", "sqlite", "clickhouse"),
    "login": ("postgres",),
    "http": ("http",),
    "systemd": ("systemd",),
    "file": ("files",),
    "host": ("host",),
    "prom": ("prometheus",),
    "loki": ("loki",),
    "docker": ("docker",),
}
_OF_A_SERVICE: Final = (
    "image",
    "digest",
    "env",
    "env_is",
    "mounts",
    "ports",
    "top",
    "health",
    "started",
    "restarts",
    "log",
    "strays",
)
_OF_A_TARGET: Final = ("disk", "disk_free", "port", "process", "env_is", "env_has", "tcp", "dns")
_OPERANDS: Final = {"rate": 1, "age": 1, "ratio": 2, "before": 2, "differs": 2}
_OF_TABLES: Final = ("without", "before", "differs")
_MADE: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "same": ("a bool", ("bool",)),
    **dict.fromkeys(_OF_TABLES, ("a table", ("table",))),
}
"""What is made of the inputs, and the types of fact that can hold it; anything else makes a number."""
_SECRET_WORDS: Final = ("KEY", "SECRET", "PASS", "TOKEN", "CREDENTIAL", "DSN")
"""Parts of names of variables whose value is not even compared."""


def query(spec: schema.StackFile, fact: schema.FactSpec) -> Iterator[Complaint]:
    """Everything that is wrong with what the fact asks; places are relative to the fact."""
    kinds = (*_KINDS, "derive")
    asked = [name for name in kinds if getattr(fact, name) is not None]
    if len(asked) != 1:
        yield (), f"expected exactly one of {', '.join(kinds)}, got {' and '.join(asked) or 'none'}"
        return
    kind = asked[0]
    if kind == "derive":
        yield from _derive(spec, fact)
    elif why := source_of(spec, fact.source, *_KINDS[kind]):
        yield ("source",), why
    for name in FOLDER.findall(fact.host.target if fact.host is not None else ""):
        if why := source_of(spec, name, "files"):
            yield ("host", "target"), why
    rule = _RULES.get(kind)
    if rule is not None:
        yield from ((key if key[:1] == ("pick",) else (kind, *key), text) for key, text in rule(fact))


def _derive(spec: schema.StackFile, fact: schema.FactSpec) -> Iterator[Complaint]:
    others = [other.id for other in spec.fact if other.derive is None and not other.on_demand]
    if fact.source:
        yield ("source",), "what is derived has no source of its own"
    if fact.on_demand:
        yield ("on_demand",), "what is derived is made from what is polled"
    asked = fact.derive or schema_read.DeriveRead("sum", [])
    for index, name in enumerate(asked.of):
        if why := known(name, others, "polled fact"):
            yield ("derive", "of", index), why
    is_of_rows = asked.op == "age" and asked.column is not None
    facts = {other.id: other for other in spec.fact}
    for name, said in asked.unless.items():
        if why := known(name, others, "polled fact"):
            yield ("derive", "unless", name), why
        else:
            yield from ((("derive", "unless", name), text) for text in not_said_by(facts[name], [said]))
    if not is_of_rows and asked.op in _OPERANDS and len(asked.of) != _OPERANDS[asked.op]:
        yield ("derive", "of"), f"{asked.op} needs {_OPERANDS[asked.op]}, got {len(asked.of)}"
    made, types = _MADE.get(asked.op, ("a number", ("int", "float", "count")))
    if fact.type not in types:
        yield ("type",), f"{asked.op} makes {made}, not {fact.type}"
    yield from _compared(spec, asked)


def _compared(spec: schema.StackFile, asked: schema_read.DeriveRead) -> Iterator[Complaint]:
    """What is wrong with a comparison of tables."""
    if asked.op != "age" and (asked.op in _OF_TABLES) != (asked.column is not None):
        yield ("derive", "column"), f"goes with {', '.join(_OF_TABLES)} and age, and all but age need it"
    if asked.column is None or asked.op not in (*_OF_TABLES, "age"):
        return
    types = {other.id: other.type for other in spec.fact}
    for index, name in enumerate(asked.of[:1] if asked.op == "age" else asked.of):
        wanted = "time" if asked.op == "before" and index == 1 else "table"
        if types.get(name) != wanted:
            yield ("derive", "of", index), f"{asked.op} needs a {wanted} here, but {name!r} is none"


def _redis(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.redis or schema_read.RedisRead()
    asked = [name for name in schema_read.REDIS_OPERATIONS if getattr(read, name) is not None]
    if len(asked) != 1:
        names = ", ".join(schema_read.REDIS_OPERATIONS)
        yield (), f"expected exactly one operation of {names}, got {len(asked)}"
        return
    operation = asked[0]
    if not getattr(read, operation):
        yield (operation,), "expected a key, got nothing"
    if (read.field is not None) != (operation in _WITH_FIELD):
        yield (), f"field goes with {', '.join(_WITH_FIELD)}, and they need it"
    is_bounded = (read.start < 0) == (read.stop < 0) and read.stop >= read.start
    if operation in _BOUNDED and not (is_bounded and read.stop - read.start < 1000):
        yield (), f"{operation} needs bounds: start and stop, at most 1000 items apart"
    if operation == "xsince" and not 0 < read.start <= 3600:
        yield ("start",), "xsince needs start, the seconds looked back, at most an hour"
    if operation == "heard":
        yield from _heard(fact, str(read.heard))
    if operation == "each" and "{}" not in (read.field or ""):
        yield ("field",), "expected a key with {} where the member goes"


def _heard(fact: schema.FactSpec, channel: str) -> Iterator[Complaint]:
    if re.search(r"[*?\[\\]", channel):
        yield ("heard",), f"{channel!r} is a pattern; expected the name of one channel"
    if fact.type not in ("table", "count"):
        yield (), f"what is heard is a table or a count, not {fact.type}"
    if fact.pick is not None:
        yield ("pick",), "what is heard is whole messages; expected where"
    if fact.on_demand:
        yield (), "who looks on demand has never listened; expected a fact that is polled"


def _sql(fact: schema.FactSpec) -> Iterator[Complaint]:
    if why := objection(fact.sql or ""):
        yield (), why


def _login(fact: schema.FactSpec) -> Iterator[Complaint]:
    if fact.type != "text":
        yield (), f"whether it is let in is a text, not {fact.type}"
    if not fact.on_demand:
        yield (), "needs on_demand: each look is a program and a session of its own"


def _http(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.http or schema_read.HttpRead(path="/")
    if why := path_objection(read.path):
        yield ("path",), why
    if read.body == "prometheus" and fact.pick is None:
        yield ("pick",), "a prometheus answer needs pick, the name of the metric"


def _file(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.file or schema_read.FileRead(path="/", what="exists")
    if (read.what == "csv") != (read.csv is not None):
        yield (), 'csv goes with what = "csv", and that needs it'
    if read.pattern is not None and read.what not in ("match", "list"):
        yield (), 'pattern goes with what = "match" and what = "list"'
    if read.what == "match" and read.pattern is None:
        yield (), 'what = "match" needs a pattern'
    if (read.what == "members") != bool(read.member):
        yield (), 'member goes with what = "members", and that needs it'
    if read.beside and not read.member:
        yield (), "beside goes with member"
    for key in ("in_url", "group_reads"):
        if getattr(read, key) and read.what != "secrets":
            yield (key,), 'goes with what = "secrets"'
    if read.public and read.what != "env":
        yield ("public",), 'goes with what = "env"'
    if read.newest == "match" and (read.what != "match" or fact.type in ("table", "count")):
        yield ("newest",), 'match goes with what = "match" of one line'
    yield from _pattern(read.pattern)
    if read.newest.startswith("line:"):
        yield from _pattern(read.newest.removeprefix("line:"), "newest")


def _host(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.host or schema_read.HostRead(what="load")
    if (read.what in _OF_A_TARGET) != bool(read.target):
        yield (), f"target goes with {', '.join(_OF_A_TARGET)}, and they need it"
    if read.what == "env_has" and (not read.name or read.value):
        yield (), "env_has needs a name, and takes no value"
    yield from _variable(read.what, read.name, read.value)


def _systemd(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.systemd or schema_read.SystemdRead(unit="none")
    if read.log is not None and read.show != schema_read.SystemdRead(unit="none").show:
        yield (), "show and log are two questions"
    if read.log is not None and not fact.on_demand:
        yield (), "log needs on_demand: each look is a program of its own"
    yield from _pattern(read.log, "log")


def _prom(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.prom or schema_read.PromRead()
    if (read.what in ("query", "range")) != bool(read.query):
        yield (), "query goes with query and range, and they need it"


def _docker(fact: schema.FactSpec) -> Iterator[Complaint]:
    read = fact.docker or schema_read.DockerRead(what="info")
    if read.what in _OF_A_SERVICE and read.service is None:
        yield (), f"{read.what} needs a service"
    if (read.what == "log") != (read.pattern is not None):
        yield (), 'pattern goes with what = "log", and that needs it'
    if read.denied_by is not None and not (read.since_start and fact.type == "bool"):
        yield ("denied_by",), "goes with since_start, and a bool"
    yield from _pattern(read.pattern)
    yield from _pattern(read.denied_by, "denied_by")
    yield from _variable(read.what, read.name, read.value)


def _variable(what: str, name: str, value: str) -> Iterator[Complaint]:
    if what != "env_is":
        return
    if not name or not value:
        yield (), "env_is needs name and value"
    if any(part in name.upper() for part in _SECRET_WORDS):
        yield ("name",), f"{name!r} may hold a secret; its value is never looked at"


def _pattern(pattern: str | None, key: str = "pattern") -> Iterator[Complaint]:
    try:
        re.compile(pattern or "")
    except re.error as error:
        yield (key,), f"not a regular expression: {error}"


_RULES: Final = {
    "redis": _redis,
    "sql": _sql,
    "login": _login,
    "http": _http,
    "file": _file,
    "host": _host,
    "systemd": _systemd,
    "prom": _prom,
    "docker": _docker,
}
