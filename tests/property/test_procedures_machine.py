"""Two operators, a faulty way to the desk, restarts, lost stores: what must never happen does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backends.journal.entry import Kind
from backends.model.procedure import Run, Verdict
from tests.sim.desk import KIM, LEE, Desk, Office, asked, office
from tests.sim.virtual import VirtualLoop
from tests.sim.world import Paper

SOAK = bool(os.environ.get("CONTROLROOM_SOAK"))
PEOPLE = (KIM, LEE)
FAULTS = ("ok", "refuse", "lost", "dropped", "stuck", "lies")
HELD = (Verdict.VERIFIED, Verdict.ALREADY)


class TwoOperators(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.desk, self.paper = Desk(kill="ACTIVE", breaker="OPEN"), Paper()
        self.wire: dict[str, str] = {}
        self.looks: dict[str, str] = {}
        self.ended: list[tuple[Office, Run]] = []
        self.number = 0
        self.offices = [self._open(), self._open()]

    def _open(self) -> Office:
        made = office(self.desk, self.wire, self.looks, paper=self.paper)
        made.wire.faults, made.looker.faults = self.wire, self.looks
        return made

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(what)

    async def _press(self, who: int, procedure: str, **changes: Any) -> Run:
        self.number += 1
        intent = asked(procedure, id=f"op-{self.number}", operator=PEOPLE[who], **changes)
        run = await self.offices[who].procedures.execute(intent)
        self.ended.append((self.offices[who], run))
        return run

    def teardown(self) -> None:
        async def close() -> None:
            for each in self.offices:
                await each.procedures.close(0.1)

        self._do(close())
        self.runner.close()

    @rule(who=st.integers(0, 1))
    def halt(self, who: int) -> None:
        self._do(self._press(who, "halt"))

    @rule(who=st.integers(0, 1), shown=st.sampled_from(["now", "older", "none"]))
    def resume(self, who: int, shown: str) -> None:
        epoch = {"now": str(self.desk.epoch), "older": str(self.desk.epoch - 1)}.get(shown)
        self._do(self._press(who, "resume", shown={} if epoch is None else {"epoch": epoch}))

    @rule(late=st.floats(0, 0.2), who=st.integers(0, 1))
    def halt_while_the_other_resumes(self, late: float, who: int) -> None:
        shown = {"epoch": str(self.desk.epoch)}

        async def race() -> None:
            async def press() -> Run:
                await asyncio.sleep(late)
                return await self._press(1 - who, "halt")

            _, halt = await asyncio.gather(self._press(who, "resume", shown=shown), press())
            # Halting what is halted changes nothing, so the other's resume may still pass. Whoever was told
            # that trading is halted must then be told otherwise.
            await asyncio.sleep(10)
            last = next(
                run for run in reversed(self.offices[1 - who].runs) if run.operation == halt.operation
            )
            if not self.looks:
                assert self.desk.kill == "ENGAGED" or last.verdict not in HELD

        self._do(race())

    @rule(who=st.integers(0, 1), typed=st.sampled_from(["live", "0", None]))
    def flatten(self, who: int, typed: str | None) -> None:
        held = sum(1 for size in self.desk.positions.values() if size)
        self._do(self._press(who, "flatten", challenge=str(held) if typed == "live" else typed))

    @rule(path=st.sampled_from(["/engage", "/resume", "/reset", "/close"]), fault=st.sampled_from(FAULTS))
    def break_or_mend_the_wire(self, path: str, fault: str) -> None:
        self.wire[path] = fault

    @rule(fact=st.sampled_from(["kill.state", "kill.at", "orders.open", "gateway"]))
    def lose_sight(self, fact: str) -> None:
        self.looks[fact] = "failed"

    @rule()
    def see_again(self) -> None:
        self.looks.clear()

    @rule(orders=st.integers(0, 2), gateway=st.sampled_from(["healthy", "degraded"]))
    def the_world_moves(self, orders: int, gateway: str) -> None:
        self.desk.orders, self.desk.gateway = orders, gateway

    @rule(seconds=st.sampled_from([1, 30, 61, 90]))
    def time_passes(self, seconds: int) -> None:
        self._do(asyncio.sleep(seconds))
        self.desk.recon_at += seconds

    @rule(who=st.integers(0, 1))
    def restart_a_console(self, who: int) -> None:
        self._do(self.offices[who].procedures.close(0.1))
        self.offices[who] = self._open()

    @invariant()
    def every_effect_has_an_earlier_intent(self) -> None:
        begun = {e.operation: at for at, e in reversed(self.paper.entries) if e.kind is Kind.INTENT}
        for at, operation, _ in self.desk.sent:
            assert begun[operation] <= at

    @invariant()
    def nothing_resumes_but_a_resume_and_nothing_is_closed_but_by_a_flatten(self) -> None:
        what = {e.operation: e.procedure for _, e in self.paper.entries}
        for _, operation, path in self.desk.sent:
            owners = {
                "/resume": ("resume",),
                "/close": ("flatten",),
                "/engage": ("halt",),
                "/reset": ("resume",),
            }
            assert what[operation] in owners[path]

    @invariant()
    def what_moves_the_market_is_sent_once_for_each_symbol(self) -> None:
        for _, run in self.ended:
            sent = [
                1 for _, operation, path in self.desk.sent if (operation, path) == (run.operation, "/close")
            ]
            assert len(sent) <= len(run.steps)

    @invariant()
    def verified_means_read_back(self) -> None:
        for made, run in self.ended:
            if run.verdict in HELD:
                first = min(
                    (at for at, op, _ in self.desk.sent if op == run.operation), default=run.started.mono
                )
                assert any(at >= first for at, _ in made.looker.looks)

    @invariant()
    def what_was_refused_sent_nothing(self) -> None:
        refused = {run.operation for _, run in self.ended if run.verdict is Verdict.REFUSED}
        assert not refused & {operation for _, operation, _ in self.desk.sent}

    @invariant()
    def a_resume_that_ended_badly_says_so(self) -> None:
        for _, run in self.ended:
            if run.procedure == "resume" and run.verdict not in HELD:
                assert str(run.sentence).startswith(
                    ("NOT RESUMED", "REFUSED", "SENT, NOT CONFIRMED", "PARTLY")
                )


TestTwoOperators = TwoOperators.TestCase
TestTwoOperators.settings = settings(
    max_examples=5000 if SOAK else 200,
    stateful_step_count=100 if SOAK else 50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
