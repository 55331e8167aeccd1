"""A halt is called proved only while nothing says otherwise, and is taken back when it does not stand."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from backends.engine import Mode
from backends.journal.entry import Kind
from backends.model.fact import Fact, ValueType
from backends.model.procedure import Run, StepState, Verdict
from backends.model.query import SqlQuery
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import RunState
from backends.model.stack import EchoSpec
from tests.sim.rungs import HALT as LADDER
from tests.sim.rungs import Platform, site
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import HALT, Reader, Room, intent, room
from tui.commands.exitcode import ExitCode
from tui.commands.verdict import of_run
from widgets.glyphs import VERDICT


class Eyes(Reader):
    """Reads one switch in Redis and a rosy picture of it at the orchestrator."""

    kill_takes = 0.01
    kill_reads: list[str] | None = None
    """The answers of Redis in turn, the last for ever; ``?`` is none. None is the truth."""
    accepted = 0
    accepted_grows = False
    gateway = ""
    """What the second service that must obey says of the switch; empty while it does not answer."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        if fact == "orders.accepted":
            self.accepted += self.accepted_grows
            return Reading(fact, "redis", Outcome.OK, VirtualClock().now(), 1.0, value=self.accepted)
        if fact == "orchestrator.kill" and self.faults.get(fact) == "rosy":
            await asyncio.sleep(0.001)
            return Reading(fact, "redis", Outcome.OK, VirtualClock().now(), 1.0, value=SafeText("ENGAGED"))
        if fact == "gateway.kill":
            at, why = VirtualClock().now(), SafeText("refused")
            if not self.gateway:
                return Reading(fact, "redis", Outcome.FAILED, at, 1.0, error=why)
            return Reading(fact, "redis", Outcome.OK, at, 1.0, value=SafeText(self.gateway))
        if fact == "orchestrator.kill" and self.faults.get(fact) == "denies":
            return Reading(fact, "redis", Outcome.OK, VirtualClock().now(), 1.0, value=SafeText("ACTIVE"))
        if fact == "kill.state" and self.kill_takes > within:
            await asyncio.sleep(within)
            late = SafeText(f"no answer in {within:g} s")
            return Reading(fact, "redis", Outcome.FAILED, VirtualClock().now(), 1.0, error=late)
        if fact == "kill.state" and self.kill_reads is not None:
            word = self.kill_reads.pop(0) if len(self.kill_reads) > 1 else self.kill_reads[0]
            await asyncio.sleep(self.kill_takes)
            at = VirtualClock().now()
            if word == "?":
                return Reading(fact, "redis", Outcome.FAILED, at, 1.0, error=SafeText("cut off"))
            return Reading(fact, "redis", Outcome.OK, at, 1.0, value=SafeText(word))
        if fact == "kill.state":
            await asyncio.sleep(self.kill_takes)
        return await super().look(fact, within)


def watched(rung1: str = "ok", rung2: str = "lies", **eyes: Any) -> tuple[Room, Eyes]:
    made = room(rung1, rung2, procedures=(replace(HALT, quiet="orders.accepted"),))
    seeing = Eyes(made.world, {"orchestrator.kill": "rosy"})
    for name, value in eyes.items():
        setattr(seeing, name, value)
    made.procedures._eyes._verifier = seeing
    stack = made.procedures._stack
    count = Fact("orders.accepted", "Orders", "g", "redis", SqlQuery("SELECT 1"), ValueType.INT)
    made.procedures._eyes._facts = {**stack.facts, "orders.accepted": count}
    return made, seeing


def pressed(made: Room, then: float = 0.0) -> tuple[Run, Run]:
    """The run at its verdict, and as it stands ``then`` seconds later."""

    async def press() -> tuple[Run, Run]:
        first = await made.procedures.execute(intent())
        await asyncio.sleep(then)
        last = made.runs[-1]
        await made.procedures.close()
        return first, last

    return simulate(press())


@pytest.mark.parametrize("takes", [0.01, 0.3, 0.45, 0.9])
def test_another_way_does_not_prove_a_halt_that_the_switch_itself_denies_however_slowly(takes: float) -> None:
    made, _ = watched("refuse", kill_takes=takes)
    run, _ = pressed(made)
    assert run.verdict is Verdict.CONTRADICTED
    assert "reads ACTIVE" in run.sentence


