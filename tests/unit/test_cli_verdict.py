"""The exit status says what was proved, and nothing but proof is zero."""

from __future__ import annotations

import pytest

from backends.engine import Mode
from backends.model.clock import Instant
from backends.model.procedure import Run, Verdict
from tui.commands.verdict import ExitCode, of_run


def run(verdict: Verdict | None, rung: int | None = None) -> Run:
    return Run("op", "stack", "halt", "Halt", Instant(1.0, 1.0), (), verdict=verdict, rung=rung)


@pytest.mark.parametrize(
    ("verdict", "rung", "code"),
    [
        (Verdict.VERIFIED, 1, 0),
        (Verdict.VERIFIED, None, 0),
        (Verdict.ALREADY, None, 0),
        (Verdict.FAILED, None, 9),
        (Verdict.REFUSED, None, 3),
        (Verdict.PARTIAL, 1, 4),
        (Verdict.WRITTEN, 1, 5),
        (Verdict.UNCONFIRMED, None, 5),
        (None, None, 5),
        (Verdict.CONTRADICTED, None, 7),
        (Verdict.VERIFIED, 2, 8),
    ],
)
def test_each_verdict_has_its_own_status(verdict: Verdict | None, rung: int | None, code: int) -> None:
    assert of_run(run(verdict, rung), Mode.ARMED) == code


def test_no_run_at_all_is_unknown() -> None:
    assert of_run(None, Mode.ARMED) is ExitCode.UNKNOWN


def test_a_refusal_in_watch_mode_is_forbidden() -> None:
    assert of_run(run(Verdict.REFUSED), Mode.WATCH) is ExitCode.FORBIDDEN


def test_only_what_was_read_back_or_sent_to_nobody_is_zero() -> None:
    zero = {verdict for verdict in Verdict if of_run(run(verdict), Mode.ARMED) == 0}
    assert zero == {Verdict.VERIFIED, Verdict.ALREADY, Verdict.DRY_RUN}
