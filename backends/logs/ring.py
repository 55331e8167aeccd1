"""The last lines of all logs of a stack, kept as they came and made into rows when asked for."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, Protocol

from backends.logs.level import LEVELS, SGR, LevelFinder
from backends.logs.merge import PATIENCE, Merger
from backends.model.clock import Clock, SystemClock
from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.safetext import LINE_LIMIT, SafeText
from backends.model.stack import LogGrammar
from backends.model.stamp import STAMP, TEXT, is_stamped, to_ns
from backends.model.wakes import Wake, Wakes

CAPACITY: Final = 100_000
"""Rows kept."""

RATE: Final = 50_000
"""Lines a second that are kept; of what comes faster the oldest are dropped, and counted."""

_ROWS: Final = 1024
"""Rows kept as made for the screen."""

_LOOK: Final = 2 * LINE_LIMIT
"""Bytes of a line that are looked at to show ``LINE_LIMIT`` characters of it."""

_MARKERS: Final = (None, *Marker)
_LEVEL_BITS, _MARKER_BITS = 0x0F, 0xF0
_CUT: Final = re.compile(rb" \.\.\. \+(\d{1,18}) bytes$")
"""How a follower says that a line was longer than it keeps."""


class Redact(Protocol):
    """Takes secrets out of a line's text."""

    def __call__(self, text: str, limit: int, *, is_cut: bool) -> str:
        """At most ``limit`` characters, without secrets and without half a one at the end; ``is_cut`` says
        that ``text`` is not the whole line.
        """


