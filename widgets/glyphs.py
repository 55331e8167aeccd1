"""A sign, its ASCII form, a word and a colour for every state: meaning never rests on colour alone.

ASCII mode is for terminals whose locale is not UTF-8: every widget then writes nothing above 0x7F.
There is one terminal per process, so the mode is the process's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from backends.model.alarm import Priority
from backends.model.fact import Level
from backends.model.procedure import StepState, Verdict
from backends.model.reading import Quality
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.service import Health, RunState
from backends.model.trading import TradingState
from widgets.roles import Role

GLYPHS_VARIABLE: Final = "CONTROLROOM_GLYPHS"
"""``ascii`` or ``unicode`` in the environment overrides what the locale says."""


def wants_ascii(env: Mapping[str, str], is_utf8_mode: bool) -> bool:
    """Whether that environment asks for ASCII.

    Python started in the C locale sets LC_CTYPE to C.UTF-8 itself and switches its UTF-8 mode on, so
    that value is not the user's own and does not count.
    """
    asked = env.get(GLYPHS_VARIABLE, "").lower()
    if asked in ("ascii", "unicode"):
        return asked == "ascii"
    ctype = env.get("LC_CTYPE", "")
    if is_utf8_mode and ctype == "C.UTF-8":
        ctype = ""
    locale = env.get("LC_ALL") or ctype or env.get("LANG") or "C"
    return "utf8" not in locale.lower().replace("-", "")


class _Terminal:
    """What the process's one terminal can show."""

    is_ascii = wants_ascii(os.environ, bool(sys.flags.utf8_mode))


def is_ascii() -> bool:
    """Whether only ASCII may be written."""
    return _Terminal.is_ascii


def use_ascii(on: bool) -> None:
    """Switch ASCII mode; what is on screen changes with its next repaint."""
    _Terminal.is_ascii = on


class Sign(Struct, frozen=True):
    """How one state is shown, in every theme alike."""

    glyph: str
    ascii: str
    word: str
    role: Role
    badge: Role
    """The filled form, for where the state must be seen from across the room."""

    @property
    def mark(self) -> SafeText:
        """The sign alone."""
        return SafeText(self.ascii if _Terminal.is_ascii else self.glyph)

    @property
    def label(self) -> SafeText:
        """The sign and the word: ``▲ HIGH``, ``[! ] HIGH``."""
        return SafeText(f"{self.ascii if _Terminal.is_ascii else self.glyph} {self.word}")


def _sign(glyph: str, ascii_: str, word: str, role: Role, badge: Role | None = None) -> Sign:
    return Sign(glyph, ascii_, word, role, badge or role)


LEVEL: Final[Mapping[Level, Sign]] = {
    Level.OK: _sign("·", "[  ]", "ok", "state-ok"),
    Level.INFO: _sign("·", "[  ]", "info", "text"),
    Level.WARN: _sign("▲", "[! ]", "WARN", "state-warn", "badge-warn"),
    Level.CRIT: _sign("■", "[!!]", "CRIT", "state-bad", "badge-bad"),
    Level.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
}

QUALITY: Final[Mapping[Quality, Sign]] = {
    Quality.FRESH: _sign("·", "[  ]", "fresh", "muted"),
    Quality.AGEING: _sign("◦", "[' ]", "ageing", "ageing"),
    Quality.STALE: _sign("~", "[~ ]", "STALE", "stale", "badge-warn"),
    Quality.BAD: _sign("✕", "[X ]", "BAD", "state-bad", "badge-bad"),
    Quality.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
}

RUN_STATE: Final[Mapping[RunState, Sign]] = {
    RunState.RUNNING: _sign("●", "[+ ]", "running", "state-ok"),
    RunState.RESTARTING: _sign("↻", "[@ ]", "restarting", "state-bad", "badge-bad"),
    RunState.PAUSED: _sign("‖", "[= ]", "paused", "state-warn", "badge-warn"),
    RunState.CREATED: _sign("○", "[o ]", "created", "state-warn", "badge-warn"),
    RunState.EXITED: _sign("■", "[!!]", "exited", "state-bad", "badge-bad"),
    RunState.DEAD: _sign("✕", "[X ]", "dead", "state-bad", "badge-bad"),
    RunState.REMOVING: _sign("–", "[- ]", "removing", "state-warn", "badge-warn"),
    RunState.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
}

