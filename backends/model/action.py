"""What a step does to the world: each kind is plain data.

Any text may name values of the run (``$operator``, ``$reason``, ``$symbol``); see ``substitution``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class RedisTransition(Struct, frozen=True):
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


class HttpCall(Struct, frozen=True):
    """One HTTP request that changes something."""

    source: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    expect: tuple[int, ...] = (200,)
    already: Mapping[int, str] = field(default_factory=dict)
    """Status code to a part of the body that means: it was so already."""
    auth: str = "none"
    """``none``, ``bearer``, ``service-jwt``, ``internal-token`` or ``user-context``."""


class RedisWrite(Struct, frozen=True):
    """One Redis command that changes a key, with what must be so before it."""

    source: str
    op: str
    """``set``, ``del``, ``hset``, ``hdel``, ``xadd``, ``publish``, ``rpush``, ``lpush``, ``ltrim``, ``sadd``,
    ``srem``, ``zrem``, ``json`` (sets members of the JSON object a key holds), ``flushdb``, ``bgsave``."""
    key: str = ""
    """The key or channel; always exact, never a pattern."""
    value: Any = None
    """For set, publish, rpush and lpush: text, or anything JSON can hold, stored as JSON. For sadd, srem and
    zrem the member, or a list of them."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """For hset and xadd; for hdel the names; for json the members, ``a.b`` for one inside another."""
    if_absent: bool = False
    """Only when the key does not exist; else ALREADY."""
    if_value: str | None = None
    """Only when the key's text is exactly this (compare and set); else FAILED."""
    if_newest: str | None = None
    """For del of a stream and lpush: only when the newest entry is this, by its id or its text as a fact
    shows it, and only when there is none if it is empty (compare and set); else FAILED."""
    min_receivers: int = 0
    """For publish: fewer subscribers than this is FAILED, because nobody heard it."""
    max_length: int | None = None
    """For xadd, rpush and lpush: trim to about this many, the newest; for ltrim: keep the first."""
    elapsed: Mapping[str, str] = field(default_factory=dict)
    """For json: members set to the whole seconds passed since the time that another member says."""
    if_null: tuple[str, ...] = ()
    """For json: members that must be null or not there; else FAILED."""
    is_record: bool = False
    """In a unit, only the record of the others: where its key cannot take it, they happen without it."""


class RedisUnit(Struct, frozen=True):
    """Several writes as one MULTI; all happen or none does."""

    source: str
    writes: tuple[RedisWrite, ...]


class DockerVerb(Struct, frozen=True):
    """Something done to one container of the stack."""

    source: str
    verb: str
    """``start``, ``stop``, ``restart``, ``kill``, ``signal``, ``connect`` or ``disconnect``."""
    service: str
    """The service by its name in the stack file, or ``$service``; aimed at its container id."""
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL for stop and restart."""
    network: str | None = None
    """For connect and disconnect: as compose names it in the container's project, or the engine's name."""
    signal: str | None = None
    """For signal: ``HUP``, ``USR1`` or ``USR2``, by which a program takes an order and goes on."""


class DockerExec(Struct, frozen=True):
    """A program run inside a container of the stack: never a shell, no input. Its exit code alone proves
    nothing. It may take as long as the step's deadline."""

    source: str
    service: str
    argv: tuple[str, ...]
    user: str = ""
    """Empty for the container's own."""
    output: str | None = None
    """Full path of a file on the room's host for its standard output: it appears whole or not at all, and
    an existing one is never overwritten. None keeps the end of the output in the receipt."""


class DockerCopy(Struct, frozen=True):
    """Copies something out of a container, running or not, into a new file on the room's host."""

    source: str
    service: str
    path: str
    """Inside the container."""
    output: str
    """Full path of the file. With ``.tar`` at its end it is a tar archive of ``path``; else ``path`` must be
    a single file. It appears whole or not at all, and an existing one is never overwritten."""


class DockerRemove(Struct, frozen=True):
    """One container that is stopped and is none of the stack's services; its volumes stay."""

    source: str
    container: str
    """Its exact name."""


class DockerTag(Struct, frozen=True):
    """A further tag for the image that a service's container was made from, in the same repository."""

    source: str
    service: str
    tag: str


class DockerPrune(Struct, frozen=True):
    """Removes the images with a label that no container was made from, running or not."""

    source: str
    label: str
    """``name=value``."""
    keep: tuple[str, ...]
    """How tags begin whose images stay: ``rollback-``."""


class SystemdVerb(Struct, frozen=True):
    """``start``, ``stop`` or ``restart`` of one unit."""

    source: str
    verb: str
    unit: str


