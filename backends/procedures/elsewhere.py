"""The runs of other rooms on this host, as this one shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from backends.journal.journal import Journal
from backends.journal.neighbours import Neighbour, Neighbours
from backends.journal.unfinished import CutOff
from backends.model.clock import Clock, Instant, to_beat
from backends.model.procedure import Procedure, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.restart import moment_of, risk_of
from backends.procedures.resumes import number_of

EVERY: Final = 0.5
"""Seconds between two looks at what other rooms journalled."""


def under_way(journal: Journal, stack: str, before: int | None) -> list[str]:
    """What other rooms run on that stack now, in words; with a number, only what began before that record.

    A journal that cannot be read names nothing: then nothing but a stop can be journalled, and so begin,
    either.
    """
    others = Neighbours(journal.folder, journal.host)
    try:
        others.look()
    except OSError:
        return []
    here = [each for each in others.under_way if each.stack == stack]
    earlier = [each for each in here if before is None or number_of(each.intent) < before]
    return [f"{each.procedure} by {room_of(each)}" for each in earlier]


async def watch(
    journal: Journal,
    stack: Stack,
    clock: Clock,
    heed: Callable[[], Awaitable[None]],
    show: Callable[[Run], None],
    tell: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Show what other rooms do to this stack until cancelled, and ``heed`` their stops at every look. Once
    one was cut off, ``tell`` is to tell what is true. What cannot be read is the journal's alarm."""
    others = Neighbours(journal.folder, journal.host)
    async with asyncio.TaskGroup() as group:
        while True:
            await heed()
            news: Sequence[Neighbour] = ()
            with suppress(OSError):
                news = await asyncio.to_thread(others.look)
            ours = [each for each in news if each.told.stack == stack.id]
            for each in ours:
                show(run_of(each, stack, clock.now()))
            if any(each.is_cut_off for each in ours):
                group.create_task(tell())
            await asyncio.sleep(to_beat(clock.now(), EVERY))


def run_of(neighbour: Neighbour, stack: Stack, now: Instant) -> Run:
    """Who runs what, how far it has come, and its verdict when it has one; all by the journal. Of what was
    cut off nobody knows yet what came of it."""
    told, end = neighbour.told, neighbour.end
    procedure = stack.procedures.get(told.procedure)
    who = room_of(told)
    title = procedure.title if procedure is not None else told.procedure
    verdicts = {verdict.value: verdict for verdict in Verdict}
    said = str(end.get("verdict")) if end is not None else ""
    verdict = None if neighbour.is_under_way else verdicts.get(said, Verdict.UNCONFIRMED)
    text = str(end.get("text", "")) if end is not None else f"under way, by {who}"
    if neighbour.is_cut_off:
        text = f"cut off: the console of {who} ended before the outcome; what is true now is being read"
    return Run(
        operation=told.operation,
        stack=stack.id,
        procedure=told.procedure,
        title=str(SafeText(f"{told.user}: {title}")),
        started=moment_of(told.intent, now),
        steps=tuple(_steps(told, procedure)),
        verdict=verdict,
        sentence=SafeText(text, 1200),
        ended=now if neighbour.is_cut_off else None if end is None else moment_of(end, now),
        risk=risk_of(told.intent),
        plan=str(told.intent.get("plan", "")),
        room=who,
    )


def room_of(told: CutOff) -> str:
    """``kim on /dev/pts/3``."""
    session = told.intent.get("session")
    tty = session.get("tty") if isinstance(session, Mapping) else None
    return str(SafeText(f"{told.user} on {tty}" if tty else told.user, 80))


def _steps(told: CutOff, procedure: Procedure | None) -> list[StepResult]:
    planned = {step.id: step.title for step in (procedure.steps if procedure is not None else ())}
    recorded: dict[str, Mapping[str, Any]] = {}
    for record in told.steps:
        step = record.get("step")
        if isinstance(step, Mapping):
            recorded[str(step.get("id", "?"))] = step
    states = {state.value: state for state in StepState}
    return [
        StepResult(
            ident,
            str(SafeText(planned.get(ident, ident))),
            states.get(str(recorded.get(ident, {}).get("state")), StepState.PENDING),
        )
        for ident in dict.fromkeys((*planned, *recorded))
    ]
