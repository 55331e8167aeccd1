"""The store is away for longer than any way to it is tried, and comes back reading as before the halt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import Action
from backends.model.board import Board
from backends.model.procedure import Receipt, ReceiptKind, Run, Step, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import Gate, Trading, TradingState
from backends.procedures.permit import arm
from backends.procedures.reassert import HaltKeeper
from backends.procedures.runner import Procedures
from tests.sim.test_halt_keeper import GATE, STATES
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import HALT, KIM, Paper, intent, now, tiny_stack

SPEC = replace(tiny_stack(HALT), gates=(GATE,))
HALTED_AT = 5.0


class Site:
    """A store that is away from second 1 to ``back``, and a service that keeps its own word."""

    def __init__(self, back: float) -> None:
        self.back = back
        self.words = {"kill.state": "ACTIVE", "orchestrator.kill": "ACTIVE"}
        self.engaged: list[float] = []
        """When the store was made to say that it is halted."""

    @property
    def is_away(self) -> bool:
        return 1.0 < now() < self.back

    async def look(self, fact: str, within: float) -> Reading[Any]:
        await asyncio.sleep(within if self.is_away and fact == "kill.state" else 0.005)
        at = VirtualClock().now()
        if self.is_away and fact == "kill.state":
            return Reading(fact, "redis", Outcome.FAILED, at, 1.0, error=SafeText("no answer"))
        return Reading(fact, "redis", Outcome.OK, at, 1.0, value=SafeText(self.words[fact]))


class Way:
    """One way to halt it."""

    def __init__(self, site: Site, fact: str) -> None:
        self._site, self._fact = site, fact

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        del action, values
        if self._site.is_away and self._fact == "kill.state":
            await asyncio.sleep(step.deadline)
            return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
        if self._fact == "kill.state" and self._site.words[self._fact] != "ENGAGED":
            self._site.engaged.append(now())
        self._site.words[self._fact] = "ENGAGED"
        return Receipt(ReceiptKind.DONE, SafeText("done"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


def lived(site: Site, seconds: float) -> tuple[Run, HaltKeeper, Paper]:
    """A room that halts at ``HALTED_AT`` and keeps the halt; the verdict, and what was journalled."""
    runs: dict[str, Run] = {}
    paper = Paper()

    async def go() -> tuple[Run, HaltKeeper, Paper]:
        procedures = Procedures(
            SPEC, arm(KIM, is_watch=False),
            {"redis": Way(site, "kill.state"), "orchestrator": Way(site, "orchestrator.kill")},
            site, paper, VirtualClock(), lambda run: runs.update({run.operation: run}), lambda: 0.5,
        )  # fmt: skip
        keeper, halting, ordered = HaltKeeper(SPEC, list), None, list[asyncio.Task[Run]]()
        while now() < seconds:
            if halting is None and now() >= HALTED_AT:
                halting = asyncio.create_task(procedures.execute(intent()))
            seen = await site.look("kill.state", 0.5)
            board = _board(seen, tuple(runs.values()))
            keeper.see(board, board.taken)
            for wanted in keeper.due(board, board.taken):
                again = intent(f"again-{now():.0f}", wanted.procedure)
                order = replace(again, reason=SafeText(wanted.reason))
                ordered.append(asyncio.create_task(procedures.execute(order)))
            await asyncio.sleep(0.5)
        assert halting is not None
        run = await halting
        await asyncio.gather(*ordered)
        await procedures.close()
        return run, keeper, paper

    return simulate(go())


def _board(seen: Reading[Any], runs: tuple[Run, ...]) -> Board:
    state = TradingState.UNKNOWN if seen.outcome is Outcome.FAILED else STATES[str(seen.value)]
    at = VirtualClock().now()
    gate = Gate("kill.state", "Kill switch", seen.value, state, SafeText(""))
    trading = Trading(state, SafeText(""), at, at, (gate,))
    return Board("tiny", 1, at, Environment.PAPER, {"kill.state": seen}, {}, trading, runs=runs)


@pytest.mark.parametrize("back", [90.0, 120.0, 900.0])
def test_a_halt_proved_by_another_way_is_brought_back_to_it_within_five_seconds(back: float) -> None:
    site = Site(back)
    run, keeper, paper = lived(site, back + 20)
    assert run.verdict is Verdict.VERIFIED and run.rung == 2
    assert [at for at in site.engaged if back <= at <= back + 5] == site.engaged != []
    assert site.words["kill.state"] == "ENGAGED"
    (alarm,) = keeper.alarms
    assert "in force again" in alarm.title
    begun = [entry for _, entry in paper.entries if entry.kind.value == "intent"]
    assert len(begun) == 2 and "put back by the room" in begun[1].reason


def test_after_a_short_outage_the_stop_itself_brings_it_back_and_nothing_is_told() -> None:
    site = Site(30.0)
    _, keeper, paper = lived(site, 60)
    assert site.words["kill.state"] == "ENGAGED" and max(site.engaged) <= 35
    assert keeper.alarms == ()
    assert len([entry for _, entry in paper.entries if entry.kind.value == "intent"]) == 1
