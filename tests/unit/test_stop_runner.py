"""What a stop does beside its two rungs: many targets, second presses, late services, watching eyes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import Kind
from backends.model.action import Observe
from backends.model.clock import Instant
from backends.model.procedure import Procedure, Proof, RiskClass, Run, StepState, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.rung import CONVERGE
from backends.procedures.stop_runner import combined
from tests.sim.virtual import simulate
from tests.sim.world import HALT, RUNG_1, RUNG_2, Room, intent, now, room

V, A, P, U, C, F = (
    Verdict.VERIFIED, Verdict.ALREADY, Verdict.PARTIAL,
    Verdict.UNCONFIRMED, Verdict.CONTRADICTED, Verdict.FAILED,
)  # fmt: skip


def halted(made: Room, then: Callable[[Run], Coroutine[Any, Any, None]] | None = None) -> Run:
    async def press() -> Run:
        run = await made.procedures.execute(intent())
        if then is not None:
            await then(run)
        await made.procedures.close()
        return run

    return simulate(press())


def two_targets() -> Procedure:
    """The gateway's switch by Redis and the venue's by HTTP: both must be reached."""
    venue = replace(
        RUNG_2, id="venue", target="venue", after=0.0, proof=(Proof("orchestrator.kill", ("ENGAGED",)),)
    )
    return replace(HALT, steps=(replace(RUNG_1, target="gateway"), venue))


def test_one_target_reached_and_one_not_is_partial_and_names_them() -> None:
    made = room("ok", "refuse", {"orchestrator.kill": "refuse"}, procedures=(two_targets(),))
    run = halted(made)
    assert run.verdict is Verdict.PARTIAL
    assert str(run.sentence).startswith("PARTLY HALTED. gateway: Kill switch reads ENGAGED by kim")
    assert "| venue: Orchestrator: connection refused" in run.sentence
    assert [step.state for step in run.steps] == [StepState.VERIFIED, StepState.FAILED]


@pytest.mark.parametrize(("rung1", "verdict"), [("refuse", F), ("hang", U)])
def test_a_look_that_finds_nothing_left_makes_no_part_of_a_halt_of_which_nothing_was_reached(
    rung1: str, verdict: Verdict
) -> None:
    looks = replace(
        RUNG_2, id="looks", target="venue", after=0.0, action=Observe(), proof=(Proof("orchestrator.kill"),)
    )
    steps = (replace(RUNG_1, target="gateway"), looks)
    faults = {"kill.state": "refuse"}
    run = halted(room(rung1, faults=faults, procedures=(replace(HALT, steps=steps),)))
    assert [step.state for step in run.steps][1] is StepState.VERIFIED
    assert run.verdict is verdict, run.sentence


def test_targets_are_stopped_side_by_side() -> None:
    made = room("hang", "ok", procedures=(two_targets(),))
    halted(made)
    first = {source: at for at, source, _ in reversed(made.world.calls)}
    assert abs(first["redis"] - first["orchestrator"]) < 0.05


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([V, V], V), ([V, A], V), ([A, A], A), ([V, F], P), ([A, U], P), ([V, C], C), ([F, U], U),
        ([F, F], F), ([C, U], C), ([], F),
    ],
)  # fmt: skip
def test_the_whole_is_never_better_than_its_worst_target(verdicts: list[Verdict], whole: Verdict) -> None:
    assert combined(verdicts) is whole


def test_a_second_press_joins_the_first() -> None:
    made = room()

    async def press_twice() -> list[Run]:
        both = await asyncio.gather(
            made.procedures.execute(intent("op-1")), made.procedures.execute(intent("op-2"))
        )
        assert made.procedures.running("halt") is None
        await made.procedures.close()
        return both

    first, second = simulate(press_twice())
    assert first == second
    assert len(made.world.effects) == 1
    kinds = [(entry.kind, entry.operation) for _, entry in made.paper.entries]
    assert kinds.count((Kind.INTENT, "op-1")) == 1
    assert (Kind.NOTE, "op-2") in kinds
    assert (Kind.INTENT, "op-2") not in kinds


def test_what_is_refused_is_tried_three_times_more_each_time_later_and_none_in_step_with_others() -> None:
    made = room("refuse", "stuck")
    halted(made)
    tries = [at for at, source, _ in made.world.calls if source == "redis"]
    # What a refusal takes to come is more than nothing and less than 20 ms.
    pauses = [later - at for at, later in pairwise(tries[:4])]
    for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True):
        assert least < pause < 1.5 * least + 0.02
        assert pause > 1.02 * least + 0.02, "it is lengthened at random"


def test_a_caller_who_leaves_does_not_take_the_stop_along() -> None:
    made = room("slow", "refuse")

    async def press_and_leave() -> None:
        caller = asyncio.create_task(made.procedures.execute(intent()))
        await asyncio.sleep(0.2)
        caller.cancel()
        await asyncio.sleep(5)
        await made.procedures.close()

    simulate(press_and_leave())
    assert made.runs[-1].verdict is Verdict.VERIFIED
    assert [entry.verdict for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME] == ["VERIFIED"]


def test_a_watcher_that_fails_does_not_stop_the_stop() -> None:
    made = room()

    def fail(run: Run) -> None:
        raise RuntimeError("the screen is gone")

    made.procedures._on_change = fail
    assert halted(made).verdict is Verdict.VERIFIED
    assert any("could not be shown" in entry.text for _, entry in made.paper.entries)


def test_a_way_that_comes_back_is_brought_to_say_the_same_within_five_seconds_and_then_left_alone() -> None:
    """A50: the orchestrator halted by itself; Redis comes back from its disk, where trading is still on."""
    made = room("hang", "ok", {"kill.state": "hang"})
    world = made.world

    async def then(run: Run) -> None:
        assert (run.verdict, run.rung) == (Verdict.VERIFIED, 2)
        await asyncio.sleep(20)
        made.services["redis"].fault, made.reader.faults, world.is_halted = "ok", {}, False
        back = now()
        while made.runs[-1].steps[0].state is not StepState.VERIFIED:
            assert now() - back < 5.0
            await asyncio.sleep(0.05)
        assert world.is_halted
        calls = len(world.calls)
        await asyncio.sleep(100)
        assert len(world.calls) == calls

    halted(made, then)
    assert made.runs[-1].verdict is Verdict.VERIFIED


def test_nothing_is_sent_once_the_time_in_which_nobody_can_have_resumed_is_over() -> None:
    made = room("hang", "ok", {"kill.state": "hang"})

    async def then(run: Run) -> None:
        await asyncio.sleep(CONVERGE + 60)

    halted(made, then)
    assert CONVERGE <= 60
    assert 30 < max(at for at, _, _ in made.world.calls) <= CONVERGE + 1


def test_a_stop_that_failed_may_yet_succeed_and_says_so() -> None:
    made = room("refuse", "refuse")

    async def then(run: Run) -> None:
        assert run.verdict is Verdict.FAILED
        made.services["redis"].fault = "ok"
        await asyncio.sleep(5)

    halted(made, then)
    late = made.runs[-1]
    assert late.verdict is Verdict.VERIFIED
    assert str(late.sentence).startswith("LATE: HALTED. Kill switch reads ENGAGED")
    outcomes = [entry.verdict for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME]
    assert outcomes == ["FAILED", "VERIFIED"]


def test_closing_the_room_ends_every_try() -> None:
    made = room("stuck", "stuck", {"kill.state": "stuck", "orchestrator.kill": "stuck"})

    async def close_early() -> None:
        pressed = asyncio.create_task(made.procedures.execute(intent()))
        await asyncio.sleep(1)
        await made.procedures.close(grace=0.5)
        calls = len(made.world.calls)
        assert now() < 2
        await asyncio.sleep(30)
        assert len(made.world.calls) == calls
        pressed.cancel()

    simulate(close_early())


def test_a_step_without_proof_is_never_verified() -> None:
    made = room(procedures=(replace(HALT, steps=(replace(RUNG_1, proof=()),)),))
    run = halted(made)
    assert run.verdict is Verdict.UNCONFIRMED
    assert made.world.is_halted


def test_an_answer_older_than_the_question_proves_nothing() -> None:
    made = room()

    async def remember(fact: str, within: float) -> Reading[Any]:
        return Reading(fact, "redis", Outcome.OK, Instant(-1.0, 0.0), 60.0, value=SafeText("ENGAGED"))

    made.reader.look = remember  # type: ignore[method-assign]  # the reader of this room only
    run = halted(made)
    assert run.verdict is Verdict.UNCONFIRMED
    assert "gave an old answer" in run.sentence


def test_every_proof_of_a_step_must_hold() -> None:
    both = replace(RUNG_1, proof=(*RUNG_1.proof, *RUNG_2.proof))
    made = room(faults={"orchestrator.kill": "refuse"}, procedures=(replace(HALT, steps=(both,)),))
    run = halted(made)
    assert run.verdict is Verdict.UNCONFIRMED
    assert "Kill switch reads ENGAGED" in run.sentence
    assert "Orchestrator could not be read" in run.sentence


def test_another_paths_contrary_reading_outweighs_a_rungs_own_proof() -> None:
    """The orchestrator says done and reads engaged, and the key itself says trading."""
    made = room("hang", "lies", {"orchestrator.kill": "lies"})
    run = halted(made)
    assert run.verdict is Verdict.CONTRADICTED
    assert str(run.sentence).startswith("NOT HALTED. Kill switch reads ACTIVE")


def test_the_screen_sees_every_state_in_its_order() -> None:
    made = room("hang", "ok")

    async def then(run: Run) -> None:
        await asyncio.sleep(2)

    halted(made, then)
    states = list(dict.fromkeys(tuple(step.state.value for step in run.steps) for run in made.runs))
    assert states[:2] == [("pending", "pending"), ("sent", "pending")]
    assert {"sent", "unknown", "verified"} <= {first for first, _ in states}
    assert [second for _, second in states if second in ("sent", "acknowledged")]
    assert states[-1] == ("verified", "verified")
    ended = [run.verdict for run in made.runs if run.verdict is not None]
    assert set(ended) == {Verdict.VERIFIED}


@pytest.mark.parametrize(
    ("procedure", "risk", "words"),
    [
        ("flatten", RiskClass.STOP, "has no procedure flatten"),
        ("halt", RiskClass.RESTORE, "RESUME tiny was not typed exactly"),
    ],
)
def test_what_this_room_cannot_run_is_refused_and_journalled(
    procedure: str, risk: RiskClass, words: str
) -> None:
    made = room(procedures=(replace(HALT, risk=risk),))
    run = simulate(made.procedures.execute(intent(procedure=procedure)))
    assert run.verdict is Verdict.REFUSED
    assert words in run.sentence
    assert made.world.calls == []
    assert [entry.kind for _, entry in made.paper.entries] == [Kind.REFUSED]
    assert made.runs == [run]


@pytest.mark.parametrize(
    ("is_once", "fault", "sent"), [(True, "lies", 1), (False, "lies", 9), (True, "refuse", 9)]
)
def test_what_must_not_be_said_twice_is_sent_once_it_was_acknowledged(
    is_once: bool, fault: str, sent: int
) -> None:
    only = replace(HALT, steps=(replace(RUNG_1, is_once=is_once),))
    made = room(fault, "ok", procedures=(only,))
    run = halted(made, lambda _: asyncio.sleep(20.0))
    assert run.verdict is not Verdict.VERIFIED
    calls = [source for _, source, _ in made.world.calls if source == "redis"]
    assert len(calls) == 1 if sent == 1 else len(calls) >= sent


def test_a_step_that_was_given_up_is_not_called_acknowledged_again_while_it_is_tried_on() -> None:
    made = room("lies", "lies")

    async def go_on(run: Run) -> None:
        assert run.verdict is Verdict.CONTRADICTED
        made.runs.clear()
        await asyncio.sleep(30)

    tried = len(made.world.calls)
    halted(made, go_on)
    assert len(made.world.calls) > tried + 4
    assert {step.state for run in made.runs for step in run.steps} <= {StepState.FAILED}
