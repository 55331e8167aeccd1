"""What a fact asks its source: one record for each kind of source. Every read is bounded."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class RedisQuery(Struct, frozen=True):
    """One bounded read. ``op`` is the Redis command in lower case, ``scan`` for a bounded key count, or
    ``heard`` for what is published on a channel."""

    op: str
    key: str
    """The key, the SCAN pattern, or the INFO section."""
    field: str | None = None
    """A hash field, or a line of INFO."""
    start: int = 0
    """Of a range where it begins, of ``xsince`` the seconds looked back."""
    stop: int = -1
    minutes: float = 15.0
    """Of what is heard: for how long it is remembered."""


class SqlQuery(Struct, frozen=True):
    """One SELECT, run in a read-only session with a statement time-out: PostgreSQL, SQLite or
    ClickHouse."""

    text: str
    limit: int = 200


class LoginQuery(Struct, frozen=True):
    """Whether a new session of a client of this host is let into PostgreSQL, with the password in nothing but
    the client's environment: ``let in``, or why not."""

    client: str
    """The program: ``psql``."""


class HttpQuery(Struct, frozen=True):
    """One GET."""

    path: str
    expect: tuple[int, ...] = (200,)
    """Status codes that are an answer; 404 outside it is MISSING, any other is FAILED."""
    body: str = "json"
    """``json``, ``text``, ``prometheus`` (pick names the metric) or ``none`` (only the status code)."""


class SystemdQuery(Struct, frozen=True):
    """One property of one unit, as ``systemctl show`` tells it, or lines of its journal. A unit that is not
    loaded is MISSING."""

    unit: str
    show: str = "ActiveState"
    """``ActiveState``, ``SubState``, ``Result``, ``NRestarts``, ``ExecMainStatus``,
    ``NextElapseUSecRealtime`` …"""
    pattern: str | None = None
    """Instead of a property: a regular expression, whose lines among the unit's last ones in the journal,
    since shortly before its last start."""


class CsvWindow(Struct, frozen=True):
    """One number or word from a CSV with a header, read by column name, newest rows first in time."""

    column: str
    agg: str = "last"
    """``last``, ``min``, ``max``, ``mean``, ``count``, ``share`` (part of the rows that meet ``where``, 0
    to 1), ``flips`` (changes of value an hour), ``span`` (hours from first to last row), ``gap``
    (longest, seconds)."""
    hours: float | None = None
    """Only rows of the last hours by ``time``; None for all that is read."""
    time: str = "ts"
    """The column with the row's time."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Column to word, or to ``<x``, ``<=x``, ``>x``, ``>=x``, ``^prefix|prefix``, or
    ``~part|part`` for one that holds it."""


class FileQuery(Struct, frozen=True):
    """Something about one file, or about those a pattern matches. No such file is MISSING."""

    path: str
    """Below the source's folder, or absolute; ``*``, ``?``, ``[…]`` and ``**`` match several."""
    what: str
    """``exists``, ``kind``, ``age`` (s), ``size`` (bytes), ``mode``, ``text``, ``json``, ``yaml``,
    ``toml``, ``env`` (names, never values), ``csv``, ``match`` (lines with ``pattern``), ``list``,
    ``count``, ``sha256``, ``secrets`` (what is wrong with secret files, never their content),
    ``members`` (what each of several YAML files says at ``member``)."""
    newest: str = "mtime"
    """Which of several counts: by ``mtime``, ``name``, a dotted path into their JSON (``json:ts_utc``), or of
    several logs the last written that has a line with the pattern (``match``)."""
    pattern: str | None = None
    """For ``match``, a regular expression, searched in the end of the file."""
    csv: CsvWindow | None = None
    member: str = ""
    """Of ``members``, a member at the top: one word, or a list of them, each in a row of its own."""
    beside: str = ""
    """Of ``members``, the folder from each file's own in which the word should be a file."""
    public: tuple[str, ...] = ()
    """Of ``env``, files that everybody has, below the source's folder: a template, a compose file. A column
    of that name says whether a value is the one there; no value is ever told."""
    in_url: tuple[str, ...] = ()
    """Of ``secrets``, the names of files whose secret goes into an address and must not break it."""
    group_reads: bool = False
    """Of ``secrets``, whether their group may read them in an open folder too."""


class HostQuery(Struct, frozen=True):
    """Something about the host the room runs on."""

    what: str
    """``disk`` (percent used), ``disk_free`` (GB), ``memory`` (percent used), ``load`` (per core, 1 min),
    ``uptime`` (s), ``port`` (who listens), ``ports``, ``process`` (whose command line holds ``target``,
    or one of several texts separated by ``|``), ``env_is``
    (whether a process of ``target`` has ``name=value``), ``env_has`` (whether one has ``name`` at all, and
    not empty; the value stays where it is), ``tcp`` (ms to connect), ``dns`` (addresses),
    ``interfaces`` (errors, drops), ``net_errors`` (all of them together)."""
    target: str = ""
    name: str = ""
    value: str = ""


