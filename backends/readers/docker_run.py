"""Whether the run of a container that goes on ever wrote a line, told by looks at its newest lines alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, NamedTuple

from backends.model.fact import SourceError
from backends.model.query import DockerQuery
from backends.model.stamp import STAMP, to_ns, to_stamp
from backends.readers.coerce import MisfitError
from backends.readers.log_match import matching_lines

_AGAIN: Final = 300.0
"""Seconds until a run that could not be looked through is tried once more."""

GRACE: Final = 60_000_000_000
"""Nanoseconds in which a run writes its first line, and no log grows so much that it is rotated."""


class Run(NamedTuple):
    """One run of one container."""

    ident: str
    began: bytes
    """No line of it bears an earlier time."""
    started: bytes


class Part(NamedTuple):
    """What was read of the log of a run."""

    lines: Sequence[bytes]
    """Those of the run, oldest first."""
    is_whole: bool
    """No line that the log still has is missing."""
    has_older: bool
    """It goes back to before the run."""


class _Told(NamedTuple):
    run: Run
    has: bool
    through: bytes
    """The time of the newest line that was seen; where there was none, until when its first one may come."""
    is_silent: bool
    """It had written nothing yet."""


class RunLogs:
    """Remembers what was seen of each run: a line that has left the newest ones was written all the same, and
    what was never followed is not known not to hold it. Readers in several threads may share it: none waits
    for another."""

    def __init__(self) -> None:
        self._told: dict[DockerQuery, _Told] = {}
        self._tried: dict[DockerQuery, tuple[Run, float]] = {}
        """When somebody last began to read all of it, by the monotonic clock."""
        self._lock = threading.Lock()

    def has_written(
        self, query: DockerQuery, run: Run, newest: Part, whole: Callable[[], Part], now: bytes
    ) -> bool:
        """Whether a line of ``run`` holds the pattern, at the time ``now``.

        Only when its ``newest`` lines do not reach back to what was seen before, or to its start, and hold
        nothing that denies it, ``whole`` reads all of it. MisfitError when that cannot be had, or tells no
        more: nobody knows.
        """
        with self._lock:
            before = self._told.get(query)
        if before is not None and before.run != run:
            before = None
        has = _has(query, before, run, newest, now)
        if has is None and not newest.is_whole and self._may_try(query, run):
            try:
                has = _has(query, before, run, whole(), now)
            except (SourceError, MisfitError):
                has = None
            if has is not None:
                with self._lock:
                    self._tried.pop(query, None)
        if has is None:
            raise MisfitError("its log cannot be followed back to its start: not known")
        if newest.lines:
            told = _Told(run, has, newest.lines[-1][:STAMP], is_silent=False)
        else:
            late = to_stamp(max(to_ns(run.started), to_ns(now)) + GRACE)
            told = _Told(run, has, late, is_silent=True)
        return self._remember(query, told)

    def _may_try(self, query: DockerQuery, run: Run) -> bool:
        with self._lock:
            tried, at = self._tried.get(query, (None, 0.0))
            if tried == run and monotonic() - at < _AGAIN:
                return False
            self._tried[query] = (run, monotonic())
            return True

    def _remember(self, query: DockerQuery, told: _Told) -> bool:
        """What is so, with what another reader saw meanwhile."""
        with self._lock:
            other = self._told.get(query)
            if other is not None and other.run == told.run:
                has = told.has or other.has
                # A line that was seen says more than that there was none.
                told = max(told, other, key=lambda each: (not each.is_silent, each.through))._replace(has=has)
            if other is None or other.run.started <= told.run.started:
                self._told[query] = told
        return told.has


def _has(query: DockerQuery, before: _Told | None, run: Run, part: Part, now: bytes) -> bool | None:
    """Whether the run wrote it; None when nobody knows what it wrote before these lines."""
    if (before is not None and before.has) or matching_lines(query.pattern or "", part.lines).total > 0:
        return True
    first = part.lines[0][:STAMP] if part.lines else now
    if before is not None:
        reaches = first <= before.through and (part.is_whole or not before.is_silent)
    else:
        reaches = part.is_whole and first <= to_stamp(to_ns(run.started) + GRACE)
    return False if reaches or part.has_older or _denies(query, part, first) else None


def _denies(query: DockerQuery, part: Part, first: bytes) -> bool:
    """Whether a line tells that the run had not written it before. What was begun before it was written may
    be told of after it: the lines must go back to well before that one."""
    if query.denied_by is None:
        return False
    since = to_stamp(to_ns(first) + GRACE)
    return matching_lines(query.denied_by, (line for line in part.lines if line[:STAMP] >= since)).total > 0
