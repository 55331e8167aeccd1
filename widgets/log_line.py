"""One row of the log: a prefix that is ours, then the text that is not."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.safetext import NAME_LIMIT, SafeText
from widgets.cells import fit, reaches, window
from widgets.line_widget import Line
from widgets.roles import TONES, Role

_LEVELS: Final[Mapping[LogLevel, tuple[str, Role, Role]]] = {
    LogLevel.CRITICAL: ("CRT", "badge-bad", "level-error"),
    LogLevel.ERROR: ("ERR", "level-error", "level-error"),
    LogLevel.WARNING: ("WRN", "level-warn", "text"),
    LogLevel.INFO: ("INF", "muted", "level-info"),
    LogLevel.DEBUG: ("DBG", "level-debug", "level-debug"),
    LogLevel.UNKNOWN: (" · ", "muted", "text"),
}
"""Three letters, their colour, and the colour of the line. A warning colours its tag only: a log full of
warnings would otherwise hide the errors."""

_MARKERS: Final[Mapping[Marker, str]] = {
    Marker.GAP: "GAP",
    Marker.DROP: "DRP",
    Marker.EVENT: "EVT",
}


class LogLayout(Struct, frozen=True):
    """The columns of the prefix, for one width of the pane."""

    width: int
    has_time: bool
    service: int

    @classmethod
    def at(cls, width: int, service: int) -> LogLayout:
        """``service`` is the width wished for the service column; a narrow pane gives it less."""
        if width >= 100:
            return cls(width, True, service)
        return cls(width, width >= 56, min(service, 12 if width >= 56 else 8))


@lru_cache(maxsize=256)
def tone_of(service: str) -> Role:
    """A quiet colour for a service, the same in every session."""
    return TONES[zlib.crc32(service.encode("utf-8", "backslashreplace")) % len(TONES)]


@lru_cache(maxsize=512)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(second))


def clock_text(at: float | None) -> str:
    """UTC ``HH:MM:SS``; dashes when the runtime gave no time, or one that is none."""
    if at is None:
        return "--:--:--"
    try:
        return _clock(int(at))
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def paint_log_line(
    row: LogLine,
    layout: LogLayout,
    line: Line,
    start: int = 0,
    needle: re.Pattern[str] | None = None,
    is_marked: bool = False,
) -> None:
    """Put a row together, its text from cell ``start`` on, every match of ``needle`` shown.

    Whatever the text says, it stands right of a bar that no text can write: a log line cannot pose as a
    message of the room.
    """
    is_row_marker = row.marker in _MARKERS
    tag, tag_role, role = _LEVELS[row.level]
    if row.marker is not None and is_row_marker:
        tag, tag_role = _MARKERS[row.marker], "marker-gap"
        role = "accent" if row.marker is Marker.EVENT else "marker-gap"
    line.add("▌" if is_marked else " ", "frame-focus")
    if layout.has_time:
        line.add(clock_text(row.at), "muted")
        line.add(" ")
    line.add(tag, tag_role)
    line.add(" ")
    service = fit(SafeText(row.service, NAME_LIMIT), layout.service)
    line.add(f"{service}{'‹' if start else '│'}", tone_of(row.service))
    if row.marker is Marker.LATE:
        line.add("late ", "stale")
    room = layout.width - line.width
    text = _text(row) if is_row_marker else row.text
    is_cut = reaches(text, start + room)
    shown = window(text, start, room - 1) if is_cut else window(text, start, room)
    _paint_text(shown, role, needle, line)
    if is_cut:
        line.add("›", "muted")


def _text(row: LogLine) -> SafeText:
    if row.marker is Marker.DROP:
        why = row.text or "they came faster than can be kept"
        return SafeText(f"{row.count:,} lines dropped here: {why}")
    if row.marker is Marker.GAP:
        return SafeText(row.text or "the stream broke here; lines may be missing")
    return row.text


def _paint_text(text: str, role: Role, needle: re.Pattern[str] | None, line: Line) -> None:
    at = 0
    for found in needle.finditer(text) if needle is not None else ():
        if found.start() == found.end():
            break
        line.add(text[at : found.start()], role)
        line.add(found.group(), "match")
        at = found.end()
    line.add(text[at:], role)