def test_a_look_that_failed_does_not_take_a_contrary_reading_back() -> None:
    made, _ = watched("refuse", kill_reads=["ACTIVE", "?"])
    assert pressed(made)[0].verdict is not Verdict.VERIFIED


def test_one_good_read_in_the_moment_before_it_is_undone_is_no_proof() -> None:
    made, _ = watched(kill_reads=["ENGAGED", "ACTIVE"])
    run, _ = pressed(made)
    assert run.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize("rung1", ["ok", "refuse"])
def test_a_halt_that_does_not_stand_is_taken_back_within_five_seconds_and_journalled(rung1: str) -> None:
    reads = ["ENGAGED", "ENGAGED", "ENGAGED", "ENGAGED", "ACTIVE"]
    made, _ = watched(rung1, kill_reads=reads)
    first, last = pressed(made, then=6.0)
    assert first.verdict is Verdict.VERIFIED
    assert last.verdict is Verdict.CONTRADICTED
    assert str(last.sentence).startswith("LATE: NOT HALTED. it was proved, and is undone: Kill switch reads")
    outcomes = [entry.verdict for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME]
    assert outcomes == ["VERIFIED", "CONTRADICTED"]


def test_what_is_undone_is_done_again_by_the_next_way_there_is() -> None:
    made, _ = watched(kill_reads=["ENGAGED", "ENGAGED", "ENGAGED", "ENGAGED", "ACTIVE"])
    _, last = pressed(made, then=6.0)
    assert str(last.sentence).endswith("reads ACTIVE. Now: Engage by the orchestrator")
    assert [source for _, source, _ in made.world.calls][:2] == ["redis", "orchestrator"]


def test_orders_accepted_after_a_proved_halt_contradict_it() -> None:
    made, _ = watched(accepted_grows=True)
    first, last = pressed(made, then=6.0)
    assert first.verdict is Verdict.VERIFIED
    assert last.verdict is Verdict.CONTRADICTED
    assert "after it was proved" in last.sentence


def echoing(says: str, rung1: str = "ok") -> tuple[Room, Eyes]:
    """A stack whose orchestrator is asked whether it knows of the switch."""
    made, seeing = watched(rung1)
    seeing.faults["orchestrator.kill"] = says
    echo = EchoSpec("kill.state", "orchestrator.kill", "the orchestrator")
    made.procedures._stack = replace(made.procedures._stack, echoes=(echo,))
    return made, seeing


def test_a_switch_that_the_service_knows_of_is_proved_without_a_wait() -> None:
    made, _ = echoing("rosy")
    first, last = pressed(made, then=10.0)
    assert first.verdict is last.verdict is Verdict.VERIFIED
    assert first.ended is not None and first.ended.since(first.started) < 0.2


@pytest.mark.parametrize("says", ["hang", "refuse"])
def test_a_key_whose_echo_cannot_be_read_is_written_and_not_confirmed_and_never_green(says: str) -> None:
    """A22. It is held all the same: the key is what the platform obeys, and no rung is lost over it."""
    made, _ = echoing(says)
    first, last = pressed(made, then=20.0)
    assert first.verdict is last.verdict is Verdict.WRITTEN
    assert str(first.sentence).startswith("HALTED, WRITTEN, NOT CONFIRMED. Kill switch reads ENGAGED by kim")
    assert f"But Orchestrator could not be read: {says}" in first.sentence
    assert first.rung == 1
    assert first.ended is not None and first.ended.since(first.started) < 2.5
    assert VERDICT[first.verdict].role == "state-warn"
    assert of_run(first, Mode.ARMED) is ExitCode.UNKNOWN
    assert made.world.is_halted


def test_an_echo_that_comes_soon_after_the_verdict_confirms_it() -> None:
    made, seeing = echoing("refuse")

    async def press() -> tuple[Run, Run]:
        first = await made.procedures.execute(intent())
        await asyncio.sleep(1.5)
        seeing.faults["orchestrator.kill"] = "rosy"
        await asyncio.sleep(3.0)
        last = made.runs[-1]
        await made.procedures.close()
        return first, last

    first, last = simulate(press())
    assert (first.verdict, last.verdict) == (Verdict.WRITTEN, Verdict.VERIFIED)
    assert str(last.sentence).startswith("LATE: HALTED. ")
    outcomes = [entry.verdict for _, entry in made.paper.entries if entry.kind is Kind.OUTCOME]
    assert outcomes == ["WRITTEN, NOT CONFIRMED", "VERIFIED"]


