"""Whether the run of a container that goes on ever wrote a line, told by looks at its newest lines alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, NamedTuple

from backends.model.fact import SourceError
from backends.model.query import DockerQuery
from backends.model.stamp import STAMP
from backends.readers.coerce import MisfitError
from backends.readers.log_match import matching_lines

_AGAIN: Final = 300.0
"""Seconds until a run that could not be looked through is tried once more."""


class Run(NamedTuple):
    """One run of one container."""

    ident: str
    began: bytes
    """No line of it bears an earlier time."""


class _Told(NamedTuple):
    run: Run
    has: bool | None
    """None when nobody knows what it wrote before the newest lines."""
    through: bytes
    """The time of the newest line that was seen."""
    failed: float
    """When it last could not be looked through, by the monotonic clock."""


class RunLogs:
    """Remembers what was seen of each run: a line that has left the newest ones was written all the same, and
    what was never followed is not known not to hold it. For one thread."""

    def __init__(self) -> None:
        self._told: dict[DockerQuery, _Told] = {}

    def has_written(
        self,
        query: DockerQuery,
        run: Run,
        newest: Sequence[bytes],
        is_cut: bool,
        whole: Callable[[], Sequence[bytes]],
    ) -> bool:
        """Whether a line of ``run`` holds the pattern.

        ``newest`` are its last lines, oldest first; ``is_cut`` when there may be earlier ones. Only then, and
        when they do not reach back to what was seen before, ``whole`` reads all of it. MisfitError when that
        cannot be had: nobody knows.
        """
        before = self._told.get(query)
        if before is not None and before.run != run:
            before = None
        has = _holds(query, newest) or _earlier(before, newest, is_cut)
        failed = -_AGAIN if before is None else before.failed
        if has is None and monotonic() - failed >= _AGAIN:
            has = _looked_through(query, whole)
            failed = monotonic() if has is None else -_AGAIN
        through = newest[-1][:STAMP] if newest else run.began
        self._told[query] = _Told(run, has, through, failed)
        if has is None:
            raise MisfitError("its log is too long to be looked through from its start: not known")
        return has


def _earlier(before: _Told | None, newest: Sequence[bytes], is_cut: bool) -> bool | None:
    """Whether the run wrote it before its newest lines; None when nobody knows."""
    if not is_cut:
        return False
    if before is None or before.has:
        return None if before is None else True
    return before.has if newest[0][:STAMP] <= before.through else None


def _looked_through(query: DockerQuery, whole: Callable[[], Sequence[bytes]]) -> bool | None:
    try:
        return _holds(query, whole())
    except (SourceError, MisfitError):
        return None


def _holds(query: DockerQuery, lines: Sequence[bytes]) -> bool:
    return matching_lines(query.pattern or "", lines).total > 0
