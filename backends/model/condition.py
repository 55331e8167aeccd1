"""What must be so before an action, what the operator chooses for it, over what it repeats: plain data."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Condition(Struct, frozen=True):
    """A named demand on one fact; every demand that is set must hold. A fact that is not freshly read, and
    one that is missing (unless that is the demand), does not meet it.

    Texts may name values of the run (``$symbol``).
    """

    id: str
    fact: str
    """A fact's id, or ``service:<name>``."""
    because: str
    """The sentence shown when it does not hold: what is wrong and what to do."""
    equals: tuple[str, ...] = ()
    """Words of which it must read one."""
    differs: tuple[str, ...] = ()
    """Words it must not read."""
    is_ok: bool = False
    """Its level must be ok or info; missing will do only where its stack file calls that ok."""
    is_missing: bool = False
    """Its source must say: no such thing. Beside any other demand that will do as well."""
    at_most: float | None = None
    """The number, or the rows of a table; 0 for none at all."""
    at_least: float | None = None
    """The number, or the rows of a table, must not be below this."""
    max_age: float | None = None
    """Seconds since the answer's own timestamp, or since the time it says when it is a time."""
    min_age: float | None = None
    """Seconds a time must be past: how long trading must have been halted."""
    unchanged_for: float | None = None
    """Seconds it must have read the same, and no stop been ordered: how long trading must have been halted
    where nothing says since when it is."""
    where: Mapping[str, str] = field(default_factory=dict)
    """For a table: only rows whose columns read this are counted by ``at_most`` and ``at_least``."""


class Param(Struct, frozen=True):
    """A value the operator chooses, ``$name`` in the steps. It must be in every list that is given."""

    name: str
    label: str
    fact: str | None = None
    """A table fact: the value must stand in its ``column`` when the procedure starts."""
    column: str | None = None
    is_service: bool = False
    """One of the stack's services, by its name in the stack file."""
    one_of: tuple[str, ...] = ()
    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
    """A regular expression that the whole value must match."""
    is_secret: bool = False
    """Never shown, journalled or taken from a command line."""
    max_auth_age: float | None = None
    """It is an ID token: seconds that the sign-in it tells of may lie back."""


class Each(Struct, frozen=True):
    """Repeats a step for every row of a table fact, read afresh when the plan is made."""

    fact: str
    columns: tuple[str, ...]
    """The columns whose values the step may name (``$symbol``); the first tells the repetitions apart."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Only rows whose columns read this; may name values of the run."""
