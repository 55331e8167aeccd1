"""The shape of a stack file. Whatever is not described here is an error; see ``docs/stack-file.md``.

``python -m backends.stacks.schema`` writes the JSON Schema that editors use beside this module.
"""

# ruff: noqa: RUF012 (msgspec gives every struct a copy of its own)
import json
from collections.abc import Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.json import schema

from backends.stacks.schema_check import ChecklistRow, CheckRow, DiagnosisRow, RequireRow
from backends.stacks.schema_do import Do
from backends.stacks.schema_read import (
    DeriveRead,
    DockerRead,
    FileRead,
    HostRead,
    HttpRead,
    LokiRead,
    PromRead,
    RedisRead,
    SystemdRead,
)
from backends.stacks.schema_types import (
    EnvironmentWord,
    Id,
    Label,
    LevelWord,
    Per,
    Rows,
    Seconds,
    Strict,
    Text,
    Word,
)

SCHEMA_FILE = Path(__file__).with_name("stack.schema.json")


class Head(Strict):
    id: Id
    title: Text
    environment: EnvironmentWord
    """What to assume until a config file or live evidence says otherwise."""
    variant: str | None = None
    """Which of the file's variants it describes where no overlay is laid over it."""


class SourceSpec(Strict):
    kind: Literal[
        "docker", "swarm", "redis", "postgres", "http", "systemd", "files", "host", "prometheus", "loki",
        "sqlite", "clickhouse",
    ]  # fmt: skip
    title: Text
    every: Seconds
    deadline: Seconds
    url: str | None = None
    url_of: str | None = None
    """Another source of the same kind whose address this one shares, with other credentials."""
    url_env: str | None = None
    """Environment variable that replaces ``url`` when it is set."""
    username: str | None = None
    password_env: str | None = None
    """Environment variable that holds the credential; NAME_FILE works too."""
    auth: Literal["none", "user-context", "internal-token", "bearer"] = "none"
    options: dict[str, str] = {}
    runbook: Rows = []


class ServiceSpec(Strict):
    name: Id
    role: Text
    containers: list[Text] = []
    """Container names it may have, exact, tried in order."""
    unit: Text | None = None
    """Instead of containers: the systemd unit it is."""
    swarm: Text | None = None
    """Instead of containers: the service's name in a Docker Swarm."""
    process: Text | None = None
    """Instead of containers: a text its command line holds."""
    source: str = "docker"
    required: bool = True
    has_check: bool = False
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """On which it is published on its host, for rows with ``per = "port"``."""
    followed: bool = True
    instance_of: Id | None = None
    """What it is one of several instances of: nothing is resumed while they run different versions."""
    note: str | None = None
    runbook: Rows = []


class FactSpec(Strict):
    id: Id
    label: Label
    group: Label
    type: Literal["text", "int", "float", "bool", "time", "count", "table"]
    source: str = ""
    """Not for what is derived from other facts."""
    redis: RedisRead | None = None
    sql: str | None = None
    login: Literal["psql"] | None = None
    """Whether that client of this host is let into PostgreSQL with a new session of its own."""
    http: HttpRead | None = None
    systemd: SystemdRead | None = None
    file: FileRead | None = None
    host: HostRead | None = None
    prom: PromRead | None = None
    loki: LokiRead | None = None
    docker: DockerRead | None = None
    derive: DeriveRead | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    """Rows kept of a SQL answer."""
    pick: str | None = None
    where: dict[str, str] = {}
    """For a table or a count: only rows whose columns read so, such as ``{fill_rate = "<0.8"}``."""
    unit: Annotated[str, Meta(max_length=8)] = ""
    every: Seconds | None = None
    observed: str | None = None
    max_age: Annotated[float, Meta(gt=0)] | None = None
    ok: list[Word] = []
    info: list[Word] = []
    warn: list[Word] = []
    crit: list[Word] = []
    warn_above: float | None = None
    crit_above: float | None = None
    warn_below: float | None = None
    crit_below: float | None = None
    missing: LevelWord = "unknown"
    missing_note: str | None = None
    note: str | None = None
    shown: bool = True
    on_demand: bool = False
    """Never polled: read only when a check, a diagnosis or a procedure needs it."""
    runbook: Rows = []
    per: Per = None
    but: list[Id] = []