HEALTH: Final[Mapping[Health, Sign]] = {
    Health.HEALTHY: _sign("✓", "[ok]", "healthy", "state-ok"),
    Health.STARTING: _sign("◔", "[..]", "starting", "state-warn", "badge-warn"),
    Health.UNHEALTHY: _sign("✕", "[X ]", "unhealthy", "state-bad", "badge-bad"),
    Health.NO_CHECK: _sign("–", "[- ]", "no check", "muted"),
    Health.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
}

PRIORITY: Final[Mapping[Priority, Sign]] = {
    Priority.CRITICAL: _sign("■", "[!!]", "CRIT", "state-bad", "badge-bad"),
    Priority.HIGH: _sign("▲", "[! ]", "HIGH", "state-warn", "badge-warn"),
    Priority.LOW: _sign("●", "[. ]", "LOW", "changed"),
}

TRADING: Final[Mapping[TradingState, Sign]] = {
    TradingState.TRADING: _sign("►", "[> ]", "TRADING", "state-allowed"),
    TradingState.HALTED: _sign("■", "[##]", "HALTED", "state-halted", "badge-halted"),
    TradingState.CONFLICT: _sign("≠", "[/=]", "CONFLICT", "state-bad", "badge-bad"),
    TradingState.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
    TradingState.NO_HALT_PATH: _sign("▲", "[! ]", "NO HALT PATH", "state-warn", "badge-warn"),
}

STEP: Final[Mapping[StepState, Sign]] = {
    StepState.PENDING: _sign("○", "[  ]", "pending", "muted"),
    StepState.SENT: _sign("→", "[> ]", "sent", "changed"),
    StepState.ACKNOWLEDGED: _sign("◑", "[>>]", "acknowledged", "changed"),
    StepState.VERIFIED: _sign("✓", "[ok]", "VERIFIED", "state-allowed"),
    StepState.FAILED: _sign("✕", "[X ]", "FAILED", "state-bad", "badge-bad"),
    StepState.UNKNOWN: _sign("?", "[? ]", "UNKNOWN", "state-unknown", "badge-unknown"),
    StepState.SKIPPED: _sign("–", "[- ]", "skipped", "muted"),
}

VERDICT: Final[Mapping[Verdict, Sign]] = {
    Verdict.VERIFIED: _sign("✓", "[ok]", "VERIFIED", "state-allowed"),
    Verdict.ALREADY: _sign("✓", "[ok]", "ALREADY", "state-allowed"),
    Verdict.WRITTEN: _sign("▲", "[! ]", "WRITTEN, NOT CONFIRMED", "state-warn", "badge-warn"),
    Verdict.UNCONFIRMED: _sign("?", "[? ]", "SENT, NOT CONFIRMED", "state-unknown", "badge-unknown"),
    Verdict.CONTRADICTED: _sign("≠", "[/=]", "CONTRADICTED", "state-bad", "badge-bad"),
    Verdict.PARTIAL: _sign("◑", "[/ ]", "PARTIAL", "state-bad", "badge-bad"),
    Verdict.FAILED: _sign("✕", "[X ]", "FAILED", "state-bad", "badge-bad"),
    Verdict.DRY_RUN: _sign("–", "[- ]", "DRY RUN", "state-warn", "badge-warn"),
    Verdict.REFUSED: _sign("–", "[- ]", "REFUSED", "state-warn", "badge-warn"),
}

TABLES: Final[Mapping[type[Enum], Mapping[Any, Sign]]] = {
    Level: LEVEL,
    Quality: QUALITY,
    RunState: RUN_STATE,
    Health: HEALTH,
    Priority: PRIORITY,
    TradingState: TRADING,
    StepState: STEP,
    Verdict: VERDICT,
}
"""Every table by its enum, so that a test can see that none lacks a member."""

NOT_ASCII: Final = "‹not ASCII› "


def shown_name(raw: SafeText) -> SafeText:
    """A name as a row shows it: at most 64 characters, and marked when it holds a letter that is not
    ASCII, because such a letter can make one name look like another."""
    if raw.isascii():
        return SafeText(raw, NAME_LIMIT)
    return SafeText(f"{NOT_ASCII}{SafeText(raw, NAME_LIMIT)}")
