"""Faults that come and go while a stop runs: whatever happens, what is said was read."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.journal.entry import Kind
from backends.model.procedure import Run, StepState, Verdict
from tests.sim.virtual import simulate
from tests.sim.world import FAULTS, Room, intent, now, room

PLACES = ("redis", "orchestrator", "kill.state", "orchestrator.kill")
EVENTS = st.lists(
    st.tuples(st.floats(0, 9), st.sampled_from(PLACES), st.sampled_from(tuple(set(FAULTS) - {"lies"}))),
    max_size=12,
)


def break_it(made: Room, place: str, fault: str) -> None:
    if place in made.services:
        made.services[place].fault = fault
    else:
        made.reader.faults[place] = fault


@given(events=EVENTS, seed=st.integers(0, 2**32), was_halted=st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_said_was_read_and_nothing_resumes(
    events: list[tuple[float, str, str]], seed: int, was_halted: bool
) -> None:
    made = room(seed=seed)
    made.world.is_halted = was_halted

    async def press() -> tuple[Run, float, bool]:
        for at, place, fault in events:
            asyncio.get_running_loop().call_later(at, break_it, made, place, fault)
        await asyncio.sleep(made.world.random.uniform(0, 5))
        began = now()
        run = await made.procedures.execute(intent())
        ended, truth = now(), made.world.is_halted
        await asyncio.sleep(90)
        await made.procedures.close()
        assert ended - began <= 10
        return run, began, truth

    run, began, truth = simulate(press())
    seen = [(at, fact) for at, fact, word in made.world.looks if word == "ENGAGED" and at >= began]
    held = {Verdict.VERIFIED, Verdict.ALREADY}
    # Said to be halted: read so after the press, and true, at the verdict and whenever it is said later.
    if run.verdict in held:
        assert seen
        assert truth
    for each in made.runs:
        assert each.verdict not in held or made.world.is_halted
        for step in each.steps:
            assert step.state is not StepState.VERIFIED or step.evidence is not None
    # Every effect is a halt, of this operation, and later than its intent.
    assert {what.split()[0] for _, what in made.world.effects} <= {"engage"}
    intents = [at for at, entry in made.paper.entries if entry.kind is Kind.INTENT]
    assert len(intents) == 1
    assert all(at > intents[0] for at, _, _ in made.world.calls)
    # Nothing acts any more once a resume could be valid.
    assert all(at <= began + 62 for at, _, _ in made.world.calls)
    # A verdict, once good, is never taken back.
    verdicts = [each.verdict in held for each in made.runs if each.verdict is not None]
    assert verdicts == sorted(verdicts)
