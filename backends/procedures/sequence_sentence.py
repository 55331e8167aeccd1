"""What came of a procedure that is no stop, in one sentence of the operator's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backends.model.procedure import ReceiptKind, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.procedures.plan import Plan
from backends.procedures.sentence import LIMIT, opening

_MISSED = (StepState.FAILED, StepState.UNKNOWN)


def sequence_sentence(
    plan: Plan,
    verdict: Verdict,
    results: Sequence[StepResult],
    sources: Mapping[str, Source],
    why: Sequence[str],
    gates: Sequence[str],
    took: float,
) -> SafeText:
    """``RESUMED. Kill switch reads ACTIVE, 0.8 s``; ``NOT RESUMED. Step 2 of 3, …: refused; 1 step done``."""
    if verdict is Verdict.DRY_RUN:
        text = f"DRY RUN, nothing was sent: {_number(results)}, plan {plan.hash}"
        return SafeText(text + (f". It would be refused now: {'; '.join(why)}" if why else ""), LIMIT)
    if verdict is Verdict.REFUSED:
        return SafeText(f"REFUSED: {'; '.join(why)}", LIMIT)
    parts = [*_missed(plan, results, sources), *why]
    done = [result for result in results if result.state is StepState.VERIFIED]
    if verdict in (Verdict.VERIFIED, Verdict.ALREADY):
        last = done[-1].evidence if done else None
        parts.append(f"{last or _number(results)}, {took:.1f} s")
    elif done:
        parts.append(f"done and proved: {', '.join(result.title for result in done)}")
    return SafeText(f"{opening(plan.procedure, verdict)}. {'; '.join((*parts, *gates))}", LIMIT)


def _missed(plan: Plan, results: Sequence[StepResult], sources: Mapping[str, Source]) -> Iterator[str]:
    actions = {step.id: step.action for step in plan.steps}
    for number, result in enumerate(results, 1):
        if result.state not in _MISSED:
            continue
        receipt = result.receipt
        source = sources.get(actions[result.step].source)
        told = ""
        if receipt is not None:
            said = "says done" if receipt.kind is ReceiptKind.DONE else str(receipt.text)
            told = f": {source.title if source else 'it'}: {said}"
        seen = f"; {result.evidence}" if result.evidence else ""
        yield f"step {number} of {len(results)}, {result.title}{told}{seen}"


def _number(results: Sequence[StepResult]) -> str:
    return "1 step" if len(results) == 1 else f"{len(results)} steps"
