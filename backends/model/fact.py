"""What to read, what type it has, and what its values mean."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct, field

from backends.model.query import Query
from backends.model.safetext import SafeText

NONE: Final = SafeText("–")
"""A cell of a table whose value is null or not there."""


class Table(Struct, frozen=True):
    """Rows of a query or members of a collection, bounded; ``total`` may exceed ``len(rows)``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[SafeText, ...], ...]
    total: int


Value = bool | int | float | SafeText | Table
"""What a fact can be. A float is finite; text is safe; a collection is a Table."""


class ValueType(Enum):
    """How the answer is understood; anything that does not fit is FAILED, never a default."""

    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TIME = "time"
    """A timestamp (ISO 8601, or epoch s or ms); the value is its epoch seconds as a float."""
    COUNT = "count"
    """How many: the length of a list, the rows of a query, the keys of a scan. An int."""
    TABLE = "table"


class Level(Enum):
    """What a value means to the operator."""

    OK = "ok"
    INFO = "info"
    """Shown, but neither good nor bad."""
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"

    rank: int
    """0 is best. UNKNOWN is worse than WARN: what is not known may be anything."""


for _rank, _level in enumerate((Level.OK, Level.INFO, Level.WARN, Level.UNKNOWN, Level.CRIT)):
    _level.rank = _rank


class Fact(Struct, frozen=True):
    """One value the room watches, as its stack file describes it."""

    id: str
    label: str
    group: str
    source: str
    query: Query
    type: ValueType
    pick: str | None = None
    """Dotted path into a JSON answer (``details.strategy_id``), a column of a SQL answer, or a metric."""
    unit: str = ""
    every: float | None = None
    """Seconds between polls, None for the source's own."""
    observed: str | None = None
    """Dotted path to the answer's own timestamp, from which the value's age is counted."""
    max_age: float | None = None
    """Seconds after which the answer's own timestamp makes it STALE."""
    meanings: Mapping[str, Level] | None = None
    """Level of each known word; with it, any other word is CRIT."""
    warn_above: float | None = None
    crit_above: float | None = None
    warn_below: float | None = None
    crit_below: float | None = None
    missing: Level = Level.UNKNOWN
    """What it means when the source answers: no such thing."""
    missing_note: str | None = None
    note: str | None = None
    """What an operator must know about this value, e.g. where the given runbook is wrong."""
    is_shown: bool = True
    """False for facts that only feed the trading state, checks or verification."""
    on_demand: bool = False
    """Never polled: read only when a check, a diagnosis or a procedure needs it."""
    where: Mapping[str, str] = field(default_factory=dict)
    """For a table or a count: only rows whose columns read so (see ``model.row``)."""
    runbook: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    """The source answered with a value."""

    value: Value
    observed_wall: float | None = None
    """The answer's own timestamp, epoch seconds, when the fact names one."""


class Absent(Struct, frozen=True):
    """The source answered: no such thing."""


class Broken(Struct, frozen=True):
    """This fact could not be had although the source may work; ``why`` is short and in plain words."""

    why: SafeText


Finding = Found | Absent | Broken


class SourceError(Exception):
    """A source did not answer at all. The message is short, in plain words, and holds no secret."""


Raw = Any
"""An answer before it is understood: parsed JSON, bytes, or rows."""
