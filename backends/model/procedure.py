"""An action as data: its risk class, its steps, how each is proved, and how a run went."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct, field

from backends.model.action import Action
from backends.model.clock import Instant
from backends.model.condition import Condition, Each, Param
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
    WRITTEN = "WRITTEN, NOT CONFIRMED"
    """For a stop: read back where it is written, but not from a service that has to obey it."""
    UNCONFIRMED = "SENT, NOT CONFIRMED"
    CONTRADICTED = "CONTRADICTED"
    """A read-back says the opposite."""
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    DRY_RUN = "DRY RUN"
    """Nothing was sent to anybody; the steps are what would have been done."""


class StepState(Enum):
    PENDING = "pending"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Timed out: it may or may not have happened. Only a read-back can tell."""
    SKIPPED = "skipped"


class Proof(Struct, frozen=True):
    """What must be read back, over another connection, before a step counts as verified."""

    fact: str
    """A fact's id, or ``service:<name>``: its health while it runs and is checked, else its state."""
    equals: tuple[str, ...] = ()
    within: float = 1.0
    """Seconds to keep reading until it is so."""
    at_most: float | None = None
    """The number, or the rows of a table, must not be above this; 0 for none left."""
    at_least: float | None = None
    """The number, or the rows of a table, must not be below this."""
    where: Mapping[str, str] = field(default_factory=dict)
    """For a table: only rows whose columns read this are counted."""
    reads: int = 1
    """How many times in a row it must read so, at least a second apart."""
    is_restarted: bool = False
    """For a service: it must have started after the step was sent."""
    is_missing: bool = False
    """Its source must say: no such thing. Beside ``equals`` or a limit that will do as well."""
    is_newer: bool = False
    """Its own timestamp must be later than the moment the step was sent: a report of this very run."""
    kept: str | None = None
    """An earlier step that read it too: the number must not be below what it was there."""
    otherwise: str = ""
    """What to do when it reads the contrary; it follows what was read."""


class Step(Struct, frozen=True):
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
    unless: str = ""
    """For a stop: the target that makes this step's own unneeded when it is reached by ``after``."""
    waits_for: str = ""
    """For a stop: the step that has up to two seconds to be proved before this one starts."""
    is_pre_authorised: bool = False
    """It ends services by itself, as the third or fourth way of a stop, without a key of its own."""
    each: Each | None = None
    """Repeat it for every row; id, title and target may then name the row's columns."""
    is_idempotent: bool = False
    """Doing it twice is doing it once: it may be sent again when no answer came. Else it never is."""
    is_once: bool = False
    """For a stop: not sent again once it was acknowledged, whether or not the proof comes."""
    goes_on: bool = False
    """The next step is done even when this one fails; the verdict is then PARTIAL at best."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The columns of the row it was repeated for; filled in by the plan."""
    way: int = 1
    """For a stop: which of the ways to its target it is, whatever rows there are; filled in by the plan."""


class Procedure(Struct, frozen=True):
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
    further: str | None = None
    """For a stop: the stop that goes further, one key away where this one could not be proved."""
    note: str | None = None
    """Where the given runbook is wrong, in our words."""
    done: str = ""
    """The word for its success, ``HALTED``; empty for that of its class."""
    not_done: str = ""
    """The word for its failure, ``NOT HALTED``; empty for that of its class."""
    section: str | None = None
    runbook: tuple[str, ...] = ()
    requires: tuple[Condition, ...] = ()
    """What must be so, freshly read, for anything but a stop. A stop shows it and is not kept from acting."""
    held_for: float = 0.0
    """Seconds ``requires`` must have held without a break before a restore."""
    params: tuple[Param, ...] = ()
    challenge: str | None = None
    """For what moves the market: the fact whose live value must be typed."""
    phrase: str = ""
    """For a restore: what must be typed. For what degrades: the name that must be typed."""
    needs_approval: bool = False
    """A second person must approve, unless the stack is set to a single operator."""
    warnings: tuple[str, ...] = ()
    """Traps, said in the dialog before it is confirmed."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Name to fact: values that must still be what the operator saw; ``$name`` in the steps."""
    quiet: str | None = None
    """A count that must not grow for five seconds after a verified stop: orders accepted."""
    starts: tuple[str, ...] = ()
    """Stores that it starts itself: one that does not answer before is no reason to refuse."""


class ReceiptKind(Enum):
    DONE = "done"
    """The service says it did it."""
    ALREADY = "already"
    FAILED = "failed"
    """The service answered: it did not."""
    UNKNOWN = "unknown"
    """No answer in time, or cut off: it may have happened."""


class Receipt(Struct, frozen=True):
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


class StepResult(Struct, frozen=True):
    step: str
    title: str
    state: StepState
    receipt: Receipt | None = None
    evidence: SafeText | None = None
    """What was read back, in words."""
    took: float | None = None
    """Seconds from sent to verified, failed or given up."""


class Run(Struct, frozen=True):
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
    """1 when the first way held, 2 for the second …; of several targets the last. None when none did."""
    journal_degraded: bool = False
    """True when the journal could not be written and a stop went ahead without it."""
    risk: RiskClass = RiskClass.STOP
    is_dry: bool = False
    """Nothing was or will be sent."""
    plan: str = ""
    """Hash of what is done, exactly: what a dry run prints and the real run is held to."""
    blockers: tuple[SafeText, ...] = ()
    """Why it was refused, or in a dry run would be: one sentence each."""
    room: str = ""
    """Whose it is when another room on this host runs it: ``kim on /dev/pts/3``; empty for our own."""
    notes: tuple[SafeText, ...] = ()
    """What was known before it started and kept it from nothing: a clock that begins to differ."""
    awaits: str | None = None
    """The step that waits for a person's confirmation now."""
