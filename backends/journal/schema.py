"""The one shape of a record: what every kind must say, what it may say, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Meta(min_length=1)]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Seconds = Annotated[float, Meta(ge=0)]
RiskWord = Literal["stop", "market", "degrade", "restore", "routine"]
EnvironmentWord = Literal["LIVE", "PAPER", "DEMO"]


class _Strict(Struct, forbid_unknown_fields=True, kw_only=True):
    """A member that is not described is an error."""


class Operator(_Strict, kw_only=True):
    """Who, as the operating system says."""

    user: Text
    uid: int
    shared: Literal[True] | None = None
    """Several people use this account."""
    login: Text | None = None
    """Whose login it was, when another account's."""


class Terminal(_Strict, kw_only=True):
    """From where: the terminal, the SSH client's address, and the way in."""

    tty: str | None
    remote: str | None
    via: str | None


class Fact(_Strict, kw_only=True):
    """A fact as known or read back, or a precondition as weighed."""

    fact: Text | None = None
    require: Text | None = None
    value: str | None = None
    quality: Literal["fresh", "ageing", "stale", "bad", "unknown"] | None = None
    age: float | None = None
    sight: str | None = None
    standing: str | None = None
    text: str | None = None


class StepPart(_Strict, kw_only=True):
    """One step, as it stood: what was tried, what came of it, what was read back."""

    id: Text
    source: str
    """Empty for a step that asks no source: a program of this host, a wait, a person."""
    state: Text
    attempt: int | None = field(name="try", default=None)
    receipt: Text | None = None
    took: Seconds | None = None
    before: Any = None
    after: Any = None
    evidence: list[Fact] | None = None


class Torn(_Strict, kw_only=True):
    """The cut-off line that a repair stands behind."""

    bytes: int
    sha256: Sha256


class Record(_Strict, tag_field="kind", kw_only=True):
    """What every record says."""

    v: Literal[1]
    seq: Annotated[int, Meta(ge=1)]
    at: Moment
    mono: float
    host: Text
    boot: str
    pid: int
    build: Text
    mode: Literal["live", "dry", "watch"]
    operator: Operator
    session: Terminal
    text: str
    prev: Sha256
    hash: Sha256
    audit_degraded: Literal[True] | None = None
    lost_before: Annotated[int, Meta(ge=1)] | None = None


class _About(Record, kw_only=True):
    """What a record about a stack may say besides."""

    stack: Text | None = None
    environment: EnvironmentWord | None = None
    procedure: Text | None = None
    risk: RiskWord | None = field(name="class", default=None)
    operation: Text | None = None
    approver: Text | None = None
    approval: Text | None = None
    """The code of the consent that is used up by this."""
    reason: Text | None = None
    targets: list[str] | None = None
    plan: Sha256 | None = None
    seen: int | None = None
    before: list[Fact] | None = None
    after: list[Fact] | None = None
    rung: int | None = None
    verdict: Text | None = None
    duration: Seconds | None = None


class _OfRun(_About, kw_only=True):
    """What a record of a run must say."""

    stack: Text
    environment: EnvironmentWord
    procedure: Text
    risk: RiskWord = field(name="class")
    operation: Text


class Intent(_OfRun, tag="intent", kw_only=True):
    plan: Sha256
    seen: int
    config: Text | None = None
    """Digest of the configuration it was decided under."""


class Step(_OfRun, tag="step", kw_only=True):
    step: StepPart
    duration: Seconds


class Outcome(_OfRun, tag="outcome", kw_only=True):
    verdict: Text


class Refused(_About, tag="refused", kw_only=True):
    stack: Text


class Abandoned(_About, tag="abandoned", kw_only=True):
    stack: Text
    procedure: Text


class Session(Record, tag="session", kw_only=True):
    config: Text


class ClockSet(Record, tag="clock", kw_only=True):
    pass


class Attested(_About, tag="attest", kw_only=True):
    stack: Text
    targets: Annotated[list[str], Meta(min_length=1, max_length=2)]
    verdict: Literal["attested", "reset"]


class Note(_About, tag="note", kw_only=True):
    pass


class Repair(Record, tag="repair", kw_only=True):
    torn: Torn


class Place(_Strict, kw_only=True):
    """A record, by its number and its hash; number 0 is what the first record follows."""

    seq: Annotated[int, Meta(ge=0)]
    hash: Sha256


class RetiredFile(_Strict, kw_only=True):
    """A file that is removed."""

    name: Annotated[str, Meta(pattern=r"^\d+\.jsonl$")]
    bytes: int
    sha256: Sha256
    """Of all its bytes."""
    first: Place
    last: Place
    newest: Moment
    """The youngest time that any record in it says."""


class Retirement(_Strict, kw_only=True):
    """The files in their order, what they follow, and the rule: the days for which a record is kept."""

    days: Annotated[int, Meta(ge=1)]
    before: Place
    files: Annotated[list[RetiredFile], Meta(min_length=1)]


class Retired(Record, tag="retired", kw_only=True):
    retired: Retirement
    config: Text | None = None
    """Digest of the configuration that was last in force, for when the record that said so goes."""


AnyRecord = (
    Intent | Step | Outcome | Refused | Abandoned | Session | ClockSet | Attested | Note | Repair | Retired
)

_KINDS: Final[Any] = AnyRecord


def misfit(record: Mapping[str, Any]) -> str | None:
    """What is wrong with the shape of a record; None when nothing is."""
    try:
        msgspec.convert(record, type=_KINDS)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def json_schema() -> dict[str, Any]:
    """The same as JSON Schema, for whoever checks a copy elsewhere."""
    return msgspec.json.schema(_KINDS)
