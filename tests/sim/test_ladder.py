"""Both ways to the kill switch broken in every combination: the verdict is in time, and it is true."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from backends.journal.entry import Kind
from backends.model.procedure import Run, Verdict
from tests.sim.virtual import simulate
from tests.sim.world import FAULTS, HALT, Room, intent, now, room

HELD = (Verdict.VERIFIED, Verdict.ALREADY, Verdict.WRITTEN)
READERS = ("sees", "shares the fault")
SEEDS = range(3)


def halted(made: Room) -> tuple[Run, float]:
    """Press halt; the run at its verdict, and the simulated seconds it took."""

    async def press() -> tuple[Run, float]:
        run = await made.procedures.execute(intent())
        took = now()
        await made.procedures.close()
        return run, took

    return simulate(press())


def broken(rung1: str, rung2: str, reader: str, seed: int) -> Room:
    faults = {} if reader == "sees" else {"kill.state": rung1, "orchestrator.kill": rung2}
    return room(rung1, rung2, faults, seed)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("rung1", "rung2"), product(FAULTS, FAULTS))
def test_every_combination_ends_in_a_true_verdict_within_ten_seconds(
    rung1: str, rung2: str, reader: str
) -> None:
    for seed in SEEDS:
        made = broken(rung1, rung2, reader, seed)
        run, took = halted(made)
        world = made.world

        assert run.verdict is not None
        assert took <= 10.0
        assert run.sentence

        # Verified: a read-back said so, after the first call; and where nobody lies to the reader, it is so.
        if run.verdict in HELD:
            assert any(word == "ENGAGED" for at, _, word in world.looks if at >= world.calls[0][0])
            assert run.rung is not None
            if reader == "sees":
                # What refused did not do it.
                assert (rung1, rung2)[run.rung - 1] != "refuse"
            assert world.is_halted or reader != "sees"
        # Not verified: nobody who could be read said that it is so on every path.
        elif reader == "sees":
            assert not world.is_halted
            assert str(run.sentence).startswith("NOT HALTED. Kill switch reads ACTIVE")
        if run.verdict is Verdict.CONTRADICTED:
            assert any(word == "ACTIVE" for _, _, word in world.looks)
        if run.verdict is Verdict.FAILED:
            assert not world.effects


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("rung1", "rung2"), product(FAULTS, FAULTS))
def test_the_second_rung_starts_half_a_second_after_an_unproved_first(
    rung1: str, rung2: str, reader: str
) -> None:
    made = broken(rung1, rung2, reader, seed=5)
    run, _ = halted(made)
    sent = made.world.calls[0][0]
    second = next((at - sent for at, source, _ in made.world.calls if source == "orchestrator"), None)
    if rung1 == "ok" and reader == "sees":
        assert second is None
    elif rung1 == "refuse":
        # What has certainly not happened is not waited for.
        assert second is not None
        assert second <= 0.1
    elif second is None:
        # The switch was read; whoever must obey it could not be asked where the reader shares the fault.
        assert run.verdict in (*HELD, Verdict.WRITTEN)
        assert run.rung == 1
    else:
        assert second == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("rung1", "rung2"), product(FAULTS, FAULTS))
def test_the_intent_is_journalled_before_any_effect_and_the_outcome_once(rung1: str, rung2: str) -> None:
    made = broken(rung1, rung2, "sees", seed=9)
    run, _ = halted(made)
    kinds = [entry.kind for _, entry in made.paper.entries]
    assert kinds[0] is Kind.INTENT
    assert made.paper.entries[0][0] < made.world.calls[0][0]
    assert kinds.count(Kind.OUTCOME) == 1
    outcome = next(entry for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME)
    assert outcome.verdict == run.verdict.value if run.verdict else False
    assert {entry.operation for _, entry in made.paper.entries} == {"op-1"}


@pytest.mark.parametrize(("rung1", "rung2"), product(FAULTS, FAULTS))
def test_a_stop_only_ever_engages_and_every_retry_keeps_the_operation(rung1: str, rung2: str) -> None:
    made = broken(rung1, rung2, "shares the fault", seed=3)
    halted(made)
    assert {what.split()[0] for _, what in made.world.effects} <= {"engage"}
    assert {operation for _, _, operation in made.world.calls} == {"op-1"}


def test_a_fault_in_the_room_itself_does_not_stop_the_stop() -> None:
    made = room("bug", "ok", {"kill.state": "bug"})
    run, took = halted(made)
    assert run.verdict is Verdict.VERIFIED
    assert run.rung == 2
    assert took < 1.5
    assert "secret-4711" not in str(run) + str(made.paper.entries)


def test_a_fault_of_the_room_in_one_way_does_not_keep_it_from_being_tried_again() -> None:
    made = room("bug", "refuse")
    run, _ = halted(made)
    assert [source for _, source, _ in made.world.calls].count("redis") == 4
    assert run.verdict is Verdict.CONTRADICTED


def test_a_lost_answer_is_made_up_for_by_reading_back_at_once() -> None:
    made = room("mute", "ok")
    run, took = halted(made)
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 1)
    assert took < 0.5
    assert [source for _, source, _ in made.world.calls] == ["redis"]


def test_the_rung_that_answers_a_moment_after_its_effect_is_seen_is_the_one_that_held() -> None:
    run, took = halted(room("hang", "tardy"))
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 2)
    assert "did not acknowledge" not in run.sentence
    assert took < 1.0


def test_a_witness_that_hangs_delays_the_verdict_a_little_and_no_more() -> None:
    run, took = halted(room("hang", "ok", {"kill.state": "stuck"}))
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 2)
    assert took < 1.7


def test_services_given_a_long_time_do_not_put_the_verdict_off() -> None:
    patient = replace(HALT, steps=tuple(replace(step, deadline=6.0) for step in HALT.steps))
    run, took = halted(room("stuck", "hang", procedures=(patient,)))
    assert run.verdict is Verdict.CONTRADICTED
    assert 8.0 <= took < 8.5


@pytest.mark.parametrize("takes", [0.2, None], ids=["slow disk", "full disk"])
def test_a_disk_that_does_not_take_the_journal_delays_a_stop_by_its_budget_and_is_said(
    takes: float | None,
) -> None:
    made = room(takes=takes)
    run, _ = halted(made)
    assert run.verdict is Verdict.VERIFIED
    assert run.journal_degraded
    assert [entry.is_degraded for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME] == [True]
    assert made.world.calls[0][0] <= 0.051
