"""What a fact of a stack file may ask: one table for each kind of source."""

# ruff: noqa: RUF012 (msgspec gives every struct a copy of its own)
from typing import Annotated, Literal

from msgspec import Meta, field

from backends.stacks.schema_types import Strict, Text, Word

Minutes = Annotated[float, Meta(gt=0, le=1440)]


class RedisRead(Strict):
    """Exactly one operation, with the key it reads."""

    get: str | None = None
    strlen: str | None = None
    exists: str | None = None
    ttl: str | None = None
    pttl: str | None = None
    type: str | None = None
    hget: str | None = None
    hgetall: str | None = None
    hlen: str | None = None
    llen: str | None = None
    lrange: str | None = None
    scard: str | None = None
    smembers: str | None = None
    sinter: str | None = None
    """Two or more sets, separated by spaces."""
    zcard: str | None = None
    zrange: str | None = None
    zrevrange: str | None = None
    xlen: str | None = None
    xany: str | None = None
    """Whether a stream holds an entry; a key of another type is no answer."""
    xrevrange: str | None = None
    xlatest: str | None = None
    """A stream; of its entries from ``start`` to ``stop`` the newest for each word at the path ``field``."""
    xsince: str | None = None
    """A stream; its entries of the last ``start`` seconds, at most 200, newest first."""
    groups: str | None = None
    """Consumer groups of a stream: name, consumers, pending, lag."""
    consumers: str | None = None
    """Consumers of the group ``field`` of a stream: name, pending, idle ms."""
    numsub: str | None = None
    """How many subscribe to a channel."""
    heard: str | None = None
    """A channel, not of a cluster; what was published on it in the last ``minutes`` while this room listened.
    Who looks afresh has not: no proof, precondition, check or switch can rest on it."""
    scan: str | None = None
    """A pattern; the value is how many keys match."""
    scan_get: str | None = None
    """A pattern; a table of key and value, or of the members of the JSON objects."""
    scan_hash: str | None = None
    """A pattern; a table of key and the hashes' fields."""
    each: str | None = None
    """A set; a table of its members and the JSON at the key ``field``, in which ``{}`` is the member."""
    info: str | None = None
    """A section of INFO; ``field`` names the line."""
    server: Literal["ping", "dbsize", "lastsave", "time", "clients"] | None = None
    """``time`` is how far its clock is ahead, ``clients`` is who subscribes and from where."""
    field: str | None = None
    start: int = 0
    stop: int = -1
    minutes: Annotated[float, Meta(gt=0, le=60)] = 15.0


REDIS_OPERATIONS = tuple(
    name for name in RedisRead.__struct_fields__ if name not in ("field", "start", "stop", "minutes")
)
"""The reads a stack file may ask for. None of them changes anything or is unbounded."""


class HttpRead(Strict):
    path: str
    expect: list[Annotated[int, Meta(ge=100, le=599)]] = field(default_factory=lambda: [200])
    body: Literal["json", "text", "prometheus", "none"] = "json"


class SystemdRead(Strict):
    unit: Text
    show: Text = "ActiveState"
    log: str | None = None
    """Instead of a property: lines of its journal that match, with the groups that this pattern names."""


class CsvRead(Strict):
    column: Text
    agg: Literal["last", "min", "max", "mean", "count", "share", "flips", "span", "gap"] = "last"
    hours: Annotated[float, Meta(gt=0, le=24 * 31)] | None = None
    time: Text = "ts"
    where: dict[str, str] = {}


class FileRead(Strict):
    path: Text
    what: Literal[
        "exists", "kind", "age", "size", "mode", "text", "json", "yaml", "toml", "env", "csv", "match",
        "list", "count", "sha256", "secrets", "members",
    ]  # fmt: skip
    newest: Annotated[str, Meta(pattern=r"^(mtime|name|match|json:[A-Za-z0-9_.-]+|line:.+)$")] = "mtime"
    pattern: str | None = None
    csv: CsvRead | None = None
    member: str = ""
    beside: str = ""
    public: list[Text] = []
    in_url: list[Text] = []
    group_reads: bool = False


class HostRead(Strict):
    what: Literal[
        "disk",
        "disk_free",
        "memory",
        "load",
        "uptime",
        "port",
        "ports",
        "process",
        "env_is",
        "env_has",
        "tcp",
        "dns",
        "interfaces",
        "net_errors",
    ]
    target: str = ""
    name: str = ""
    value: str = ""


class PromRead(Strict):
    what: Literal["query", "range", "targets", "rules", "alerts"] = "query"
    query: str = ""
    minutes: Minutes = 15.0
    agg: Literal["last", "min", "max", "mean"] = "last"


class LokiRead(Strict):
    query: Text
    minutes: Minutes = 15.0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class DockerRead(Strict):
    what: Literal[
        "df", "volumes", "networks", "members", "images", "info", "image", "digest", "env", "env_is",
        "mounts", "ports", "label", "top", "health", "started", "restarts", "log", "containers", "strays",
        "tasks", "nodes",
    ]  # fmt: skip
    service: str | None = None
    name: str = ""
    value: str = ""
    pattern: str | None = None
    tail: Annotated[int, Meta(ge=1, le=5000)] = 200
    since_start: bool = False
    denied_by: Text | None = None


class DeriveRead(Strict):
    op: Literal[
        "rate", "delta", "median", "min", "max", "minus", "sum", "ratio", "age", "same", "without", "before",
        "differs",
    ]  # fmt: skip
    of: Annotated[list[Text], Meta(min_length=1)]
    over: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    column: Text | None = None
    """For without, before and differs: the column by which rows are compared. For age: the column of a table
    whose earliest time is meant, while all that is named after the table is there; a table named after it
    leaves only the rows that its first column names."""
    unless: dict[str, Word] = {}
    """Missing while one of these facts reads so; of a table, its number of rows."""
