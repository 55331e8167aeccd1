"""One running part of a stack: a container, a systemd unit or a process."""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

from backends.model.safetext import NO_TEXT, SafeText


class Runtime(Enum):
    DOCKER = "docker"
    SWARM = "swarm"
    SYSTEMD = "systemd"
    PROCESS = "process"


class RunState(Enum):
    """What the runtime says the service is doing; UNKNOWN for a word this program does not know."""

    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    CREATED = "created"
    EXITED = "exited"
    DEAD = "dead"
    REMOVING = "removing"
    UNKNOWN = "unknown"


ENDED: Final = (RunState.CREATED, RunState.EXITED, RunState.DEAD)
"""States of a service in which none of its code runs."""


class Health(Enum):
    """NO_CHECK is its own word: a service nobody checks is not a healthy one."""

    HEALTHY = "healthy"
    STARTING = "starting"
    UNHEALTHY = "unhealthy"
    NO_CHECK = "no check"
    UNKNOWN = "unknown"


class Usage(Struct, frozen=True):
    """What a service used, from two samples of its runtime. Bytes, bytes a second, percent of one core."""

    cpu: float | None = None
    """Percent of one core; None until two samples exist."""
    memory: int | None = None
    """Bytes in use without page cache, as ``docker stats`` counts it."""
    memory_limit: int | None = None
    net_rx: float | None = None
    """Bytes a second received, None until two samples exist."""
    net_tx: float | None = None


class Service(Struct, frozen=True):
    """One service as its runtime describes it. Its key on the board is ``service:<name>``."""

    name: str
    """The service's id in the stack file (or the container's name for one that is not in it)."""
    runtime: Runtime
    ident: str
    """The runtime's own identity (container id, unit name): what an action is aimed at."""
    title: SafeText
    """The container's or unit's name as the runtime shows it."""
    state: RunState
    health: Health
    image: SafeText = NO_TEXT
    digest: str | None = None
    """Image id or digest, or None when the runtime gives none."""
    restarts: int | None = None
    exit_code: int | None = None
    """Of the last run; None while running for the first time."""
    oom_killed: bool = False
    started_wall: float | None = None
    """Epoch seconds, by the runtime's clock."""
    finished_wall: float | None = None
    usage: Usage = Usage()
    health_output: SafeText | None = None
    """What the last health check printed."""
    is_expected: bool = True
    """False for a container found in the project that the stack file does not name."""
