"""After a restart: runs that were cut off are shown with what is true now, and never done again by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backends.journal.entry import Entry, Kind, boot_id
from backends.journal.journal import Journal
from backends.journal.unfinished import CutOff, claim, unfinished
from backends.model.clock import Clock, Instant
from backends.model.procedure import Procedure, Proof, RiskClass, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.evidence import Evidence, Eyes, Sight
from backends.procedures.sentence import opening

LOOK: Final = 1.0
"""Seconds to read what is true now."""

PATIENCE: Final = 3.0
"""Seconds in which what cannot be read yet is asked again: connections are only being made at a start."""

PAUSE: Final = 0.3

MOST: Final = 10
"""Runs told of at one start, the newest; the others wait for the next."""


async def reconcile(
    stack: Stack,
    eyes: Eyes,
    journal: Journal,
    clock: Clock,
    show: Callable[[Run], None],
    *,
    closes: bool,
) -> None:
    """Show every run of this stack that was cut off on this host, each with the facts read afresh.

    With ``closes`` its outcome is journalled, so that it is told once; without, and in all but one of several
    rooms that start at once, what nobody closes is told at the next start again. Nothing is written to any
    service. Raises OSError when the journal cannot be read.
    """
    # In a thread, as all that touches the journal's disk: one that hangs holds up no stop.
    claimed = await asyncio.to_thread(claim, journal.folder, stack.id) if closes else None
    try:
        # Looked for only now: a room that has closed them has let go since.
        found = await asyncio.to_thread(unfinished, journal.folder, journal.host)
        until = clock.now().mono + PATIENCE
        for cut in [each for each in found if each.stack == stack.id][-MOST:]:
            run, seen = await _tell(cut, stack, eyes, clock, until)
            show(run)
            if claimed is not None:
                await journal.record(_entry(cut, run, seen, stack), budget=1.0)
    finally:
        if claimed is not None:
            os.close(claimed)


async def _tell(
    cut: CutOff, stack: Stack, eyes: Eyes, clock: Clock, until: float
) -> tuple[Run, tuple[Evidence, ...]]:
    procedure = stack.procedures.get(cut.procedure)
    seen = await _look(_facts(procedure, stack), eyes, clock, until)
    now = clock.now()
    began, ended = moment_of(cut.intent, now), str(cut.last.get("at", "?"))
    title = procedure.title if procedure is not None else cut.procedure
    words = "; ".join(each.text for each in seen) or "unknown, nothing could be asked"
    text = _denied(procedure, seen) + (
        f"cut off at {ended}: {cut.user}'s {title} began at {cut.intent.get('at', '?')} and its console ended"
        f" before the outcome; true now: {words}. Nothing was repeated."
    )
    return Run(
        operation=cut.operation,
        stack=stack.id,
        procedure=cut.procedure,
        title=title,
        started=began,
        steps=_steps(cut, procedure, seen),
        verdict=Verdict.UNCONFIRMED,
        sentence=SafeText(text, 1200),
        ended=now,
        risk=procedure.risk if procedure is not None else risk_of(cut.intent),
        plan=str(cut.intent.get("plan", "")),
    ), seen


async def _look(facts: list[Proof], eyes: Eyes, clock: Clock, until: float) -> tuple[Evidence, ...]:
    """What each reads; asked again until ``until`` where it could not be read."""
    seen = {each.proof.fact: each for each in await eyes.look(facts, LOOK)}
    while clock.now().mono < until:
        unread = [each.proof for each in seen.values() if each.sight is Sight.UNSEEN]
        if not unread:
            break
        await asyncio.sleep(PAUSE)
        seen |= {each.proof.fact: each for each in await eyes.look(unread, LOOK)}
    return tuple(seen.values())


def _denied(procedure: Procedure | None, seen: tuple[Evidence, ...]) -> str:
    """For a stop of which every proof reads the opposite: that it is not in force, before all else."""
    if procedure is None or procedure.risk is not RiskClass.STOP:
        return ""
    facts = {proof.fact for step in procedure.steps for proof in step.proof}
    sights = {each.sight for each in seen if each.proof.fact in facts}
    is_denied = sights == {Sight.CONTRARY}
    return f"{opening(procedure, Verdict.CONTRADICTED)}: not in force now; " if is_denied else ""


def _facts(procedure: Procedure | None, stack: Stack) -> list[Proof]:
    """What would have proved it, then what trading rests on; each fact once."""
    proofs = [proof for step in (procedure.steps if procedure else ()) for proof in step.proof]
    proofs += [Proof(gate.fact) for gate in stack.gates]
    first: dict[str, Proof] = {}
    for proof in proofs:
        first.setdefault(proof.fact, proof)
    return list(first.values())


def _steps(cut: CutOff, procedure: Procedure | None, seen: tuple[Evidence, ...]) -> tuple[StepResult, ...]:
    """Every step: as it was last recorded, or UNKNOWN, for what is not recorded may have been done."""
    planned = {step.id: step for step in (procedure.steps if procedure is not None else ())}
    recorded: dict[str, Mapping[str, Any]] = {}
    for record in cut.steps:
        step = record.get("step")
        if isinstance(step, Mapping):
            recorded[str(step.get("id", "?"))] = step
    results = []
    for ident in dict.fromkeys((*planned, *recorded)):
        facts = {proof.fact for proof in planned[ident].proof} if ident in planned else set()
        words = "; ".join(each.text for each in seen if each.proof.fact in facts)
        title = planned[ident].title if ident in planned else ident
        state = _state(recorded.get(ident, {}).get("state"))
        results.append(
            StepResult(ident, str(SafeText(title)), state, evidence=SafeText(words, 600) if words else None)
        )
    return tuple(results)


def _state(word: object) -> StepState:
    known = {state.value: state for state in StepState}
    state = known.get(str(word), StepState.UNKNOWN)
    # What was under way when it was cut off may or may not have happened.
    return StepState.UNKNOWN if state in (StepState.PENDING, StepState.SENT) else state


def risk_of(intent: Mapping[str, Any]) -> RiskClass:
    """Its class; a stop when it says none that is known."""
    return next((risk for risk in RiskClass if risk.value == intent.get("class")), RiskClass.STOP)


def moment_of(record: Mapping[str, Any], now: Instant) -> Instant:
    """When it was written, on this process' clocks; in this run of the host by the one that nobody sets."""
    try:
        wall = datetime.fromisoformat(str(record["at"])).astimezone(UTC).timestamp()
    except (KeyError, ValueError):
        return now
    mono, boot = record.get("mono"), record.get("boot")
    if boot and boot == boot_id() and isinstance(mono, (int, float)):
        return Instant(float(mono), wall)
    return Instant(now.mono - max(0.0, now.wall - wall), wall)


def _entry(cut: CutOff, run: Run, seen: tuple[Evidence, ...], stack: Stack) -> Entry:
    return Entry(
        Kind.OUTCOME,
        f"reconciled by reading, not repeated: {run.sentence}",
        stack=stack.id,
        environment=stack.environment.value,
        procedure=run.procedure,
        risk=run.risk.value,
        operation=cut.operation,
        via="restart",
        plan=run.plan,
        after=[{"fact": each.proof.fact, "text": str(each.text)} for each in seen],
        verdict=Verdict.UNCONFIRMED.value,
    )