class ReassertRow(Strict):
    """Put a halt back that was lost: its key vanished, or an older state came back without a release."""

    by: str
    """The stop that closes the gate."""
    since: str
    """Fact of type time: since when it is closed."""
    released: str
    """Fact of type time: when it was last released, by whatever tool."""


class GateRow(Strict):
    fact: str
    label: Label
    trading: Annotated[list[Word], Meta(min_length=1)]
    halted: list[Word]
    missing: Literal["halted", "unknown"]
    missing_note: Text
    latches: bool = True
    """Whether it stays closed until somebody opens it; false for a gate that closes and opens by itself."""
    service: str | None = None
    """What trades behind it: halted while that service does not run."""
    idle: Annotated[str, Meta(max_length=16)] = ""
    """What to show instead of HALTED, for a gate that counts what runs: ``none runs``."""
    reassert: ReassertRow | None = None


class EchoRow(Strict):
    gate: str
    fact: str
    label: Label


class TradingSpec(Strict):
    halt_path: Text
    """The procedure that halts trading, or ``none`` for a stack that cannot be halted."""
    several: bool = False
    """Each gate is that of a trader of its own: halted only when all are, trading when one is."""
    gate: list[GateRow] = []
    echo: list[EchoRow] = []


class EvidenceRow(Strict):
    fact: str
    word: Word
    means: EnvironmentWord
    service: str | None = None
    """What says so: no evidence while that service is known not to run."""


class AlarmSpec(Strict):
    id: Id
    fact: str
    at: Literal["warn", "unknown", "crit"]
    priority: Literal["critical", "high", "low"]
    title: Text
    cause: Text
    consequence: Text
    response: Text
    words: list[Word] = []
    """Only when the fact reads one of these; ``(missing)``, or ``(other)`` for a word it does not list."""
    service: str | None = None
    """What the fact is about: no alarm while that service is known not to run."""
    after: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """Seconds for which it must be so on end before it is an alarm."""
    section: str | None = None
    runbook: Rows = []


class LogSpec(Strict):
    patterns: Annotated[list[Text], Meta(min_length=1)]
    drop: list[Text] = []
    runbook: Rows = []


class ProofRow(Strict):
    fact: str
    """A fact, or ``service:NAME``."""
    equals: Word | list[Word] = []
    within: Seconds = 1.0
    zero: bool = False
    at_most: float | None = None
    at_least: float | None = None
    where: dict[str, str] = {}
    """For a table: only rows whose columns read this are counted."""
    reads: Annotated[int, Meta(ge=1, le=90)] = 1
    """How many times in a row, at least a second apart."""
    restarted: bool = False
    missing: bool = False
    newer: bool = False
    """Its own timestamp (``observed``, or a fact of type time) must be later than the step was sent."""
    kept: str | None = None
    """An earlier step with a proof of the same fact: the number must not be below what it was there."""
    otherwise: str = ""
    """What to do when it reads the contrary."""


class EachSpec(Strict):
    fact: str
    columns: Annotated[list[Text], Meta(min_length=1)]
    where: dict[str, str] = {}


class StepSpec(Strict):
    id: Id
    title: Text
    do: Do
    proof: list[ProofRow] = []
    connect: Seconds = 0.25
    deadline: Seconds = 0.5
    after: Annotated[float, Meta(ge=0, le=60)] = 0.0
    target: str = ""
    unless: str = ""
    """The target that makes this one unneeded when it is reached by ``after``."""
    waits_for: str = ""
    """The step of another target that has up to two seconds to be proved first."""
    pre_authorised: bool = False
    """A rung that ends services by itself must say so."""
    each: EachSpec | None = None
    idempotent: bool = False
    once: bool = False
    """For a stop: not sent again once it was acknowledged."""
    on_failure: Literal["stop", "continue"] = "stop"


