"""An action as data: its risk class, its steps, how each is proved, and how a run went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from backends.model.clock import Instant
from backends.model.reading import Reading
from backends.model.safetext import NO_TEXT, SafeText


class RiskClass(Enum):
    STOP = "stop"
    """Halt, cancel-all: two keystrokes, never blocked."""
    MARKET = "market"
    """Flatten: moves the market; a challenge from live state."""
    DEGRADE = "degrade"
    """Loses data or service; the target's name is typed."""
    RESTORE = "restore"
    """Resume, reset: every precondition green, a phrase, a reason."""
    ROUTINE = "routine"
    """No effect on trading or data."""


class Verdict(Enum):
    VERIFIED = "VERIFIED"
    ALREADY = "ALREADY"
    """It was so before; read back."""
    UNCONFIRMED = "SENT, NOT CONFIRMED"
    CONTRADICTED = "CONTRADICTED"
    """A read-back says the opposite."""
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    REFUSED = "REFUSED"


class StepState(Enum):
    PENDING = "pending"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Timed out: it may or may not have happened. Only a read-back can tell."""
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class RedisTransition:
    """One atomic, guarded change of a JSON object in Redis, with its history entry, as one script.

    Values may name ``$now`` (ISO 8601 UTC, microseconds, ``+00:00``), ``$operator``, ``$reason``,
    ``$details``, ``$operation`` and the intent's own parameters (see ``model.substitution``).
    """

    source: str
    key: str
    state_field: str
    """The member that holds the state word."""
    allowed_from: tuple[str, ...]
    """States the change may start from; ``*`` stands for any word that is not listed."""
    target: str
    """The state it ends in; being there already is ALREADY, not an error."""
    set: Mapping[str, Any] = field(default_factory=dict)
    increment: tuple[str, ...] = ()
    create: Mapping[str, Any] | None = None
    """The whole object to write when the key is missing or malformed; None refuses."""
    history_key: str | None = None
    history_entry: Mapping[str, Any] = field(default_factory=dict)
    history_limit: int = 1000


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request that changes something."""

    source: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    expect: tuple[int, ...] = (200,)
    already: Mapping[int, str] = field(default_factory=dict)
    """Status code to a part of the body that means: it was so already."""
    auth: str = "none"
    """``none``, ``bearer``, ``service-jwt`` or ``internal-token``."""


Action = RedisTransition | HttpCall


@dataclass(frozen=True, slots=True)
class Proof:
    """What must be read back, over another connection, before a step counts as verified."""

    fact: str
    equals: tuple[str, ...]
    within: float = 1.0
    """Seconds to keep reading until it is so."""


@dataclass(frozen=True, slots=True)
class Step:
    id: str
    title: str
    """What it does, in the operator's words."""
    action: Action
    proof: tuple[Proof, ...]
    connect: float = 0.25
    """Seconds to get a connection."""
    deadline: float = 0.5
    """Seconds for the call."""
    after: float = 0.0
    """For a stop: seconds without a verified rung before this one starts, in parallel."""
    target: str = ""
    """For a stop with several targets: which one. Steps of one target are rungs, any of which will do."""


@dataclass(frozen=True, slots=True)
class Procedure:
    id: str
    title: str
    risk: RiskClass
    summary: str
    """One sentence: what happens to trading, orders and positions."""
    will_not: tuple[str, ...]
    """What it does not do, said before it is done."""
    fallback: str
    """What to do by hand when it cannot be proved: the exact commands."""
    steps: tuple[Step, ...]
    shows: tuple[str, ...] = ()
    """Facts to show in the dialog with their age (open orders, positions)."""
    reversible_by: str | None = None
    """The procedure that undoes it, or None."""
    note: str | None = None
    """Where the given runbook is wrong, in our words."""
    done: str = ""
    """The word for its success, ``HALTED``; empty for that of its class."""
    not_done: str = ""
    """The word for its failure, ``NOT HALTED``; empty for that of its class."""
    section: str | None = None
    runbook: tuple[str, ...] = ()


class ReceiptKind(Enum):
    DONE = "done"
    """The service says it did it."""
    ALREADY = "already"
    FAILED = "failed"
    """The service answered: it did not."""
    UNKNOWN = "unknown"
    """No answer in time, or cut off: it may have happened."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a writer was told by the service it called. Not proof of anything."""

    kind: ReceiptKind
    text: SafeText
    """What happened, in words that follow the source's name: ``no answer within 500 ms``."""
    before: SafeText | None = None
    """What was there before, as stored, when the service tells."""
    after: SafeText | None = None
    by: SafeText | None = None
    """Who brought the state about that is there now, when the service tells."""
    since: SafeText | None = None
    """Since when, in the service's own words."""


class Effector(Protocol):
    """A writer for one source. Never raises for a service's failure: that is a Receipt."""

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt: ...

    async def warm(self) -> None:
        """Open the connection ahead of need; a failure is ignored, the act will tell."""

    async def close(self) -> None: ...


class Verifier(Protocol):
    """Reads one fact afresh over connections that no writer and no poller uses."""

    async def look(self, fact: str, within: float) -> Reading[Any]: ...


@dataclass(frozen=True, slots=True)
class StepResult:
    step: str
    title: str
    state: StepState
    receipt: Receipt | None = None
    evidence: SafeText | None = None
    """What was read back, in words."""
    took: float | None = None
    """Seconds from sent to verified, failed or given up."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a procedure, as it stands; a new object for each change."""

    operation: str
    """The intent's id; a retry keeps it."""
    stack: str
    procedure: str
    title: str
    started: Instant
    steps: tuple[StepResult, ...]
    verdict: Verdict | None = None
    """None while it runs."""
    sentence: SafeText = NO_TEXT
    """The verdict in the operator's words: what holds, proved by what, via which rung."""
    ended: Instant | None = None
    rung: int | None = None
    """1 for the first step that held, 2 for the second …; None when none did."""
    journal_degraded: bool = False
    """True when the journal could not be written and a stop went ahead without it."""
