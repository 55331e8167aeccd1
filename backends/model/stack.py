"""A stack, as its file describes it, checked and resolved."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct, field

from backends.model.alarm import Priority
from backends.model.check import Check, Checklist, Diagnosis
from backends.model.fact import Fact, Level
from backends.model.procedure import Procedure, RiskClass
from backends.model.secret import Secret
from backends.model.trading import TradingState


class Environment(Enum):
    LIVE = "LIVE"
    PAPER = "PAPER"
    DEMO = "DEMO"


class SourceKind(Enum):
    DOCKER = "docker"
    SWARM = "swarm"
    """A manager of a Docker Swarm, asked for services instead of containers."""
    REDIS = "redis"
    POSTGRES = "postgres"
    HTTP = "http"
    SYSTEMD = "systemd"
    """Option ``scope = "user"`` means the user's own units."""
    FILES = "files"
    HOST = "host"
    PROMETHEUS = "prometheus"
    LOKI = "loki"
    SQLITE = "sqlite"
    CLICKHOUSE = "clickhouse"
    ROOM = "room"
    """The room itself: what is derived from other facts. Never polled."""


ROOM = "room"
"""The source id of what the room derives itself."""


class Source(Struct, frozen=True):
    """One place facts come from. ``url`` holds no credential."""

    id: str
    kind: SourceKind
    title: str
    url: str
    every: float
    """Seconds between polls."""
    deadline: float
    """Seconds one poll may take."""
    username: str | None = None
    password: Secret | None = None
    auth: str = "none"
    """HTTP: ``none``, ``user-context`` or ``internal-token`` (contract recipes), or ``bearer``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Kind-specific, e.g. ``service_id`` for internal tokens, ``statement_timeout`` for SQL."""
    origin: str = "stack file"
    """Where the url came from: stack file, a config file's path, or an environment variable's name."""


class ServiceSpec(Struct, frozen=True):
    """A service the stack should have."""

    name: str
    match: tuple[str, ...]
    """Container names it may have, exact, tried in order; or the one systemd unit; or a text that the
    process's command line holds. The kind of its source says which."""
    role: str
    source: str
    is_required: bool = True
    """False for a part that may legitimately be absent (a compose profile that is not used)."""
    has_check: bool = False
    """Whether a health check is expected; without one, NO_CHECK is normal."""
    note: str | None = None
    is_followed: bool = True
    """Whether its log is followed."""
    instance_of: str | None = None
    """What it is one of several instances of, all of which must run the same version."""
    runbook: tuple[str, ...] = ()


class Reassertion(Struct, frozen=True):
    """How a halt is put back when its state was lost, and what tells a loss from a release."""

    procedure: str
    """The stop that closes the gate."""
    since: str
    """Fact of type time: since when the gate is closed, by the store. It only ever rises."""
    released: str
    """Fact of type time: when it was last released, by whatever tool."""


class GateSpec(Struct, frozen=True):
    """One switch that must allow trading."""

    fact: str
    label: str
    trading: frozenset[str]
    """Raw words that allow trading."""
    halted: frozenset[str]
    """Raw words that stop it. Any other word is UNKNOWN."""
    missing: TradingState
    missing_note: str
    latches: bool = True
    """Once closed it is open again only by somebody's deed; False for one that closes and opens by itself."""
    service: str | None = None
    """What trades behind it: the gate is halted while that service does not run, whatever it last said."""
    idle: str = ""
    """What its halted words mean where they say that nothing runs; empty where they are somebody's halt."""
    reassert: Reassertion | None = None
    """None for a gate that is only watched."""

    def is_closed_by(self, procedure: Procedure) -> bool:
        """Whether it is a stop of which a proof is that this gate reads halted."""
        return procedure.risk is RiskClass.STOP and self._is_proof_of(procedure, self.halted)

    def is_opened_by(self, procedure: Procedure) -> bool:
        """Whether it is a restore of which a proof is that this gate allows trading."""
        return procedure.risk is RiskClass.RESTORE and self._is_proof_of(procedure, self.trading)

    def _is_proof_of(self, procedure: Procedure, words: frozenset[str]) -> bool:
        proofs = (proof for step in procedure.steps for proof in step.proof)
        return any(each.fact == self.fact and each.equals and set(each.equals) <= words for each in proofs)