class PrometheusQuery(Struct, frozen=True):
    """An instant or range query, or what Prometheus says of its targets, rules and alerts."""

    what: str
    """``query``, ``range``, ``targets``, ``rules`` or ``alerts``."""
    query: str = ""
    minutes: float = 15.0
    """Of a range, up to now."""
    agg: str = "last"
    """Of a range: ``last``, ``min``, ``max``, ``mean``."""


class LokiQuery(Struct, frozen=True):
    """Lines of the last minutes; their number or a table (time, labels, line). No stream at all is
    MISSING. Of more than ``limit`` the newest are read, and counted is one more than those."""

    query: str
    minutes: float = 15.0
    limit: int = 100


class DockerQuery(Struct, frozen=True):
    """Something the Docker Engine knows beside the state of services."""

    what: str
    """``df`` (bytes by kind), ``volumes``, ``networks``, ``members`` (of network ``name``), ``images``,
    ``info``, ``image``, ``digest``, ``env`` (names, never values), ``env_is`` (whether ``name`` has
    ``value``), ``mounts``, ``ports``, ``label`` (``name``), ``top``, ``health`` (the last outputs),
    ``started`` (when the container last was), ``restarts`` (by the engine, since it was made),
    ``log`` (lines with ``pattern``), ``containers`` (all, by ``name`` as a prefix), ``strays``
    (those of them of the compose project of ``service`` or of none), ``tasks`` and ``nodes`` (Swarm)."""
    service: str | None = None
    """By its name in the stack file."""
    name: str = ""
    value: str = ""
    pattern: str | None = None
    """For ``log``: a regular expression."""
    tail: int = 200
    """For ``log``: of how many last lines."""
    since_start: bool = False
    """For ``log``: only lines since the container's last start; MISSING when it does not run."""
    denied_by: str | None = None
    """For a ``log`` since the start: a regular expression of what no run writes any more that has written
    ``pattern``."""


class Derivation(Struct, frozen=True):
    """A value made from other facts by the room itself; as old as its oldest input, as good as its
    worst."""

    op: str
    """``rate`` and ``delta`` (how much a counter grew over ``over``, a second or in all, which nobody
    knows where it began anew), ``median``, ``min``, ``max`` (of the readings of ``over``), ``minus``,
    ``sum``, ``ratio``, ``age`` (seconds since a time, or since the earliest in the ``column`` of a
    table while all others are there, of the rows that the others which are tables name in their first
    column), ``same`` (whether all read alike), ``without`` (the rows of the first table whose
    ``column`` is not in the others'), ``before`` (the rows of a table whose ``column``, a time, is
    before the second fact), ``differs`` (the rows of the first table, told by ``column``, that the
    second has otherwise for all of ``over``; what it lacks is 0)."""
    of: tuple[str, ...]
    over: float = 60.0
    """Seconds looked back."""

    @property
    def looks_back(self) -> bool:
        """Whether it needs readings of all that time; any other needs only the newest."""
        return self.op in ("rate", "delta", "median", "min", "max")

    column: str = ""
    """For ``without``, ``before`` and ``differs``; of an ``age`` where it is that of a table."""
    unless: tuple[tuple[str, str], ...] = ()
    """(fact, word): there is no such value while one of them reads so; of a table, its number of rows."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every fact it rests on: those it is made of, then those that may say that there is none."""
        return (*self.of, *(fact for fact, _ in self.unless))


Query = (
    RedisQuery
    | SqlQuery
    | LoginQuery
    | HttpQuery
    | SystemdQuery
    | FileQuery
    | HostQuery
    | PrometheusQuery
    | LokiQuery
    | DockerQuery
    | Derivation
)


def asked(query: Query) -> str:
    """What is asked, short and in the source's own language where it has one."""
    match query:
        case RedisQuery():
            text = f"{query.op.upper()} {query.key} {query.field or ''}"
        case SqlQuery():
            text = " ".join(query.text.split())
        case LoginQuery():
            text = f"{query.client} with the password in its environment"
        case HttpQuery():
            text = f"GET {query.path}"
        case SystemdQuery():
            text = f"systemctl show {query.unit} {query.show}"
        case FileQuery():
            text = f"{query.what} of {query.path}" + (
                f", {query.csv.agg} {query.csv.column}" if query.csv else ""
            )
        case HostQuery():
            text = f"{query.what} {query.target} {query.name}"
        case PrometheusQuery() | LokiQuery():
            text = query.query or getattr(query, "what", "")
        case DockerQuery():
            text = f"docker {query.what} {query.service or query.name} {query.pattern or ''}"
        case Derivation():
            text = f"{query.op} of {', '.join(query.of)}"
    return " ".join(text.split())
