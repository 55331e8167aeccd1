"""Is the stack allowed to trade: one word, mapped from raw words that mean opposite things."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from backends.model.clock import Instant
from backends.model.safetext import NO_TEXT, SafeText


class TradingState(Enum):
    TRADING = "TRADING"
    HALTED = "HALTED"
    CONFLICT = "CONFLICT"
    """Two sources that must agree do not."""
    UNKNOWN = "UNKNOWN"
    NO_HALT_PATH = "NO HALT PATH"
    """This stack cannot be halted from here, because nothing in it can halt."""


class Gate(Struct, frozen=True):
    """One of the switches that must all allow trading, as last read."""

    fact: str
    label: str
    raw: SafeText | None
    """The platform's own word, None when it was not read."""
    state: TradingState
    because: SafeText
    idle: SafeText = NO_TEXT
    """What to call it when it is halted only because nothing runs there that could trade."""
    runs: str = ""
    """The board key of the service that says so; empty where the fact's own word decides."""

    @property
    def key(self) -> str:
        """The board key of the reading that it rests on."""
        return self.runs or self.fact


class Trading(Struct, frozen=True):
    """The roll-up over all gates; never better than the worst of them."""

    state: TradingState
    because: SafeText
    """One short sentence: which gate decided, in the operator's words."""
    since: Instant
    """When this state was first concluded in this session."""
    as_of: Instant
    """The oldest reading it rests on; its age is the age to show."""
    gates: tuple[Gate, ...] = ()