class LogRing:
    """A ``LogSink`` on one side, a ``LogSource`` on the other. Safe from any thread.

    Lines are merged by time: each waits ``patience`` seconds for older ones, the first ones only until none
    has come for ``pause`` seconds. One that comes later still is placed at the end and marked LATE.
    """

    def __init__(
        self,
        grammar: LogGrammar,
        services: Sequence[str] = (),
        *,
        capacity: int = CAPACITY,
        rate: int = RATE,
        patience: float = PATIENCE,
        pause: float = PATIENCE,
        redact: Redact | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``services`` are numbered in this order, others as they come; ``redact`` takes secrets out of a
        line's text before anything shows it. Raises ValueError for a grammar that cannot be used.
        """
        self._finder = LevelFinder(grammar)
        # One search for all: their common beginning is looked for as fast as memory is read.
        parts = [re.escape(part.encode()) for part in grammar.drop]
        self._is_noise = re.compile(b"|".join(parts)).search if parts else None
        self._redact = redact
        self._clock = clock or SystemClock()
        self._rate = rate
        self._patience_ns = int(patience * 1e9)
        self._lock = threading.Lock()
        self._merger = Merger(patience, pause)
        self._lines: deque[bytes] = deque(maxlen=capacity)
        self._tags: deque[int] = deque(maxlen=capacity)
        self._end = 0
        self._names = list(services)
        self._shared: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._rows: dict[int, LogLine] = {}
        self._newest = b""
        self._wakes = Wakes()
        self._allowance = float(rate)
        self._counted_at = self._clock.now().mono
        self.noise = 0
        """Lines left out because the grammar calls them noise."""
        self.dropped = 0
        """Lines lost because they came too fast."""

    def source(self, service: str) -> int:
        """As ``LogSink.source``."""
        with self._lock:
            if service not in self._names:
                self._names.append(service)
            return self._names.index(service)

    def append(self, source: int, lines: Sequence[bytes]) -> None:
        """As ``LogSink.append``; they appear after ``settle`` finds that they waited long enough."""
        is_noise = self._is_noise
        kept = lines if is_noise is None else [line for line in lines if not is_noise(line)]
        with self._lock:
            self.noise += len(lines) - len(kept)
            self._merger.add(self._clock.now().mono, source << 8, kept)

    def mark(
        self, source: int, marker: Marker, line: bytes, level: LogLevel = LogLevel.INFO, count: int = 0
    ) -> None:
        """As ``LogSink.mark``; ``count`` goes with a DROP."""
        tag = source << 8 | _MARKERS.index(marker) << 4 | LEVELS.index(level)
        with self._lock:
            self.dropped += count
            self._merger.add(self._clock.now().mono, tag, [line])

    def settle(self) -> float:
        """As ``LogSink.settle``."""
        now = self._clock.now().mono
        with self._lock:
            due = self._merger.due(now, everything=self._merger.waiting > self._rate)
            if due:
                self._take(due, now)
            rest = self._merger.next_due(now)
        if due:
            for wake in self._wakes:
                wake()
        return rest

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """As ``LogSource.subscribe``; on the thread that settles."""
        return self._wakes.add(wake)

    @property
    def first(self) -> int:
        """Ordinal of the oldest row still kept."""
        with self._lock:
            return self._end - len(self._lines)

    @property
    def end(self) -> int:
        """Ordinal after the newest row."""
        return self._end

    def line(self, ordinal: int) -> LogLine | None:
        """As ``LogSource.line``."""
        rows = self.window(ordinal, 1)
        return rows[0] if rows and rows[0].ordinal == ordinal else None

    def window(self, ordinal: int, count: int) -> list[LogLine]:
        """As ``LogSource.window``; begins at the oldest kept when ``ordinal`` is older."""
        with self._lock:
            first = self._end - len(self._lines)
            places = range(max(ordinal, first), min(max(ordinal, first) + count, self._end))
            rows = {place: self._rows[place] for place in places if place in self._rows}
            kept = [
                (place, self._lines[place - first], self._tags[place - first], self._counts.get(place, 0))
                for place in places
                if place not in rows
            ]
        if kept:
            # Outside the lock: what a container wrote must never keep lines from coming in.
            made = {place: self._made(place, line, tag, lost) for place, line, tag, lost in kept}
            rows |= made
            with self._lock:
                if len(self._rows) + len(made) > _ROWS:
                    self._rows.clear()
                self._rows |= made
        return [rows[place] for place in places]

    def raw(self, ordinal: int, count: int) -> tuple[int, list[bytes], list[int]]:
        """Lines and tags from ``ordinal`` on, as kept, and the ordinal of the first: for searching."""
        with self._lock:
            first = self._end - len(self._lines)
            start = max(ordinal, first) - first
            stop = start + count
            return (
                first + start,
                list(islice(self._lines, start, stop)),
                list(islice(self._tags, start, stop)),
            )

    def name(self, tag: int) -> str:
        """The service of a tag."""
        return self._names[tag >> 8]

    def _take(self, due: list[tuple[bytes, int]], now: float) -> None:
        """Store rows in order of time, at most as many as the rate allows. Under the lock."""
        self._allowance = min(self._rate, self._allowance + (now - self._counted_at) * self._rate)
        self._counted_at = now
        lost = max(0, len(due) - int(self._allowance))
        if lost:
            marks = [entry for entry in due[:lost] if entry[1] & _MARKER_BITS]
            self._drop(lost - len(marks), due[lost - 1])
            due = marks + due[lost:]
        self._allowance -= len(due)
        code, shared, newest = self._finder.code, self._shared, self._newest
        lines, tags = self._lines, self._tags
        for line, tag in due:
            if not tag & _MARKER_BITS:
                tag |= code(tag >> 8, line)  # noqa: PLW2901  # the plain tag is of no further use
            stamp = line[:STAMP]
            if stamp >= newest:
                newest = stamp
            elif not tag & _MARKER_BITS and self._is_late(stamp, newest):
                tag |= _MARKERS.index(Marker.LATE) << 4  # noqa: PLW2901  # as for the tag above
            lines.append(line)
            tags.append(shared.setdefault(tag, tag))
        self._newest = newest
        self._end += len(due)
        self._forget()

    def _drop(self, count: int, oldest_gap: tuple[bytes, int]) -> None:
        if not count:
            return
        self.dropped += count
        self._counts[self._end] = count
        text = f" {count:,} lines dropped here: they came faster than {self._rate:,} a second".encode()
        self._lines.append(oldest_gap[0][:STAMP] + text)
        tag = oldest_gap[1] & ~0xFF | _MARKERS.index(Marker.DROP) << 4 | LEVELS.index(LogLevel.WARNING)
        self._tags.append(tag)
        self._end += 1

    def _is_late(self, stamp: bytes, newest: bytes) -> bool:
        try:
            return to_ns(newest) - to_ns(stamp) > self._patience_ns
        except ValueError:
            return False  # no time to judge by; the row shows none either

    def _forget(self) -> None:
        """Counts of rows that are gone."""
        if len(self._counts) > 64:
            first = self._end - len(self._lines)
            self._counts = {place: count for place, count in self._counts.items() if place >= first}

    def _made(self, ordinal: int, line: bytes, tag: int, count: int) -> LogLine:
        marker = _MARKERS[(tag & _MARKER_BITS) >> 4]
        has_time = is_stamped(line)
        return LogLine(
            ordinal=ordinal,
            service="" if marker is Marker.DROP else self._names[tag >> 8],
            at=to_ns(line[:STAMP]) / 1e9 if has_time else None,
            level=LEVELS[tag & _LEVEL_BITS],
            text=self._text(line[TEXT:] if has_time else line, is_plain=marker in (None, Marker.LATE)),
            marker=marker,
            count=count,
        )

    def _text(self, raw: bytes, is_plain: bool) -> SafeText:
        over = 0
        if cut := _CUT.search(raw, max(0, len(raw) - 64)) if len(raw) > LINE_LIMIT else None:
            over, raw = int(cut[1]), raw[: cut.start()]
        if is_cut := len(raw) > _LOOK:
            over, raw = over + len(raw) - _LOOK, raw[:_LOOK]
        if b"\x1b" in raw:
            raw = SGR.sub(b"", raw)
        if is_plain:
            raw = self._finder.body(raw)
        text = raw.rstrip(b"\r").decode("utf-8", "backslashreplace")
        # Redacted before cutting: half a secret is still a secret.
        redact = self._redact
        shown = text[:LINE_LIMIT] if redact is None else redact(text, LINE_LIMIT, is_cut=is_cut)
        if not is_cut and len(text) <= LINE_LIMIT:
            return SafeText(shown)
        over += len(text[len(shown) :].encode("utf-8", "backslashreplace"))
        return SafeText(f"{shown}… +{over} bytes", LINE_LIMIT + 32)
