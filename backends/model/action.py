"""What a step does to the world: each kind is plain data.

Any text may name values of the run (``$operator``, ``$reason``, ``$symbol``); see ``substitution``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    history_is_ranked: bool = False
    """The history is a sorted set scored by epoch seconds, not a list."""
    unchanged: Mapping[str, Any] = field(default_factory=dict)
    """Members that must still hold these values, checked in the same script; else nothing is changed."""
    restamp: tuple[str, ...] = ()
    """Members of ``set`` to write also when it is ``target`` already: a kill pressed again voids every
    release that was decided before it."""


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


@dataclass(frozen=True, slots=True)
class RedisWrite:
    """One Redis command that changes a key, with what must be so before it."""

    source: str
    op: str
    """``set``, ``del``, ``hset``, ``hdel``, ``xadd``, ``publish``, ``rpush``, ``bgsave``."""
    key: str = ""
    """The key or channel; always exact, never a pattern."""
    value: Any = None
    """For set, publish and rpush: text, or anything JSON can hold, stored as JSON."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """For hset and xadd; for hdel the names."""
    if_absent: bool = False
    """Only when the key does not exist; else ALREADY."""
    if_value: str | None = None
    """Only when the key's text is exactly this (compare and set); else FAILED."""
    min_receivers: int = 0
    """For publish: fewer subscribers than this is FAILED, because nobody heard it."""
    max_length: int | None = None
    """For xadd and rpush: trim to about this many."""


@dataclass(frozen=True, slots=True)
class RedisUnit:
    """Several writes as one MULTI; all happen or none does."""

    source: str
    writes: tuple[RedisWrite, ...]


@dataclass(frozen=True, slots=True)
class DockerVerb:
    """Something done to one container of the stack."""

    source: str
    verb: str
    """``start``, ``stop``, ``restart``, ``kill`` or ``disconnect`` (from ``network``)."""
    service: str
    """The service by its name in the stack file, or ``$service``; aimed at its container id."""
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL for stop and restart."""
    network: str | None = None


@dataclass(frozen=True, slots=True)
class SystemdVerb:
    """``start``, ``stop`` or ``restart`` of one unit."""

    source: str
    verb: str
    unit: str


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """One parameterised statement in one transaction."""

    source: str
    text: str
    """With ``%(name)s`` placeholders only; values come from ``params``."""
    params: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    """Rows it must touch; any other number rolls it back and is FAILED."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program on this host; never a shell. Its exit code alone proves nothing."""

    source: str
    argv: tuple[str, ...]
    """A value stands in one argument and cannot become two, nor an option."""
    timeout: float = 60.0
    """Seconds, after which its process group is ended."""
    folder: str | None = None
    env: tuple[str, ...] = ()
    """Names of variables it may inherit besides ``PATH``, ``HOME`` and ``LANG``."""
    ok: tuple[int, ...] = (0,)
    output: str | None = None
    """A file that takes what it prints: written beside it, and renamed when the program ended well."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Time that must pass."""

    seconds: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Observe:
    """Nothing is done; the step's proof must hold before the next one."""

    source: str = ""


@dataclass(frozen=True, slots=True)
class Attest:
    """A person confirms having done or seen it; journalled with their name."""

    text: str
    source: str = ""


Action = (
    RedisTransition
    | HttpCall
    | RedisWrite
    | RedisUnit
    | DockerVerb
    | SystemdVerb
    | SqlStatement
    | Command
    | Wait
    | Observe
    | Attest
)


def aim(action: Action) -> str:
    """What it acts on and how, short: ``POST /api/v1/orders``, ``SET key``, ``stop orchestrator``."""
    match action:
        case RedisTransition():
            text = f"key {action.key}"
        case HttpCall():
            text = f"{action.method} {action.path}"
        case RedisWrite():
            text = f"{action.op.upper()} {action.key}".strip()
        case RedisUnit():
            text = "MULTI " + ", ".join(aim(write) for write in action.writes)
        case DockerVerb():
            text = f"{action.verb} {action.service}" + (f" from {action.network}" if action.network else "")
        case SystemdVerb():
            text = f"{action.verb} {action.unit}"
        case SqlStatement():
            text = " ".join(action.text.split())
        case Command():
            text = " ".join(action.argv)
        case Wait():
            text = f"wait {action.seconds:g} s"
        case Attest():
            text = f"a person confirms: {action.text}"
        case Observe():
            text = "look"
    return text
