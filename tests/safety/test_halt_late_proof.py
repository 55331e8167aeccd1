"""A halt that is proved only after its verdict is held to all that one proved at once is held to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from backends.model.fact import Fact, ValueType
from backends.model.procedure import Proof, Run, StepState, Verdict
from backends.model.query import SqlQuery
from backends.model.stack import EchoSpec
from backends.procedures import stop_runner
from tests.safety.test_halt_false_proof import Eyes, echoing, watched
from tests.sim.virtual import simulate
from tests.sim.world import HALT, RUNG_1, RUNG_2, Room, intent, room


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


def told(made: Room, verdict: Verdict) -> Callable[[], bool]:
    return lambda: verdict in [run.verdict for run in made.runs]


def test_orders_accepted_after_a_halt_that_was_proved_late_contradict_it() -> None:
    made, seeing = watched("refuse", "refuse")
    seeing.faults, seeing.accepted_grows = {}, True

    async def press() -> tuple[Run, Run]:
        first = await made.procedures.execute(intent())
        made.services["redis"].fault = "ok"
        await until(told(made, Verdict.VERIFIED))
        await asyncio.sleep(3)
        last = made.runs[-1]
        await made.procedures.close()
        return first, last

    first, last = simulate(press())
    assert first.verdict is Verdict.FAILED
    assert last.verdict is Verdict.CONTRADICTED
    assert "after it was proved" in last.sentence


def test_an_echo_that_comes_soon_after_a_late_proof_confirms_it() -> None:
    made, seeing = echoing("refuse", "refuse")

    async def press() -> Run:
        await made.procedures.execute(intent())
        made.services["redis"].fault = "ok"
        await until(told(made, Verdict.WRITTEN))
        seeing.faults["orchestrator.kill"] = "rosy"
        await asyncio.sleep(3)
        last = made.runs[-1]
        await made.procedures.close()
        return last

    assert simulate(press()).verdict is Verdict.VERIFIED


def test_what_was_taken_back_is_not_called_halted_by_a_target_that_is_reached_just_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The venue was stopped and trades again; the gateway is halted just then, and heard of later."""
    monkeypatch.setattr(stop_runner, "HEARD", 3.0)
    venue = replace(
        RUNG_2, id="venue", target="venue", after=0.0, proof=(Proof("orchestrator.kill", ("ENGAGED",)),)
    )
    made = room(
        "refuse", "lies", procedures=(replace(HALT, steps=(replace(RUNG_1, target="gateway"), venue)),)
    )
    seeing = Eyes(made.world, {"orchestrator.kill": "rosy"})
    stack = made.procedures._stack
    echo = Fact("gateway.kill", "Gateway", "g", "redis", SqlQuery("SELECT 1"), ValueType.TEXT)
    made.procedures._eyes._verifier = seeing
    made.procedures._eyes._facts = {**stack.facts, "gateway.kill": echo}
    made.procedures._stack = replace(stack, echoes=(EchoSpec("kill.state", "gateway.kill", "the gateway"),))

    async def press() -> tuple[Run, Run]:
        first = await made.procedures.execute(intent())
        made.world.is_halted = True
        await until(lambda: made.runs[-1].steps[0].state is StepState.VERIFIED)
        seeing.faults["orchestrator.kill"] = "denies"
        await until(told(made, Verdict.CONTRADICTED))
        seeing.gateway = "ENGAGED"
        await asyncio.sleep(5)
        last = made.runs[-1]
        await made.procedures.close()
        return first, last

    first, last = simulate(press())
    assert first.verdict is Verdict.PARTIAL
    assert last.verdict is Verdict.CONTRADICTED, last.sentence
