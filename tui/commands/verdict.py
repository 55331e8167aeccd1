"""From the verdict of a run to the exit status of the process."""

from __future__ import annotations

from backends.engine import Mode
from backends.model.procedure import Run, Verdict
from tui.commands.exitcode import ExitCode


def of_run(run: Run | None, mode: Mode) -> ExitCode:
    """The exit status of a run; one that never reached a verdict is UNKNOWN."""
    if run is None or run.verdict is None:
        return ExitCode.UNKNOWN
    if run.verdict is Verdict.DRY_RUN and run.blockers:
        return ExitCode.PRECONDITION
    if run.verdict is Verdict.VERIFIED and run.rung is not None and run.rung > 1:
        return ExitCode.FALLBACK
    if run.verdict is Verdict.REFUSED and mode is Mode.WATCH:
        return ExitCode.FORBIDDEN
    return _CODES[run.verdict]


def is_proved(run: Run) -> bool:
    """Whether the wanted state was read back."""
    return of_run(run, Mode.ARMED) in (ExitCode.VERIFIED, ExitCode.FALLBACK)


_CODES = {
    Verdict.VERIFIED: ExitCode.VERIFIED,
    Verdict.ALREADY: ExitCode.VERIFIED,
    Verdict.WRITTEN: ExitCode.UNKNOWN,
    Verdict.UNCONFIRMED: ExitCode.UNKNOWN,
    Verdict.CONTRADICTED: ExitCode.CONFLICT,
    Verdict.PARTIAL: ExitCode.PARTIAL,
    Verdict.FAILED: ExitCode.NOT_DONE,
    Verdict.DRY_RUN: ExitCode.VERIFIED,
    Verdict.REFUSED: ExitCode.PRECONDITION,
}
