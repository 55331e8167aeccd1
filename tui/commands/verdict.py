"""What the process's exit status says, for scripts."""

from __future__ import annotations

from enum import IntEnum

from backends.engine import Mode
from backends.model.procedure import Run, Verdict


class ExitCode(IntEnum):
    """Zero only for what was read back. A crash is 1, never one of these."""

    VERIFIED = 0
    FAILED = 1
    """Every step answered that it did not do it."""
    USAGE = 2
    """A wrong command line or configuration; nothing was done."""
    PRECONDITION = 3
    PARTIAL = 4
    UNKNOWN = 5
    FORBIDDEN = 6
    CONFLICT = 7
    FALLBACK = 8
    """Verified, but not by the first rung."""


def of_run(run: Run | None, mode: Mode) -> ExitCode:
    """The exit status of a run; one that never reached a verdict is UNKNOWN."""
    if run is None or run.verdict is None:
        return ExitCode.UNKNOWN
    if run.verdict is Verdict.VERIFIED and run.rung is not None and run.rung > 1:
        return ExitCode.FALLBACK
    if run.verdict is Verdict.REFUSED and mode is Mode.WATCH:
        return ExitCode.FORBIDDEN
    return _CODES[run.verdict]


_CODES = {
    Verdict.VERIFIED: ExitCode.VERIFIED,
    Verdict.ALREADY: ExitCode.VERIFIED,
    Verdict.UNCONFIRMED: ExitCode.UNKNOWN,
    Verdict.CONTRADICTED: ExitCode.CONFLICT,
    Verdict.PARTIAL: ExitCode.PARTIAL,
    Verdict.FAILED: ExitCode.FAILED,
    Verdict.DRY_RUN: ExitCode.VERIFIED,
    Verdict.REFUSED: ExitCode.PRECONDITION,
}
