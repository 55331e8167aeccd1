"""Numbers, ages and outcomes in words. Short enough for a cell, never ambiguous, never blank."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table, ValueType
from backends.model.figure import figure
from backends.model.reading import FUTURE_TOLERANCE, Outcome, Quality, Reading
from backends.model.safetext import SafeText

NOTHING = "–"
"""Where there is nothing to say, e.g. the exit code of a service that never ended."""

NOT_USED = "not used"
"""What may be absent, and is."""

KNOW = "Know that"
"""Before what a procedure leaves as it is, loses or does not do: whole sentences, for and against."""

_UNITS = ("B", "K", "M", "G", "T")


def age(seconds: float) -> str:
    """At most four characters: ``0.4s``, ``12s``, ``7m``, ``3h``, ``21d``."""
    if seconds < 0:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for limit, size, unit in ((99.5, 1, "s"), (99.5 * 60, 60, "m"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86400:.0f}d"


def whole_age(seconds: float) -> str:
    """Without tenths, for what is repainted with the beat: ``0s``, ``12s``, ``7m``."""
    return age(seconds) if seconds >= 9.95 or seconds < 0 else f"{seconds:.0f}s"


def span(seconds: float) -> str:
    """An uptime, two units at most: ``42s``, ``5m 10s``, ``3h 05m``, ``12d 4h``."""
    if seconds < 0:
        return "?"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def short_span(seconds: float) -> str:
    """An uptime in four characters: ``42s``, ``59m``, ``47h``, ``365d``."""
    if seconds < 0:
        return "?"
    for limit, unit, letter in ((60, 1, "s"), (3600, 60, "m"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)}{letter}"
    return f"{int(seconds // 86400)}d"


def size(count: float | None) -> str:
    """Bytes with a binary unit: ``734M``, ``1.5G``; ``?`` when not known."""
    if count is None:
        return "?"
    number = float(count)
    for unit in _UNITS:
        if number < 999.5 or unit == _UNITS[-1]:
            return f"{number:.1f}{unit}" if 0 < number < 9.95 and unit != "B" else f"{number:.0f}{unit}"
        number /= 1024
    raise AssertionError("the last unit takes any number")


def percent(number: float | None) -> str:
    """Whole percent: ``3%``, ``104%``, ``<1%``; ``?`` while two samples do not exist."""
    if number is None:
        return "?"
    return "<1%" if 0 < number < 0.5 else f"{number:.0f}%"


def clock(wall: float) -> str:
    """UTC time of day: ``14:03:05``."""
    return datetime.fromtimestamp(wall, UTC).strftime("%H:%M:%S")


def moment(wall: float, now: Instant) -> str:
    """A UTC time in words: time of day, with the date when it is not within 12 hours of now."""
    try:
        at = datetime.fromtimestamp(wall, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{wall:g} s (no valid time)"
    return at.strftime("%H:%M:%S" if abs(now.wall - wall) < 43_200 else "%Y-%m-%d %H:%M:%S")


def raw(value: Any) -> SafeText:
    """The platform's own word, with an empty text made visible."""
    if isinstance(value, bool):
        return SafeText("true" if value else "false")
    if isinstance(value, Table):
        return SafeText(f"{value.total} row{'' if value.total == 1 else 's'}")
    return SafeText(value) if str(value) else SafeText("(empty)")


def shown(fact: Fact, value: Any, now: Instant) -> SafeText:
    """A value as the fact's type and unit want it."""
    if isinstance(value, float) and fact.type is ValueType.TIME:
        ahead = value - now.wall
        told = f"in {age(ahead)}" if ahead > FUTURE_TOLERANCE else f"{age(max(0.0, -ahead))} ago"
        return SafeText(f"{moment(value, now)} ({told})")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return raw(value)
    return SafeText(figure(value, fact.unit))


def outcome(reading: Reading[Any] | None, now: Instant) -> str:
    """How good a reading is, in one word and an age: each failure has its own text, none is blank."""
    if reading is None or reading.outcome is Outcome.NEVER:
        return "NEVER read"
    old = whole_age(reading.age(now))
    if reading.outcome is Outcome.MISSING:
        is_old = reading.age(now) > reading.stale_after
        return f"STALE {old}" if is_old else "MISSING"
    if reading.outcome is Outcome.FAILED:
        return f"FAILED {whole_age(failing_for(reading, now))}"
    quality = reading.quality(now)
    if quality is Quality.FRESH:
        return fresh_age(reading)
    if quality is Quality.STALE:
        observed = reading.observed_age(now)
        return f"STALE {whole_age(max(reading.age(now), observed or 0.0))}"
    return {Quality.AGEING: f"ageing {old}", Quality.BAD: f"BAD CLOCK {old}"}.get(quality, f"UNKNOWN {old}")


def fresh_age(reading: Reading[Any]) -> str:
    """How old a fresh answer is at the most: ``<2s``. It stands still while answers come as they should,
    so that what moves on the screen is what matters; the detail view has the age itself."""
    return f"<{math.ceil(fresh_limit(reading))}s"


def fresh_limit(reading: Reading[Any]) -> float:
    """Seconds within which the next answer is expected."""
    return 1.5 * reading.period + 0.5


def failing_for(reading: Reading[Any], now: Instant) -> float:
    """Seconds since the answers began to fail, as far as that is known."""
    if reading.changed is not None:
        return now.since(reading.changed)
    return reading.age(now) if reading.last_good is None else now.since(reading.last_good.at)


def is_current(reading: Reading[Any] | None, now: Instant) -> bool:
    """Whether the source's answer, a value or "no such thing", may still be relied on."""
    if reading is None:
        return False
    if reading.outcome is Outcome.MISSING:
        return 0 <= reading.age(now) <= reading.stale_after
    return reading.quality(now) in (Quality.FRESH, Quality.AGEING)


def level_word(level: Level) -> str:
    """The word that goes with a level's sign and colour."""
    return {
        Level.OK: "ok",
        Level.INFO: "",
        Level.WARN: "WARN",
        Level.CRIT: "CRIT",
        Level.UNKNOWN: "UNKNOWN",
    }[level]
