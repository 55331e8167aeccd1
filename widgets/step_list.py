"""A procedure as it runs: each step, its state, its proof, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from backends.model.procedure import Run, StepResult, StepState
from backends.model.safetext import SafeText
from widgets.cells import fit
from widgets.glyphs import STEP, VERDICT
from widgets.span import Span, Spans
from widgets.text_panel import TextPanel

_SIGN: Final = 18
"""Cells for sign and word; the longest is ``[>>] acknowledged``."""


NO_REMARKS: Final[Mapping[str, str]] = {}


def step_lines(steps: Sequence[StepResult], remarks: Mapping[str, str] = NO_REMARKS) -> list[Spans]:
    """A line for each step, and below it what was read back or, failing that, what the service said.
    ``remarks`` are said beside the steps of those ids."""
    lines: list[Spans] = []
    for step in steps:
        sign = STEP[step.state]
        beside = f"  {step.took:.2f} s" if step.took is not None else ""
        beside += f"  {remarks[step.step]}" if step.step in remarks else ""
        label = SafeText(fit(sign.label, _SIGN))
        lines.append((Span(label, sign.role), Span(SafeText(step.title)), Span(SafeText(beside), "muted")))
        indent = SafeText(" " * _SIGN)
        if step.evidence:
            role = sign.role if step.state is not StepState.VERIFIED else "muted"
            lines.append((Span(indent), Span(SafeText(f"read back: {step.evidence}"), role)))
        elif step.receipt is not None:
            said = f"answered {step.receipt.kind.value}: {step.receipt.text}"
            lines.append((Span(indent), Span(SafeText(said), "muted")))
    return lines


def run_lines(run: Run, remarks: Mapping[str, str] = NO_REMARKS) -> list[Spans]:
    """The steps of a run with ``remarks`` beside them, then the verdict and what it means; no verdict while
    it runs."""
    lines = step_lines(run.steps, remarks)
    lines.append(())
    if run.verdict is None:
        lines.append((Span(SafeText("RUNNING"), "accent"),))
        return lines
    sign = VERDICT[run.verdict]
    rung = f"  via rung {run.rung}" if run.rung is not None and run.rung > 1 else ""
    lines.append((Span(SafeText(f" {sign.label} "), sign.badge), Span(SafeText(rung), "muted")))
    if run.sentence:
        lines.append((Span(run.sentence),))
    if run.journal_degraded:
        lines.append(
            (Span(SafeText("The journal could not be written: note this action by hand."), "state-bad"),)
        )
    return lines


class StepList(TextPanel):
    """Shows a run; call ``show_run`` with each new state of it."""

    def show_run(self, run: Run) -> None:
        self.show(run_lines(run))
