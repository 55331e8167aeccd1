"""What one record of the journal says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from backends.model.clock import Instant
from backends.model.intent import Identity

SCHEMA: Final = 1
"""Version of the record's shape; a reader refuses a higher one."""

TEXT_LIMIT: Final = 4096
"""Characters of any one text in a record."""


def boot_id() -> str:
    """Which run of the host this is: monotonic times are comparable within one; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


class Kind(Enum):
    INTENT = "intent"
    """Someone is about to do this; written before the first effect."""
    STEP = "step"
    OUTCOME = "outcome"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    """A dialog was closed or left alone."""
    SESSION = "session"
    """An operator opened the room; with the digest of its configuration."""
    CLOCK = "clock"
    """The host's clock was set."""
    ATTEST = "attest"
    """A person confirmed an item of a checklist, or began one anew."""
    NOTE = "note"
    REPAIR = "repair"
    """The record before this one was cut off; written by the journal itself."""
    RETIRED = "retired"
    """The journal's oldest files are removed by the rule that is configured; written before they are."""


class Session(Struct, frozen=True):
    """What is the same in every record of one process."""

    operator: Identity
    build: str
    """The room's version."""
    mode: str = "live"
    """``live``, ``dry`` or ``watch``."""
    config: str = ""
    """Digest of the configuration in force, for the record of an intent; empty where there is none."""
    boot: str = field(default_factory=boot_id)
    pid: int = field(default_factory=os.getpid)


class Entry(Struct, frozen=True):
    """One event to be recorded. What is None or empty is left out."""

    kind: Kind
    text: str
    """What happened, in a sentence."""
    stack: str = ""
    environment: str = ""
    procedure: str = ""
    risk: str = ""
    operation: str = ""
    """The intent's id, the same in all records of one run."""
    operator: Identity | None = None
    """When it is not the session's own."""
    approver: str | None = None
    approval: str | None = None
    """The code of the consent that this uses up."""
    via: str = ""
    reason: str = ""
    targets: Sequence[str] = ()
    plan: str = ""
    """Hash of what was going to be done, exactly."""
    seen: int | None = None
    """Sequence of the board the operator was looking at."""
    before: Sequence[Mapping[str, Any]] = ()
    """Facts as known when it was decided, each with value, quality and age in seconds."""
    after: Sequence[Mapping[str, Any]] = ()
    step: Mapping[str, Any] | None = None
    rung: int | None = None
    verdict: str = ""
    duration: float | None = None
    """Seconds from the start of the run."""
    config: str = ""
    """Digest of the configuration in force."""
    retired: Mapping[str, Any] | None = None
    """What is removed, by file, and by which rule."""
    is_degraded: bool = False
    """The journal could not be written in time and a stop went ahead."""
    mode: str = ""
    """When it is not the session's own: ``dry``."""


def body(entry: Entry, session: Session, at: Instant) -> dict[str, Any]:
    """The record as plain data, without its place in the chain."""
    who = entry.operator or session.operator
    record: dict[str, Any] = {
        "v": SCHEMA,
        "at": at.iso(),
        "mono": round(at.mono, 6),
        "kind": entry.kind.value,
        "text": entry.text,
        "mode": entry.mode or session.mode,
        "build": session.build,
        "host": who.host,
        "boot": session.boot,
        "pid": session.pid,
        "operator": {
            "user": who.user,
            "uid": who.uid,
            **({"shared": True} if who.is_shared else {}),
            **({"login": who.login} if who.login else {}),
        },
        "session": {"tty": who.tty, "remote": who.remote, "via": entry.via or None},
    }
    more = {
        "stack": entry.stack,
        "environment": entry.environment,
        "procedure": entry.procedure,
        "class": entry.risk,
        "operation": entry.operation,
        "approver": entry.approver,
        "approval": entry.approval,
        "reason": entry.reason,
        "targets": list(entry.targets),
        "plan": entry.plan,
        "seen": entry.seen,
        "before": list(entry.before),
        "after": list(entry.after),
        "step": entry.step,
        "rung": entry.rung,
        "verdict": entry.verdict,
        "config": entry.config or (session.config if entry.kind is Kind.INTENT else ""),
        "retired": entry.retired,
        "duration": None if entry.duration is None else round(entry.duration, 4),
        "audit_degraded": entry.is_degraded or None,
    }
    record |= {name: value for name, value in more.items() if value not in (None, "", [])}
    return record


def wall_of(record: Mapping[str, Any]) -> float:
    """When it was written, epoch seconds; 0 where that cannot be understood."""
    try:
        return datetime.fromisoformat(str(record.get("at"))).timestamp()
    except ValueError:
        return 0.0


def capped(value: Any) -> Any:
    """``value`` as JSON can hold it, with every text cut to ``TEXT_LIMIT`` characters."""
    if isinstance(value, str):
        over = len(value) - TEXT_LIMIT
        return value if over <= 0 else f"{value[:TEXT_LIMIT]}… +{over} chars"
    if isinstance(value, Mapping):
        return {str(key): capped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [capped(item) for item in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    return capped(str(value))
