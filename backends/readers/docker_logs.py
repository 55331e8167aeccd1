"""Following one log: every line once, through restarts and broken connections."""

from __future__ import annotations

from math import inf
from typing import Final

from backends.model.clock import Clock
from backends.model.logline import LogLevel, Marker
from backends.model.port import LogSink
from backends.model.stamp import STAMP, to_ns, to_stamp
from backends.readers.docker_frames import Frames
from backends.readers.docker_stream import Feed

FIRST_TAIL: Final = 200
"""Lines of the past that are read of a container that was there before the room was."""

RESUME_TAIL: Final = 20_000
"""Lines that are read at most to catch up; without a limit the engine would search the whole log."""

_SECOND: Final = 1_000_000_000
_OVERLAP: Final = 10_000_000
"""Nanoseconds read again when resuming: two streams of a container may be written out of order."""
_BEFORE_START: Final = 2 * _SECOND
_LAST_WORDS: Final = 0.3
"""Seconds after the end of a log when it is read once more: what a dying container said last counts."""

_PATIENCE: Final = 4
"""Attempts, about seven seconds, after which a log that stays cut off says so."""


class LogFeed(Feed):
    """The log of one container, or of a swarm's service, handed to a ``LogSink``.

    After a break it asks again from a little before the last line it had and skips up to that line. When
    that line is not there, it cannot know whether others are missing, and marks a GAP.
    """

    def __init__(
        self, path: str, service: str, sink: LogSink, clock: Clock, started: float | None = None
    ) -> None:
        """``path`` is the object's in the API, ``/containers/ID``. ``started``: read from this start on
        (epoch seconds); None for the last ``FIRST_TAIL`` lines.
        """
        super().__init__()
        self._path = path
        self._sink = sink
        self._source = sink.source(service)
        self._clock = clock
        self._started = started
        self._frames = self._new_frames()
        self._last = b""
        """The newest line handed on, in the log's own order."""
        self._repeats = 0
        """How often that very line came at the end."""
        self._seen: int | None = None
        """While resuming: how often it was seen again; None when not resuming."""
        self._held: list[bytes] = []
        self._has_data = False
        self._run: object = None
        self._is_running = True
        self._has_complained = False

    def set_run(self, run: object, is_running: bool) -> None:
        """What the container list says now; ``run`` differs after each restart. From any thread."""
        is_new = run != self._run
        self._run, self._is_running = run, is_running
        if is_new and self.retry_at == inf:
            self.retry_at = 0.0

    def request(self) -> tuple[str, dict[str, str]]:
        self._frames = self._new_frames()
        self._has_data = False
        self._held.clear()
        query = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1"}
        if self._last:
            self._seen = 0
            # Not from later than now: the engine's clock may have been set back, and nothing would come.
            since = min(to_ns(self._last[:STAMP]) - _OVERLAP, self._wall_ns())
            query |= {
                "since": _seconds(max(0, since)),
                "tail": str(RESUME_TAIL),
            }
        elif self._started is not None:
            since = int(self._started * _SECOND) - _BEFORE_START
            query |= {"since": _seconds(since), "tail": str(RESUME_TAIL)}
        else:
            query["tail"] = str(FIRST_TAIL)
        return f"{self._path}/logs", query

    def data(self, body: bytes) -> None:
        self._has_complained = False
        self._hand_on(self._frames.feed(body))

    def ended(self, why: str | None, now: float) -> None:
        if why is None:
            self._hand_on(self._frames.flush())
            if self._is_running or self._has_data:
                self.retry_at = now + _LAST_WORDS
            else:
                self.retry_at = inf
            return
        super().ended(why, now)
        is_refused = why.startswith("Docker answered") and not why.startswith("Docker answered 404")
        if (is_refused or self.failures >= _PATIENCE) and not self._has_complained:
            self._has_complained = True
            line = to_stamp(self._wall_ns()) + f" this log cannot be read: {why}".encode("utf-8", "replace")
            self._sink.mark(self._source, Marker.EVENT, line, LogLevel.WARNING)

    def mark_gap(self, why: str) -> None:
        """Say in the log that what was read last may be lost."""
        text = f" lines may be missing here: {why}".encode("utf-8", "backslashreplace")
        self._sink.mark(self._source, Marker.GAP, to_stamp(self._wall_ns()) + text)

    def _hand_on(self, lines: list[bytes]) -> None:
        if lines and self._seen is not None:
            lines = self._resume(lines, self._seen)
        if not lines:
            return
        self._has_data = True
        self._sink.append(self._source, lines)
        last, same = lines[-1], 1
        while same < len(lines) and lines[-1 - same] == last:
            same += 1
        self._repeats = self._repeats + same if same == len(lines) and last == self._last else same
        self._last = last

    def _resume(self, lines: list[bytes], seen: int) -> list[bytes]:
        """The lines after the last one that was handed on before the break."""
        known_until = self._last[:STAMP]
        give_up_after = to_stamp(to_ns(known_until) + _OVERLAP)
        for index, line in enumerate(lines):
            if line == self._last:
                seen += 1
                if seen >= self._repeats:
                    self._seen = None
                    self._held.clear()
                    return lines[index + 1 :]
            elif line[:STAMP] > known_until:
                self._held.append(line)
                if line[:STAMP] > give_up_after:
                    self._seen = None
                    text = b" lines may be missing here: the log was cut at " + known_until[11:19] + b" UTC"
                    self._sink.mark(self._source, Marker.GAP, self._held[0][:STAMP] + text)
                    held, self._held = self._held, []
                    return held + lines[index + 1 :]
        self._seen = seen
        return []

    def _new_frames(self) -> Frames:
        return Frames(self._wall_ns)

    def _wall_ns(self) -> int:
        return int(self._clock.now().wall * _SECOND)


def _seconds(ns: int) -> str:
    """Seconds with nine digits, as the engine reads ``since``."""
    return f"{ns // _SECOND}.{ns % _SECOND:09d}"
