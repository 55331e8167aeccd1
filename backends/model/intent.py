"""Who wants what done, to which targets, having seen which board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.model.safetext import SafeText


@dataclass(frozen=True, slots=True)
class Identity:
    """The operator, from the operating system and the SSH session; never from ``USER``."""

    user: str
    uid: int
    host: str
    tty: str | None = None
    remote: str | None = None
    """The SSH client's address, when there is one."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A request to run one procedure. ``id`` is the operation id: a retry reuses it."""

    id: str
    stack: str
    procedure: str
    operator: Identity
    reason: SafeText
    seen: int
    """Sequence of the board the operator was looking at; 0 when none was shown."""
    via: str
    """``screen`` or ``cli``."""
    params: Mapping[str, str] = field(default_factory=dict)
