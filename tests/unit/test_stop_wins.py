"""A stop wins every race in its room, and is never taken for another one that runs already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.condition import Param
from backends.model.fact import Table
from backends.model.procedure import Procedure, Proof, RiskClass, Run, StepState, Verdict
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from tests.sim.desk import HALT, LEE, Office, asked, call, office
from tests.sim.virtual import simulate
from tests.sim.world import HALT as LADDER
from tests.sim.world import RUNG_1, RUNG_2, intent, room

CANCEL = Procedure(
    "cancel",
    "Cancel one",
    RiskClass.STOP,
    "Cancels one order.",
    (),
    "by hand",
    (
        replace(
            HALT.steps[0],
            id="cancel",
            title="Cancel $symbol",
            action=call("/close", symbol="$symbol"),
            proof=(Proof("positions.list", within=3.0, at_most=0, where={"symbol": "$symbol"}),),
        ),
    ),
    params=(Param("symbol", "Symbol", "positions.list", "symbol"),),
)


def slow_to_read(made: Office, fact: str, seconds: float) -> None:
    """From now on that fact takes its time."""
    look = made.looker.look

    async def late(name: str, within: float) -> Reading[Any]:
        await asyncio.sleep(seconds if name == fact else 0)
        return await look(name, within)

    made.looker.look = late  # type: ignore[method-assign]  # of this room only


@pytest.mark.parametrize("procedure", ["resume", "flatten"])
@pytest.mark.parametrize(
    ("fact", "takes", "late"),
    [("orders.open", 0.001, 0.3), ("", 0.5, 0.2), ("", 0.001, 0.02), ("", 0.001, 0.2)],
    ids=["while it is asked whether it may", "while it is journalled", "at once", "on its way"],
)
def test_nothing_is_sent_from_the_moment_on_at_which_a_stop_is_pressed(
    procedure: str, fact: str, takes: float, late: float
) -> None:
    """The stop itself is over in no time, for trading is halted already; it counts all the same."""
    wire = {"/reset": "slow", "/close": "slow"}
    made = office(wire=wire, takes=takes)
    slow_to_read(made, fact, 1.0)

    async def go() -> tuple[Run, float]:
        task = asyncio.create_task(made.procedures.execute(asked(procedure)))
        await asyncio.sleep(late)
        at = asyncio.get_running_loop().time()
        halt = await made.procedures.execute(asked("halt", id="op-2"))
        assert halt.verdict in (Verdict.VERIFIED, Verdict.ALREADY)
        return await task, at

    run, at = simulate(go())
    assert [path for when, op, path in made.desk.sent if op == "op-1" and when > at] == []
    assert run.verdict is not Verdict.VERIFIED
    assert "Halt trading was pressed meanwhile" in run.sentence
    assert made.desk.kill == "ENGAGED"


@pytest.mark.parametrize("how", ["a person", "the end of the room"])
def test_who_ends_a_run_before_it_has_begun_keeps_it_from_beginning(how: str) -> None:
    made = office()
    slow_to_read(made, "orders.open", 1.0)

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(0.3)
        if how == "a person":
            made.procedures.interrupt("op-1", LEE)
        else:
            await made.procedures.close(grace=5.0)
        return await task

    run = simulate(go())
    assert made.desk.sent == []
    assert run.verdict is Verdict.FAILED
    assert ("lee ended it" if how == "a person" else "the room was closed") in run.sentence


def test_a_restart_that_is_ended_while_it_looks_what_runs_sends_nothing() -> None:
    proof = Proof("gateway", ("healthy",), is_restarted=True)
    only = replace(HALT.steps[0], id="restart", action=call("/restart"), proof=(proof,))
    degrade = Procedure(
        "restart", "Restart", RiskClass.DEGRADE, "Restarts.", (), "by hand", (only,), phrase="trader"
    )
    made = office(procedures={"restart": degrade, "halt": HALT})
    slow_to_read(made, "gateway", 1.0)

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("restart", params={})))
        await asyncio.sleep(0.5)
        await made.procedures.execute(asked("halt", id="op-2"))
        return await task

    run = simulate(go())
    assert "/restart" not in [path for _, _, path in made.desk.sent]
    assert run.steps[0].state is StepState.FAILED


def test_a_stop_of_something_else_is_a_stop_of_its_own() -> None:
    made = office(procedures={"cancel": CANCEL}, wire={"/close": "slow"})

    async def go() -> list[Run]:
        runs = await asyncio.gather(
            made.procedures.execute(asked("cancel", id="op-1", params={"symbol": "AAPL"})),
            made.procedures.execute(asked("cancel", id="op-2", params={"symbol": "MSFT"})),
            made.procedures.execute(asked("cancel", id="op-3", params={"symbol": "MSFT"})),
        )
        await made.procedures.close()
        return runs

    runs = simulate(go())
    assert [(run.operation, run.steps[0].title) for run in runs] == [
        ("op-1", "Cancel AAPL"), ("op-2", "Cancel MSFT"), ("op-2", "Cancel MSFT"),
    ]  # fmt: skip
    assert {run.verdict for run in runs} == {Verdict.VERIFIED}
    assert not any(made.desk.positions.values())


def test_what_moves_the_market_waits_for_another_of_its_kind() -> None:
    made = office(wire={"/close": "slow"})

    async def go() -> Run:
        first = asyncio.create_task(made.procedures.execute(asked("close", params={"symbol": "AAPL"})))
        await asyncio.sleep(0.2)
        second = await made.procedures.execute(asked("close", id="op-2", params={"symbol": "MSFT"}))
        await first
        return second

    assert "close is running; wait for its end" in simulate(go()).sentence
    assert made.desk.positions["MSFT"] == -5


def test_of_two_that_move_the_market_and_begin_at_the_same_moment_the_first_goes_on() -> None:
    made = office(wire={"/close": "ok"})

    async def go() -> list[Run]:
        return await asyncio.gather(
            made.procedures.execute(asked("close", params={"symbol": "AAPL"})),
            made.procedures.execute(asked("close", id="op-2", params={"symbol": "MSFT"})),
        )

    first, second = simulate(go())
    assert first.verdict is Verdict.VERIFIED, first.sentence
    assert second.verdict is Verdict.REFUSED
    assert "close is running; wait for its end" in second.sentence
    assert made.desk.positions["MSFT"] == -5


def test_who_asks_again_while_the_first_is_written_down_is_not_refused_for_who_came_between() -> None:
    made = office(wire={"/close": "ok"}, takes=0.2)

    async def go() -> list[Run]:
        first = asyncio.create_task(made.procedures.execute(asked("close", params={"symbol": "AAPL"})))
        for _ in range(1000):
            if any(run.verdict for run in made.runs):
                break
            await asyncio.sleep(0.01)
        between = made.procedures.execute(asked("close", id="op-2", params={"symbol": "MSFT"}))
        again = made.procedures.execute(asked("close", id="op-3", params={"symbol": "AAPL"}))
        runs = await asyncio.gather(between, again)
        await first
        return runs

    between, again = simulate(go())
    assert between.verdict is Verdict.REFUSED
    assert again.operation == "op-3"
    assert "is running" not in again.sentence


@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_resume_that_a_stop_has_ended_does_not_end_what_watches_over_the_stop(late: float) -> None:
    made = office()
    slow_to_read(made, "orders.open", 1.0)

    async def go() -> Run:
        resume = asyncio.create_task(made.procedures.execute(asked("resume")))
        await asyncio.sleep(late)
        await made.procedures.execute(asked("halt", id="op-2"))
        await resume
        await asyncio.sleep(1.0)
        made.desk.kill = "ACTIVE"
        await asyncio.sleep(4.0)
        await made.procedures.close()
        return [run for run in made.runs if run.operation == "op-2"][-1]

    last = simulate(go())
    assert last.verdict is Verdict.CONTRADICTED
    assert "it was proved, and is undone" in last.sentence


def test_a_stop_of_something_that_the_list_was_too_long_to_show_is_not_refused() -> None:
    made = office(procedures={"cancel": CANCEL}, wire={"/close": "ok"})
    rows = ((SafeText("AAPL"), SafeText("10")),)
    # Of this desk only.
    made.desk.value = lambda fact: Table(("symbol", "qty"), rows, 900)  # type: ignore[method-assign]
    run = simulate(made.procedures.execute(asked("cancel", params={"symbol": "MSFT"})))
    assert [path for _, _, path in made.desk.sent] and run.verdict is not Verdict.REFUSED


def test_a_request_that_is_still_out_at_the_verdict_is_not_called_failed() -> None:
    """The first way refused; the second takes long, and may stop it any moment."""
    patient = replace(RUNG_2, after=0.0, deadline=20.0)
    made = room("refuse", "stuck", procedures=(replace(LADDER, steps=(RUNG_1, patient)),))

    async def go() -> Run:
        run = await made.procedures.execute(intent())
        await made.procedures.close()
        return run

    run = simulate(go())
    assert run.verdict is not Verdict.FAILED
