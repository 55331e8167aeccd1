"""What waits for a person or for time asks again before it acts: what was so before need not be so now."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.identity import identify
from backends.model.action import Attest, Wait
from backends.model.board import Board
from backends.model.condition import Condition
from backends.model.procedure import Procedure, Run, Step, StepState, Verdict
from tests.sim.desk import HALT, KIM, LEE, RESTART, RESUME, Desk, Office, asked, call, office
from tests.sim.test_restore_demands import ONE, TWO, Site
from tests.sim.virtual import EPOCH, simulate

RESET, DISENGAGE = RESUME.steps
REVIEWED = Step("reviewed", "Cause and positions", Attest("All looked at"), (), deadline=900.0)
PATIENT = replace(RESUME, steps=(REVIEWED, RESET, DISENGAGE))
TIMED = replace(RESUME, steps=(Step("wait", "Wait", Wait(600.0), ()), RESET, DISENGAGE))
TRIPPED = Condition("tripped", "breaker.state", "The breaker is not tripped", equals=("TRIPPED",))
HALF_WAY = replace(RESUME, steps=(RESET, REVIEWED, DISENGAGE), requires=(*RESUME.requires, TRIPPED))


def waiting(
    procedure: Procedure, meanwhile: Callable[[Office], object] | None, made: Office | None = None
) -> tuple[Run, Office]:
    """Ten minutes after it was confirmed, ``meanwhile`` happens; then the person says that all is well."""
    made = made or office(procedures={procedure.id: procedure, "halt": HALT})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked(procedure.id)))
        await asyncio.sleep(590)
        # Nothing else has become too old in the meantime.
        made.desk.recon_at = EPOCH + 580
        if meanwhile is not None:
            meanwhile(made)
        await asyncio.sleep(1)
        made.procedures.attest("op-1", "reviewed", LEE)
        return await task

    return simulate(go()), made


def changed(**values: Any) -> Callable[[Office], None]:
    def change(made: Office) -> None:
        for name, value in values.items():
            setattr(made.desk, name, value)

    return change


@pytest.mark.parametrize("procedure", [PATIENT, TIMED], ids=["a person", "time"])
@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (changed(orders=1), "Orders are open"),
        (changed(kill_at=EPOCH + 580), "The halt is younger than 60 s"),
        (changed(gateway="degraded"), "The gateway is not well"),
        (changed(recon_at=EPOCH - 10), "The broker was not compared lately"),
        (changed(epoch=2), "kill.epoch has changed since it was shown: 2, was 1"),
        (lambda made: made.looker.faults.update(gateway="failed"), "The gateway is not well"),
        (lambda made: made.looker.faults.update({"kill.epoch": "missing"}), "kill.epoch cannot be read now"),
    ],
    ids=["open orders", "a young halt", "not well", "too old", "another halt", "unread", "no epoch"],
)
def test_what_turns_false_while_it_waits_ends_it_still_halted_and_is_named(
    procedure: Procedure, meanwhile: Callable[[Office], object], words: str
) -> None:
    run, made = waiting(procedure, meanwhile)
    assert made.desk.sent == [] and made.desk.kill == "ENGAGED"
    assert run.verdict is Verdict.FAILED
    assert words in run.sentence and "kill.state reads ENGAGED" in run.sentence
    assert [step.state for step in run.steps][1:] == [StepState.SKIPPED] * 2


@pytest.mark.parametrize("procedure", [PATIENT, TIMED, HALF_WAY], ids=["a person", "time", "half-way"])
def test_when_all_is_still_well_it_goes_on(procedure: Procedure) -> None:
    """Half-way the breaker is open, as the first step has left it, though it was demanded to be tripped."""
    run, made = waiting(procedure, None)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert made.desk.kill == "ACTIVE"


def test_a_restore_that_has_begun_ends_too() -> None:
    run, made = waiting(HALF_WAY, changed(orders=1))
    assert [path for _, _, path in made.desk.sent] == ["/reset"] and made.desk.kill == "ENGAGED"
    assert run.verdict is Verdict.PARTIAL
    assert "Orders are open" in run.sentence and "breaker.state" not in run.sentence


SLOW = replace(RESET, proof=(replace(RESET.proof[0], within=120.0),))
LONG = replace(RESUME, steps=(SLOW, DISENGAGE))


def proving(procedure: Procedure, meanwhile: Callable[[Office], object]) -> tuple[Run, Office]:
    """The first step says that it is done; a minute later it shows, and ``meanwhile`` has happened."""
    made = office(wire={"/reset": "lies"}, procedures={procedure.id: procedure, "halt": HALT})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked(procedure.id)))
        await asyncio.sleep(60)
        meanwhile(made)
        made.desk.breaker = "OPEN"
        return await task

    return simulate(go()), made


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (changed(orders=1), "Orders are open"),
        (changed(kill_at=EPOCH + 50), "The halt is younger than 60 s"),
        (changed(epoch=2), "kill.epoch has changed since it was shown: 2, was 1"),
        (lambda made: made.looker.faults.update(gateway="failed"), "The gateway is not well"),
    ],
    ids=["open orders", "a young halt", "another halt", "unread"],
)
def test_what_turns_false_in_a_long_proof_ends_it_before_the_next_step(
    meanwhile: Callable[[Office], object], words: str
) -> None:
    run, made = proving(LONG, meanwhile)
    assert [path for _, _, path in made.desk.sent] == ["/reset"] and made.desk.kill == "ENGAGED"
    assert run.verdict is Verdict.PARTIAL
    assert words in run.sentence and "kill.state reads ENGAGED" in run.sentence


def test_after_a_long_proof_it_goes_on_when_all_is_well() -> None:
    """Though the breaker, which the first step has opened, was demanded to be tripped."""
    run, made = proving(replace(LONG, requires=(*LONG.requires, TRIPPED)), lambda _: None)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert made.desk.kill == "ACTIVE"


@pytest.mark.parametrize("starts", [("desk",), ()])
def test_a_store_that_it_has_taken_down_itself_keeps_it_from_nothing(starts: tuple[str, ...]) -> None:
    """One that it does not start again does: nobody can say that it is still halted."""

    def taken_down(made: Office) -> None:
        made.looker.faults.update(gateway="failed")

    run, made = proving(replace(LONG, starts=starts), taken_down)
    assert made.desk.kill == ("ACTIVE" if starts else "ENGAGED"), run.sentence


def test_what_is_to_be_sent_again_after_a_long_proof_rests_on_a_fresh_look_too() -> None:
    made = office(wire={"/reset": "dropped"}, procedures={"resume": LONG})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(60)
        made.desk.orders = 1
        return await task

    run = simulate(go())
    assert [path for _, _, path in made.desk.sent] == ["/reset"], "sent once"
    assert run.verdict is Verdict.UNCONFIRMED and "Orders are open" in run.sentence


def test_what_is_written_after_a_wait_tells_when_it_was_written_the_same_in_every_try() -> None:
    """A halt that a long run writes at its end is not as old as the run."""
    at = replace(RESET, action=call("/reset", at="$unix"))
    timed = replace(RESUME, steps=(Step("wait", "Wait", Wait(600.0), ()), at))
    made = office(wire={"/reset": "lost"}, procedures={"resume": timed})
    told: list[int] = []

    def note(_path: str, body: Mapping[str, Any]) -> None:
        told.append(body["at"])

    made.desk.apply = note  # type: ignore[method-assign]  # of this desk only

    async def go() -> Run:
        asyncio.get_running_loop().call_later(590, setattr, made.desk, "recon_at", EPOCH + 580)
        return await made.procedures.execute(asked())

    simulate(go())
    assert len(told) == 3 and len({*told}) == 1
    assert told[0] == EPOCH + 600


def test_instances_that_have_come_to_run_different_versions_end_it() -> None:
    made = office(procedures={"resume": PATIENT}, services=(ONE, TWO))
    site = Site(made.desk, None, ("a", "a"))
    made.procedures._eyes._verifier = site
    run, _ = waiting(PATIENT, lambda _: setattr(site, "_versions", ("a", "b")), made)
    assert made.desk.sent == []
    assert "The instances of trader run different versions" in run.sentence


def test_what_has_not_been_well_without_a_break_lately_ends_it() -> None:
    calm = replace(PATIENT, held_for=30.0)
    made = office(procedures={"resume": calm})

    async def go() -> Run:
        async def watch() -> None:
            while True:
                readings = {name: await made.looker.look(name, 1.0) for name in made.procedures._stack.facts}
                board = Board("desk", 1, made.procedures._clock.now(), None, readings, {}, None)  # type: ignore[arg-type]  # not looked at
                made.procedures.watch(board)
                await asyncio.sleep(1.0)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(40)
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(100)
        made.desk.orders = 1
        await asyncio.sleep(3)
        made.desk.orders = 0
        await asyncio.sleep(10)
        made.procedures.attest("op-1", "reviewed", LEE)
        run = await task
        watching.cancel()
        return run

    run = simulate(go())
    assert made.desk.sent == []
    assert "everything must have been well for 30 s without a break" in run.sentence


def test_what_is_no_restore_and_has_begun_goes_on_for_half_way_would_be_worse() -> None:
    told = replace(RESTART.steps[1], deadline=900.0, id="reviewed")
    begun = replace(
        RESTART, steps=(RESTART.steps[3], told, RESTART.steps[2]), requires=(RESUME.requires[-1],)
    )
    run, made = waiting(begun, changed(gateway="degraded"))
    assert [path for _, _, path in made.desk.sent] == ["/reset", "/restart"]
    assert run.verdict is Verdict.VERIFIED
    unbegun = replace(begun, steps=(told, RESTART.steps[2]))
    run, made = waiting(unbegun, changed(gateway="degraded"))
    assert made.desk.sent == [] and "The gateway is not well" in run.sentence


def test_who_has_confirmed_two_steps_by_hand_has_begun_what_is_no_restore() -> None:
    told = replace(RESTART.steps[1], deadline=900.0)
    by_hand = (replace(told, id="reviewed"), replace(told, id="done"))
    steps = replace(RESTART, steps=(*by_hand, RESTART.steps[2]), requires=(RESUME.requires[-1],))

    def degraded(made: Office) -> None:
        made.desk.gateway = "degraded"
        asyncio.get_running_loop().call_later(2, made.procedures.attest, "op-1", "done", LEE)

    run, made = waiting(steps, degraded)
    assert [path for _, _, path in made.desk.sent] == ["/restart"], run.sentence
    assert run.verdict is Verdict.VERIFIED


@pytest.mark.parametrize(("wait", "is_late"), [(100, False), (590, True)], ids=["in time", "too late"])
def test_a_consent_that_has_grown_old_while_it_waited_allows_nothing(
    tmp_path: Path, wait: int, is_late: bool
) -> None:
    """Who consented knew what was so then; five minutes later they may know better."""
    made = office(state=tmp_path, procedures={"resume": replace(PATIENT, needs_approval=True)})
    book = made.procedures.approvals
    assert book is not None
    kim = replace(KIM, uid=os.getuid() + 1)

    async def go() -> Run:
        plan = await made.procedures.execute(asked(operator=kim, id="dry", is_dry=True))
        code = book.request(asked(operator=kim), plan.plan).code
        book.approve(code, identify())
        task = asyncio.create_task(made.procedures.execute(asked(operator=kim, approval=code)))
        await asyncio.sleep(wait)
        made.desk.recon_at = EPOCH + wait
        made.procedures.attest("op-1", "reviewed", LEE)
        return await task

    run = simulate(go())
    assert (made.desk.sent == []) is is_late, run.sentence
    assert ("a second person must approve: it is older than 5 minutes" in run.sentence) is is_late
    assert made.desk.kill == ("ENGAGED" if is_late else "ACTIVE")


def test_a_stop_is_kept_back_by_none_of_it() -> None:
    made = office(Desk(kill="ENGAGED"), procedures={"resume": PATIENT, "halt": HALT})
    halts: list[Run] = []

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(100)
        look = made.looker.look

        async def slow(fact: str, within: float) -> Any:
            await asyncio.sleep(1.0 if fact == "gateway" else 0)
            return await look(fact, within)

        made.looker.look = slow  # type: ignore[method-assign]  # of this room only
        made.procedures.attest("op-1", "reviewed", LEE)
        await asyncio.sleep(0.5)
        halts.append(await made.procedures.execute(asked("halt", id="op-2")))
        return await task

    run = simulate(go())
    assert halts[0].verdict in (Verdict.VERIFIED, Verdict.ALREADY)
    assert [path for _, op, path in made.desk.sent if op == "op-1"] == []
    assert "Halt trading was pressed meanwhile" in run.sentence and made.desk.kill == "ENGAGED"