def test_orders_accepted_after_a_halt_that_was_only_written_contradict_it_too() -> None:
    made, seeing = echoing("refuse")
    seeing.accepted_grows = True
    first, last = pressed(made, then=6.0)
    assert (first.verdict, last.verdict) == (Verdict.WRITTEN, Verdict.CONTRADICTED)


def test_a_service_that_is_asked_about_the_switch_and_denies_it_does_not_obey() -> None:
    made, _ = echoing("denies")
    first, last = pressed(made, then=10.0)
    assert first.verdict is Verdict.WRITTEN
    assert "But Orchestrator reads ACTIVE" in first.sentence
    assert last.verdict is Verdict.CONTRADICTED
    said = [str(run.sentence) for run in made.runs]
    assert any("Orchestrator reads ACTIVE. Now: Engage by the orchestrator" in each for each in said)
    assert "orchestrator" in [source for _, source, _ in made.world.calls]


@pytest.mark.parametrize(("says", "verdict"), [("", Verdict.VERIFIED), ("ACTIVE", Verdict.WRITTEN)])
def test_of_two_services_one_that_is_heard_is_enough_unless_the_other_denies_it(
    says: str, verdict: Verdict
) -> None:
    made, seeing = echoing("rosy")
    seeing.gateway = says
    stack = made.procedures._stack
    second = EchoSpec("kill.state", "gateway.kill", "the gateway")
    made.procedures._stack = replace(stack, echoes=(*stack.echoes, second))
    asked = Fact("gateway.kill", "Gateway", "g", "redis", SqlQuery("SELECT 1"), ValueType.TEXT)
    made.procedures._eyes._facts = {**made.procedures._eyes._facts, "gateway.kill": asked}
    first, _ = pressed(made)
    assert first.verdict is verdict


def test_a_halt_that_stands_stays_proved_and_nothing_more_is_tried() -> None:
    made, _ = watched()
    first, last = pressed(made, then=10.0)
    assert first.verdict is last.verdict is Verdict.VERIFIED
    assert [source for _, source, _ in made.world.calls] == ["redis"]


class Ignored(Platform):
    """Whatever the switch says, orders are accepted until the gateway is stopped."""

    def value(self, fact: str) -> Any:
        is_accepting = fact == "orders.accepted" and self.gateway is RunState.RUNNING
        self.accepted = getattr(self, "accepted", 0) + is_accepting
        return self.accepted if fact == "orders.accepted" else super().value(fact)


@pytest.mark.parametrize("stays", [True, False], ids=["the room stays", "the room is left"])
def test_while_orders_are_accepted_the_ways_left_out_are_gone_one_after_the_other(stays: bool) -> None:
    made = site({}, platform=Ignored(Random(1)), halt=replace(LADDER, quiet="orders.accepted"))

    async def press() -> list[Run]:
        first, _ = await made.press()
        await asyncio.sleep(1.5)
        assert made.runs[-1].verdict is Verdict.CONTRADICTED
        if not stays:
            await made.procedures.close(grace=12.0)
        await asyncio.sleep(20.0)
        await made.procedures.close()
        return [first, made.runs[-1]]

    first, last = simulate(press())
    calls = [way for _, way in made.platform.calls]
    assert (first.verdict, last.verdict) == (Verdict.VERIFIED, Verdict.CONTRADICTED)
    assert calls[0] == "redis"
    assert sorted(calls[1:3]) == ["http", "venue"], "its orders are cancelled before the gateway is stopped"
    assert calls[3:] == ["docker"]
    assert made.platform.gateway is RunState.EXITED
    assert "Now: Stop the gateway" in last.sentence
    states = {step.step: step.state for step in last.steps}
    assert states == dict.fromkeys(("redis", "http", "venue", "docker"), StepState.VERIFIED)


def test_a_gateway_that_is_the_next_way_waits_for_the_cancelling_there_too() -> None:
    steps = tuple(step for step in LADDER.steps if step.id != "http")
    made = site({}, platform=Ignored(Random(1)), halt=replace(LADDER, quiet="orders.accepted", steps=steps))

    async def press() -> None:
        await made.press()
        await asyncio.sleep(20.0)
        await made.procedures.close()

    simulate(press())
    assert [way for _, way in made.platform.calls] == ["redis", "venue", "docker"]
    cancelled, stopped = (made.platform.first(way) or 0.0 for way in ("venue", "docker"))
    assert stopped - cancelled >= 1.0, "none is open at two looks a second apart"