class EchoSpec(Struct, frozen=True):
    """A second path to a gate's truth; a disagreement is a CONFLICT."""

    gate: str
    """The gate's fact id."""
    fact: str
    label: str


class AlarmRule(Struct, frozen=True):
    """When a fact at this level or worse is an alarm, and what to tell the operator."""

    id: str
    fact: str
    at: Level
    priority: Priority
    title: str
    cause: str
    consequence: str
    response: str
    section: str | None = None
    runbook: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    """Only when the fact reads one of these: ``(missing)`` for a fact that is missing, ``(other)`` for a word
    it does not list. Empty: whatever it reads."""
    service: str | None = None
    """No alarm while this service is known not to run."""
    after: float = 0.0
    """Seconds for which it must be so on end before it is an alarm."""


class LogGrammar(Struct, frozen=True):
    """How to find the level in a line, tried in order; each pattern has a group ``level``.

    A pattern may also have a group ``text``, where what is worth showing begins, and a group ``logger``,
    whose last part is shown before it.
    """

    patterns: tuple[str, ...]
    drop: tuple[str, ...] = ()
    """Substrings of lines that are noise and not shown."""


class Generation(Struct, frozen=True):
    """One of several forms a stack exists in, and the containers by which it is known."""

    id: str
    title: str
    present: tuple[str, ...] = ()
    """Containers that exist, running or not; all of them."""
    any_of: tuple[str, ...] = ()
    """Containers of which one exists."""
    absent: tuple[str, ...] = ()
    """Containers of which none exists."""
    project: str | None = None
    """The compose project that one of ``present`` belongs to."""
    doubt: str | None = None
    """Why it is only assumed that this one runs; None when it was seen or is configured."""

    def fits(self, containers: Mapping[str, str]) -> bool:
        """Whether a listing (container name to compose project) shows this generation."""
        return (
            all(name in containers for name in self.present)
            and (not self.any_of or any(name in containers for name in self.any_of))
            and not any(name in containers for name in self.absent)
            and (self.project is None or self.project in {containers.get(name) for name in self.present})
        )


class Stack(Struct, frozen=True):
    id: str
    title: str
    environment: Environment
    sources: Mapping[str, Source]
    services: tuple[ServiceSpec, ...]
    facts: Mapping[str, Fact]
    gates: tuple[GateSpec, ...]
    """Empty means NO_HALT_PATH, which the file must say explicitly."""
    echoes: tuple[EchoSpec, ...]
    alarms: tuple[AlarmRule, ...]
    procedures: Mapping[str, Procedure]
    checks: Mapping[str, Check]
    checklists: Mapping[str, Checklist]
    diagnoses: Mapping[str, Diagnosis]
    logs: LogGrammar
    runbook: Path | None = None
    """The operator's book, beside the stack file; None where there is none."""
    is_single_operator: bool = False
    """The local configuration does without a second person; shown and journalled."""
    venue_phone: str = ""
    """Whom to call when nothing else stops it; from the local configuration, empty when it does not say."""
    environment_facts: tuple[tuple[str, str, Environment], ...] = ()
    """(fact id, raw word, environment): live evidence that outranks the configured word."""
    evidence_services: Mapping[str, str] = {}
    """By fact of that evidence: the service while which is known not to run it says nothing."""
    generation: Generation | None = None
    """Which form of the stack this is, when there are several."""
    halt_path: str | None = None
    """The procedure that halts it; None when nothing in the stack can."""
    is_several: bool = False
    """Each gate is that of a trader of its own: halted is only when all are, trading when one is."""
    others: tuple[Stack, ...] = ()
    """The same stack in its other generations, as long as it is open which one runs."""