class ParamRow(Strict):
    name: Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]*$")]
    label: Label
    fact: str | None = None
    column: str | None = None
    service: bool = False
    one_of: list[Text] = []
    pattern: Text | None = None
    secret: bool = False
    max_auth_age: Seconds | None = None
    """For an ID token: how long ago its sign-in may have been."""


class ProcedureSpec(Strict):
    id: Id
    title: Text
    risk: Literal["stop", "market", "degrade", "restore", "routine"]
    summary: Text
    will_not: list[Text] = []
    fallback: str = ""
    step: list[StepSpec] = []
    shows: list[str] = []
    reversible_by: str | None = None
    further: str | None = None
    note: str | None = None
    done: str = ""
    not_done: str = ""
    section: str | None = None
    runbook: Rows = []
    require: list[RequireRow] = []
    held_for: Annotated[float, Meta(ge=0, le=600)] = 0.0
    param: list[ParamRow] = []
    challenge: str | None = None
    phrase: str = ""
    needs_approval: bool = False
    warnings: list[Text] = []
    seen: dict[str, str] = {}
    quiet: str | None = None
    starts: list[str] = []
    """Of a restore: stores it starts itself, which may be down before."""


Overlay = list[dict[str, Any]]
"""Tables as in the file itself: laid over the one of the same id or name, or added."""


class VariantSpec(Strict):
    """Another generation of the stack: how it is known, and what differs in it."""

    title: Text
    present: list[Text] = []
    """Containers that must exist, running or not."""
    any_of: list[Text] = []
    absent: list[Text] = []
    project: Text | None = None
    """Compose project that one of ``present`` must belong to."""
    drop: list[Text] = []
    """What this generation does not have: ``fact:ID``, ``service:NAME``, ``procedure:ID/STEP``,
    ``checklist:ID/ITEM`` …"""
    names: dict[str, str] = {}
    source: dict[str, dict[str, Any]] = {}
    trading: dict[str, Any] = {}
    logs: dict[str, Any] = {}
    service: Overlay = []
    fact: Overlay = []
    evidence: Overlay = []
    alarm: Overlay = []
    check: Overlay = []
    checklist: Overlay = []
    diagnosis: Overlay = []
    procedure: Overlay = []


class StackFile(Strict, dict=True):
    """One ``stack.toml``."""

    stack: Head
    trading: TradingSpec
    logs: LogSpec
    names: dict[str, str] = {}
    """What ``%{NAME}`` in any text of the file stands for."""
    source: dict[str, SourceSpec] = {}
    service: list[ServiceSpec] = []
    fact: list[FactSpec] = []
    evidence: list[EvidenceRow] = []
    alarm: list[AlarmSpec] = []
    check: list[CheckRow] = []
    checklist: list[ChecklistRow] = []
    diagnosis: list[DiagnosisRow] = []
    procedure: list[ProcedureSpec] = []
    variant: dict[str, VariantSpec] = {}

    # Nothing is changed in one that was read, so what follows from it is worked out once.

    @cached_property
    def facts(self) -> Mapping[str, FactSpec]:
        """The facts by their id."""
        return {fact.id: fact for fact in self.fact}

    @cached_property
    def heard(self) -> Set[str]:
        """The facts that are known to those alone who have listened for some time."""
        found = {fact.id for fact in self.fact if fact.redis is not None and fact.redis.heard is not None}
        derived = [(fact.id, fact.derive) for fact in self.fact if fact.derive is not None]
        return found | {name for name, made in derived if found & {*made.of, *made.unless}}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a stack file, as it is committed in ``SCHEMA_FILE``."""
    return schema(StackFile)


def schema_text() -> str:
    """The committed form of the JSON Schema."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
