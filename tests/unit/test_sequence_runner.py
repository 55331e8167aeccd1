"""Everything but a stop goes step by step, proves each, and ends at the first that is not so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import Entry, Kind
from backends.journal.journal import BUDGET
from backends.model.action import Observe
from backends.model.intent import Intent
from backends.model.procedure import Proof, Run, Step, StepState, Verdict
from backends.model.safetext import SafeText
from tests.sim.desk import LEE, RESUME, Desk, Office, asked, desk_stack, office
from tests.sim.virtual import EPOCH, simulate
from tests.sim.world import Paper


def ran(made: Office, intent: Intent | None = None) -> Run:
    async def go() -> Run:
        run = await made.procedures.execute(intent or asked())
        await made.procedures.close()
        return run

    return simulate(go())


def test_what_had_no_answer_may_have_been_done_although_a_later_try_was_refused() -> None:
    made = office(wire={"/reset": "late"})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        while not made.desk.sent:
            assert not task.done()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        made.wire.faults["/reset"] = "refuse"
        run = await task
        await asyncio.sleep(4.0)
        return run

    run = simulate(go())
    assert made.desk.breaker == "OPEN", "the first request arrived after all"
    assert (run.verdict, run.steps[0].state) == (Verdict.UNCONFIRMED, StepState.UNKNOWN)


def test_a_resume_with_everything_in_order_is_proved_and_journalled() -> None:
    made = office()
    run = ran(made)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert str(run.sentence).startswith("RESUMED. kill.state reads ACTIVE")
    assert [step.state for step in run.steps] == [StepState.VERIFIED] * 2
    assert made.desk.kill == "ACTIVE"
    kinds = [entry.kind for _, entry in made.paper.entries]
    assert kinds[0] is Kind.INTENT and kinds[-1] is Kind.OUTCOME
    assert made.paper.entries[0][0] < made.desk.sent[0][0]


FALSIFIED = {
    "halted": ({"kill": "ACTIVE"}, "Trading is not halted"),
    "long": ({"kill_at": EPOCH - 20}, "The halt is younger than 60 s"),
    "no-orders": ({"orders": 1}, "Orders are open"),
    "compared": ({"recon_at": EPOCH - 700}, "The broker was not compared lately"),
    "gateway": ({"gateway": "degraded"}, "The gateway is not well"),
}


@pytest.mark.parametrize("ident", FALSIFIED)
def test_each_precondition_false_alone_refuses_and_is_named_alone(ident: str) -> None:
    changes, words = FALSIFIED[ident]
    made = office(Desk(**changes))
    run = ran(made)
    assert run.verdict is Verdict.REFUSED
    assert len(run.blockers) == 1 and words in run.blockers[0]
    assert made.desk.sent == []


@pytest.mark.parametrize("fault", ["missing", "failed", "future"])
@pytest.mark.parametrize("condition", RESUME.requires, ids=lambda condition: condition.id)
def test_what_is_not_freshly_known_counts_as_not_so(condition: object, fault: str) -> None:
    fact = condition.fact  # type: ignore[attr-defined]  # a Condition; object keeps pytest's ids simple
    made = office(looks={fact: fault})
    run = ran(made)
    assert run.verdict is Verdict.REFUSED
    assert len(run.blockers) == 1
    assert made.desk.sent == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phrase": "resume desk"}, "RESUME desk was not typed exactly"),
        ({"phrase": None}, "RESUME desk was not typed exactly"),
        ({"reason": SafeText(" all well. ")}, "reason needs at least 10"),
        ({"shown": {"epoch": "0"}}, "kill.epoch has changed since it was shown: 1, was 0"),
        ({"shown": {}}, "kill.epoch was not shown"),
        ({"plan": "0" * 64}, "has changed since this plan was shown"),
        ({"via": "cli"}, "make a dry run first"),
    ],
)
def test_what_was_not_confirmed_as_the_class_demands_is_refused(change: dict[str, Any], words: str) -> None:
    made = office()
    run = ran(made, asked(**change))
    assert run.verdict is Verdict.REFUSED
    assert [words in each for each in run.blockers] == [True]
    assert made.desk.sent == []


def test_what_turns_false_after_the_confirmation_is_refused_before_the_first_step() -> None:
    made = office(takes=0.5)

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(0.2)
        made.desk.orders = 1
        return await task

    run = simulate(go())
    assert run.verdict is Verdict.REFUSED
    assert "Orders are open" in run.sentence
    assert made.desk.sent == []


def test_a_halt_while_a_resume_is_confirmed_wins_at_the_store() -> None:
    made = office()

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        while not made.desk.sent:  # noqa: ASYNC110 (simulated time)
            await asyncio.sleep(0.001)
        made.desk.epoch += 1
        return await task

    run = simulate(go())
    assert made.desk.kill == "ENGAGED"
    assert run.verdict is Verdict.PARTIAL
    assert "another halt stands" in run.sentence and "kill.state reads ENGAGED" in run.sentence


def test_a_stop_pressed_during_a_resume_keeps_it_from_going_a_step_further() -> None:
    made = office(wire={"/reset": "dropped"})

    async def go() -> tuple[Run, Run]:
        resume = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(0.5)
        halt = await made.procedures.execute(asked("halt", id="op-2"))
        run = await resume
        await made.procedures.close()
        return run, halt

    run, halt = simulate(go())
    assert halt.verdict in (Verdict.VERIFIED, Verdict.ALREADY)
    assert run.verdict is not Verdict.VERIFIED
    assert "/resume" not in [path for _, _, path in made.desk.sent]
    assert made.desk.kill == "ENGAGED"


def test_without_a_journal_nothing_is_sent() -> None:
    made = office(takes=None)
    run = ran(made)
    assert run.verdict is Verdict.REFUSED
    assert "journal cannot be written" in run.sentence
    assert made.desk.sent == []


class FillingUp(Paper):
    """Its disk has room for the intent and no more."""

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        if entry.kind is not Kind.INTENT:
            self.takes = None
        return await super().record(entry, budget)


@pytest.mark.parametrize(
    ("wire", "verdict"),
    [({}, Verdict.PARTIAL), ({"/reset": "refuse"}, Verdict.FAILED)],
    ids=["well", "refused"],
)
def test_once_it_is_on_no_record_nothing_more_is_sent_and_it_says_that_trading_is_halted(
    wire: dict[str, str], verdict: Verdict
) -> None:
    made = office(wire=wire, paper=FillingUp())
    run = ran(made)
    assert (run.verdict, run.journal_degraded) == (verdict, True)
    assert [path for _, _, path in made.desk.sent] == ["/reset"]
    assert "the journal can no longer be written; nothing more was sent" in run.sentence
    assert "kill.state reads ENGAGED" in run.sentence


def test_what_was_sent_last_is_read_back_although_it_is_on_no_record() -> None:
    look = Step("look", "Look", Observe(), (Proof("kill.state", ("ACTIVE",)),))
    resume = replace(RESUME, steps=(RESUME.steps[1], look))
    run = ran(office(paper=FillingUp(), procedures={"resume": resume}))
    assert (run.verdict, run.journal_degraded) == (Verdict.VERIFIED, True)


def test_a_step_that_may_be_repeated_is_sent_again_and_the_first_failure_ends_it() -> None:
    made = office(wire={"/reset": "refuse"})
    run = ran(made)
    assert run.verdict is Verdict.FAILED
    assert [path for _, _, path in made.desk.sent] == ["/reset"] * 3
    assert [step.state for step in run.steps] == [StepState.FAILED, StepState.SKIPPED]
    assert "NOT RESUMED. step 1 of 2, Reset the breaker: Desk: refused" in run.sentence
    assert "kill.state reads ENGAGED" in run.sentence


def test_no_answer_is_unknown_until_a_read_back_shows_the_effect() -> None:
    lost = office(wire={"/resume": "lost"})
    assert ran(lost).verdict is Verdict.VERIFIED
    dropped = office(wire={"/resume": "dropped"})
    run = ran(dropped)
    assert run.verdict is Verdict.UNCONFIRMED
    assert run.steps[1].state is StepState.UNKNOWN
    assert "treat as NOT RESUMED" in run.sentence


def test_done_without_the_effect_is_a_contradiction() -> None:
    run = ran(office(wire={"/resume": "lies"}))
    assert run.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize("fault", ["lost", "dropped", "bug", "stuck"])
def test_what_moves_the_market_is_never_sent_twice(fault: str) -> None:
    made = office(wire={"/close": fault})
    run = ran(made, asked("flatten"))
    sent = [path for _, _, path in made.desk.sent]
    assert len(sent) == (2 if fault == "lost" else 1)
    assert all(abs(size) in (0, 5, 10) for size in made.desk.positions.values())
    assert run.verdict is (Verdict.VERIFIED if fault == "lost" else Verdict.UNCONFIRMED)
    assert "secret-4711" not in str(run)


def test_flattening_goes_over_the_positions_there_are_and_reads_twice() -> None:
    made = office()
    run = ran(made, asked("flatten"))
    assert run.verdict is Verdict.VERIFIED
    assert [step.title for step in run.steps] == ["Close AAPL", "Close MSFT"]
    looks = [at for at, fact, _ in made.looker.looks if fact == "positions.list"]
    assert looks[-1] - looks[-2] >= 1.0


@pytest.mark.parametrize(("typed", "words"), [("3", "reads 2 now; 3 was typed"), (None, "nothing was typed")])
def test_the_challenge_is_the_live_value(typed: str | None, words: str) -> None:
    made = office()
    run = ran(made, asked("flatten", challenge=typed))
    assert run.verdict is Verdict.REFUSED and words in run.sentence
    assert made.desk.sent == []


def test_flattening_before_the_orders_are_cancelled_or_trading_is_halted_is_refused() -> None:
    assert "Cancel them first" in ran(office(Desk(orders=1)), asked("flatten")).sentence
    assert "Halt first" in ran(office(Desk(kill="ACTIVE")), asked("flatten")).sentence


def test_a_chosen_value_must_stand_in_the_list_now() -> None:
    made = office()
    assert "there is no TSLA there now" in ran(made, asked("close", params={"symbol": "TSLA"})).sentence
    assert "takes no other" in ran(made, asked("close", params={"symbol": "AAPL", "other": "1"})).sentence
    assert "no service of desk" in ran(made, asked("restart", params={"service": "mallory"})).sentence
    assert made.desk.sent == []
    assert ran(made, asked("close", params={"symbol": "MSFT"})).steps[0].title == "Close MSFT"


def test_a_person_confirms_and_a_step_that_may_fail_does_not_end_it() -> None:
    made = office(wire={"/restart": "refuse"})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("restart")))
        await asyncio.sleep(5)
        assert made.runs[-1].awaits == "told"
        made.procedures.attest("op-1", "told", LEE)
        return await task

    run = simulate(go())
    states = [step.state for step in run.steps]
    # What proves the step that was refused was so before it.
    assert states == [StepState.VERIFIED, StepState.ACKNOWLEDGED, StepState.FAILED, StepState.VERIFIED]
    assert run.verdict is Verdict.PARTIAL
    assert run.steps[1].evidence == "confirmed by lee"


def test_what_was_promised_before_there_was_anything_to_confirm_is_told_so() -> None:
    made = office()

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("restart")))
        await asyncio.sleep(5)
        made.procedures.attest("op-1", "told", LEE, is_promised=True)
        return await task

    assert simulate(go()).steps[1].evidence == "confirmed by lee, beforehand"


def test_nobody_confirming_ends_it() -> None:
    run = ran(office(), asked("restart"))
    assert run.steps[1].evidence == "nobody confirmed it"
    assert run.verdict is Verdict.FAILED
    assert [step.state for step in run.steps][2:] == [StepState.SKIPPED] * 2


@pytest.mark.parametrize("when", [0.5, 5.0], ids=["while it sends", "while it waits"])
def test_who_ends_a_run_gets_what_was_sent_read_back_and_nothing_more_sent(when: float) -> None:
    made = office(wire={"/restart": "slow"})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("restart")))
        await asyncio.sleep(when)
        made.procedures.interrupt("op-1", LEE)
        return await task

    run = simulate(go())
    assert "lee ended it" in run.sentence
    assert run.verdict is not Verdict.VERIFIED
    assert [step.state for step in run.steps][2:] == [StepState.SKIPPED] * 2


def test_a_dry_run_sends_nothing_says_what_it_would_and_its_hash_opens_the_real_one(tmp_path: Path) -> None:
    made = office(state=tmp_path)
    dry = ran(made, asked(id="op-0", is_dry=True, phrase=None, shown={}))
    assert dry.verdict is Verdict.DRY_RUN
    assert made.desk.sent == [] and made.desk.kill == "ENGAGED"
    assert all(str(step.receipt.text).startswith("DRY RUN") for step in dry.steps if step.receipt)
    assert {entry.mode for _, entry in made.paper.entries} == {"dry"}
    run = ran(made, asked(via="cli", plan=dry.plan))
    assert run.verdict is Verdict.VERIFIED
    assert [step.title for step in run.steps] == [step.title for step in dry.steps]


def test_a_dry_run_tells_what_would_keep_it_back() -> None:
    dry = ran(office(Desk(orders=3)), asked(is_dry=True))
    assert dry.verdict is Verdict.DRY_RUN
    assert "It would be refused now: Orders are open" in dry.sentence


def test_a_dry_run_that_is_too_old_or_of_another_situation_opens_nothing(tmp_path: Path) -> None:
    made = office(state=tmp_path)

    async def go(wait: float) -> Run:
        dry = await made.procedures.execute(asked("flatten", id="op-0", is_dry=True))
        await asyncio.sleep(wait)
        if wait < 120:
            made.desk.positions["TSLA"] = 4
        return await made.procedures.execute(
            asked("flatten", via="cli", plan=dry.plan, challenge=str(len(made.desk.positions)))
        )

    assert "120 s; make another" in simulate(go(121)).sentence
    assert "changed since this plan was shown" in simulate(go(10)).sentence


def test_a_restore_waits_until_all_has_been_well_for_a_while() -> None:
    from backends.model.board import Board
    from backends.model.stack import Environment
    from tests.sim.virtual import VirtualClock

    calm = replace(RESUME, held_for=30.0)
    made = office(procedures={"resume": calm})

    async def go() -> list[Run]:
        runs = [await made.procedures.execute(asked())]
        for second in range(62):
            await asyncio.sleep(1.0)
            names = desk_stack().facts
            readings = {name: await made.looker.look(name, 1.0) for name in names}
            if second == 20:
                made.desk.orders = 1
            elif second == 21:
                made.desk.orders = 0
            board = Board("desk", 1, VirtualClock().now(), Environment.PAPER, readings, {}, None)  # type: ignore[arg-type]  # not looked at
            made.procedures.watch(board)
            if second == 40:
                runs.append(await made.procedures.execute(asked()))
                assert 15 < made.procedures.held("resume") < 20
        runs.append(await made.procedures.execute(asked()))
        return runs

    first, second, third = simulate(go())
    assert "and has been for 0 s" in first.sentence
    assert "has been for 1" in second.sentence
    assert third.verdict is Verdict.VERIFIED


def test_a_restore_beside_another_procedure_is_refused() -> None:
    made = office(wire={"/close": "dropped"})

    async def go() -> Run:
        flatten = asyncio.create_task(made.procedures.execute(asked("flatten")))
        await asyncio.sleep(0.5)
        run = await made.procedures.execute(asked(id="op-2"))
        await flatten
        return run

    assert "flatten is running" in simulate(go()).sentence
