"""Who wants what done, to which targets, having seen which board."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from backends.model.safetext import SafeText


class Identity(Struct, frozen=True):
    """The operator, from the operating system and the SSH session; never from ``USER``."""

    user: str
    uid: int
    host: str
    tty: str | None = None
    remote: str | None = None
    """The SSH client's address, when there is one."""
    is_shared: bool = False
    """Whether several people use this account: then it does not say who it was."""
    login: str | None = None
    """Whose login it was, where that is another account: what ``su`` and ``sudo`` leave as it was."""


class Intent(Struct, frozen=True):
    """A request to run one procedure. ``id`` is the operation id: a retry reuses it."""

    id: str
    stack: str
    procedure: str
    operator: Identity
    reason: SafeText
    seen: int
    """Sequence of the board the operator was looking at; 0 when none was shown."""
    via: str
    """``screen`` or ``cli``; ``room`` for a lost halt that the room itself puts back."""
    params: Mapping[str, str] = field(default_factory=dict)
    challenge: str | None = None
    """What was typed where the procedure demands a live value."""
    phrase: str | None = None
    """What was typed where the procedure demands its phrase or its target's name."""
    plan: str | None = None
    """Hash of the plan that was shown; another plan is refused."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """By name of the procedure's ``seen``: the value that was shown."""
    approval: str | None = None
    """Id of a second person's approval."""
    is_dry: bool = False
    """Make the plan and check everything, and send nothing."""