class ProcessSignal(Struct, frozen=True):
    """SIGTERM or SIGINT to one process of this host, which may still refuse to end."""

    source: str
    command: str
    """Its command line, exactly as the room shows it. Another one that is only alike is left alone."""
    pid: str = ""
    """Its number; else it must be the only one with that command line."""
    signal: str = "TERM"


class SqlStatement(Struct, frozen=True):
    """One parameterised statement in one transaction."""

    source: str
    text: str
    """With ``%(name)s`` placeholders only; values come from ``params``."""
    params: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    """Rows it must touch; any other number rolls it back and is FAILED."""


class Command(Struct, frozen=True):
    """A program on this host; never a shell. Its exit code alone proves nothing."""

    source: str
    argv: tuple[str, ...]
    """A value stands in one argument and cannot become two, nor an option."""
    timeout: float = 60.0
    """Seconds, after which its process group is ended."""
    folder: str | None = None
    env: tuple[str, ...] = ()
    """Names of variables it may inherit besides ``PATH``, ``HOME`` and ``LANG``."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Variables with what they hold."""
    secret: Mapping[str, str] = field(default_factory=dict)
    """Variables that hold the password of the source named; left out where that has none."""
    ok: tuple[int, ...] = (0,)
    output: str | None = None
    """A file that takes what it prints: written beside it, and renamed when the program ended well."""
    engine: Mapping[str, str] = field(default_factory=dict)
    """Variables that say where the Docker Engine is that it acts on; empty when it acts on none."""
    stays: str | None = None
    """Why it would act on the wrong machine, in words, and therefore never runs."""


class FileEdit(Struct, frozen=True):
    """One key of one YAML, TOML or env file set to another value, or taken out; nothing else in it changes.

    The file as it was is kept beside it. What is written is read by a service only when it starts.
    """

    source: str
    path: str
    """Below the source's folder; its ending says the format, ``.env`` too."""
    key: tuple[str, ...]
    """The way to it. ``id=X`` is the element of a list whose member ``id`` is X."""
    value: Any = None
    """Text becomes what the value in the file is: a number, a flag or text."""
    is_removed: bool = False
    """Take the key out instead, with all that is under it."""
    is_created: bool = False
    """The key may be new; what it stands under must be there."""
    was: str | None = None
    """The word it must still read: what the operator saw. None where there is nothing to see."""


class Wait(Struct, frozen=True):
    """Time that must pass."""

    seconds: float
    source: str = ""


class Observe(Struct, frozen=True):
    """Nothing is done; the step's proof must hold before the next one."""

    source: str = ""


class Attest(Struct, frozen=True):
    """A person confirms having done or seen it; journalled with their name."""

    text: str
    source: str = ""


Action = (
    RedisTransition
    | HttpCall
    | RedisWrite
    | RedisUnit
    | DockerVerb
    | DockerExec
    | DockerCopy
    | DockerRemove
    | DockerTag
    | DockerPrune
    | SystemdVerb
    | ProcessSignal
    | SqlStatement
    | Command
    | FileEdit
    | Wait
    | Observe
    | Attest
)


def aim(action: Action) -> str:  # noqa: PLR0912 (one case for each kind of step)
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
            way = "from" if action.verb == "disconnect" else "to"
            text = f"{action.verb} {action.service}" + (f" {way} {action.network}" if action.network else "")
            text += f" {action.signal}" if action.signal else ""
        case DockerExec():
            into = f" > {action.output}" if action.output else ""
            text = f"in {action.service}: {' '.join(action.argv)}{into}"
        case DockerCopy():
            text = f"copy {action.path} of {action.service} to {action.output}"
        case DockerRemove():
            text = f"remove container {action.container}"
        case DockerTag():
            text = f"tag the image of {action.service} as {action.tag}"
        case DockerPrune():
            text = f"remove unused images labelled {action.label} except {', '.join(action.keep)}*"
        case SystemdVerb():
            text = f"{action.verb} {action.unit}"
        case ProcessSignal():
            text = f"SIG{action.signal} to {action.pid} {action.command}"
        case SqlStatement():
            text = " ".join(action.text.split())
        case Command():
            told = [f"{name}={value}" for name, value in (*action.engine.items(), *action.given.items())]
            text = " ".join([*told, *(f"{name}=****" for name in action.secret), *action.argv])
        case FileEdit():
            what = "taken out" if action.is_removed else f"= {action.value}"
            text = f"{action.path}: {'.'.join(action.key)} {what}"
        case Wait():
            text = f"wait {action.seconds:g} s"
        case Attest():
            text = f"a person confirms: {action.text}"
        case Observe():
            text = "look"
    return text
