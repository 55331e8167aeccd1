"""Two operators, a faulty way to the desk, restarts, lost stores: what must never happen does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from backends.journal.entry import Kind
from backends.model.intent import Identity
from backends.model.procedure import Run, Verdict
from backends.procedures.approval import ApprovalError
from tests.sim.desk import FLATTEN, HALT, KIM, RESUME, Desk, Office, asked, office
from tests.sim.virtual import VirtualLoop
from tests.sim.world import Paper, now

SOAK = bool(os.environ.get("CONTROLROOM_SOAK"))
EXAMPLES = int(os.environ.get("CONTROLROOM_SOAK_EXAMPLES", "5000")) if SOAK else 200
SEED = int(os.environ.get("CONTROLROOM_SOAK_SEED", "0")) if SOAK else 0
BATCH = 200
"""Examples with one seed. What was tried is remembered, so that one run of all would need gigabytes."""
APPROVED = replace(RESUME, needs_approval=True)
PEOPLE = (replace(KIM, uid=os.getuid() + 1), Identity("lee", os.getuid(), "ops1"))
"""The second is whose process this is: only they can consent, and only to what the first asks for."""
FAULTS = ("ok", "refuse", "lost", "dropped", "stuck", "lies", "slow")
LATE = ("late", "twice")
"""Of requests that can do no harm twice; for others the desk must know them by their operation."""
HELD = (Verdict.VERIFIED, Verdict.ALREADY)
PROOFS = {
    "halt": {("kill.state", "ENGAGED")},
    "resume": {("breaker.state", "OPEN"), ("kill.state", "ACTIVE")},
    "flatten": {("positions.list", "0 rows")},
}
"""What must have been read, by procedure, before anybody may call it done."""


class TwoOperators(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.folder = Path(tempfile.mkdtemp(prefix="controlroom-test-"))
        self.desk, self.paper = Desk(kill="ACTIVE", breaker="OPEN"), Paper()
        self.wire: dict[str, str] = {}
        self.looks: dict[str, str] = {}
        self.ended: list[tuple[Office, Run]] = []
        self.number = 0
        self.code: str | None = None
        """Of the newest consent."""
        self.offices = [self._open(), self._open()]

    def _open(self) -> Office:
        procedures = {each.id: each for each in (HALT, APPROVED, FLATTEN)}
        made = office(self.desk, self.wire, self.looks, self.folder, paper=self.paper, procedures=procedures)
        made.wire.faults, made.looker.faults = self.wire, self.looks
        return made

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(what)

    async def _press(self, who: int, procedure: str, **changes: Any) -> Run:
        self.number += 1
        intent = asked(procedure, id=f"op-{self.number}", operator=PEOPLE[who], **changes)
        made = self.offices[who]
        run = await made.procedures.execute(intent)
        if made.life.is_over:
            return run  # which nobody was told
        if not intent.is_dry:
            self.ended.append((made, run))
        if run.verdict in HELD:
            self._is_so(run)
        return run

    def _is_so(self, run: Run) -> None:
        """What was just called done has been done, whatever any service said."""
        done = {what for at, what in self.desk.effects if at >= run.started.mono}
        if run.procedure == "resume":
            assert "/resume" in done
            assert self.desk.breaker == "OPEN"
        if run.procedure == "flatten":
            assert not any(self.desk.positions.values())

    def teardown(self) -> None:
        async def close() -> None:
            for each in self.offices:
                await each.procedures.close(0.1)

        self._do(close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(who=st.integers(0, 1))
    def halt(self, who: int) -> None:
        self._do(self._press(who, "halt"))

    async def _resume(self, who: int, shown: dict[str, str], by: int | None) -> Run:
        """A dry run of it, a consent of ``by`` to that very plan, and the real one."""
        code = None
        if by is not None:
            dry = await self._press(who, "resume", is_dry=True, shown=shown)
            book = self.offices[who].procedures.approvals
            assert book is not None
            code = self.code = book.request(asked(operator=PEOPLE[who]), dry.plan).code
            with contextlib.suppress(ApprovalError):
                book.approve(code, PEOPLE[by])
        return await self._press(who, "resume", shown=shown, approval=code)

    @rule(
        who=st.integers(0, 1),
        shown=st.sampled_from(["now", "now", "older", "none"]),
        by=st.sampled_from([1, 1, 0, None]),
        is_patient=st.booleans(),
    )
    def resume(self, who: int, shown: str, by: int | None, is_patient: bool) -> None:
        if is_patient:
            self.time_passes(61)
        epoch = {"now": str(self.desk.epoch), "older": str(self.desk.epoch - 1)}.get(shown)
        run = self._do(self._resume(who, {} if epoch is None else {"epoch": epoch}, by))
        assert shown == "now" or run.verdict is Verdict.REFUSED

    @rule(
        who=st.integers(0, 1),
        what=st.sampled_from(["resume", "resume", "flatten"]),
        late=st.floats(0, 0.5),
    )
    def halt_in_the_room_that_is_doing_something(self, who: int, what: str, late: float) -> None:
        """From then on what was being done sends nothing, whether the halt changes anything or not."""
        pressed, begun = 0.0, self.number

        async def press() -> None:
            nonlocal pressed
            await asyncio.sleep(late)
            pressed = now()
            await self._press(who, "halt")

        async def race() -> None:
            held = sum(1 for size in self.desk.positions.values() if size)
            doing = (
                self._resume(who, {"epoch": str(self.desk.epoch)}, 1)
                if what == "resume"
                else self._press(who, what, challenge=str(held))
            )
            await asyncio.gather(doing, press())

        self._do(race())
        halts = {run.operation for _, run in self.ended if run.procedure == "halt"}
        for at, operation, path in self.desk.sent:
            if int(operation.removeprefix("op-")) > begun and operation not in halts:
                assert at <= pressed, f"{path} was sent after the halt"

    @rule(late=st.floats(0, 0.2), who=st.integers(0, 1))
    def halt_while_the_other_resumes(self, late: float, who: int) -> None:
        shown = {"epoch": str(self.desk.epoch)}

        async def race() -> None:
            async def press() -> Run:
                await asyncio.sleep(late)
                return await self._press(1 - who, "halt")

            _, halt = await asyncio.gather(self._resume(who, shown, 1), press())
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

    @rule()
    def all_is_well(self) -> None:
        self.wire.clear()
        self.looks.clear()
        self.desk.orders, self.desk.gateway = 0, "healthy"

    @rule(path=st.sampled_from(["/engage", "/resume", "/reset"]), fault=st.sampled_from(LATE))
    def let_it_arrive_late_or_twice(self, path: str, fault: str) -> None:
        self.wire[path] = fault

    @rule()
    def lose_the_store(self) -> None:
        self.desk.is_lost = True

    @rule(seconds=st.sampled_from([-3600, -30, 30, 3600]))
    def step_the_clock(self, seconds: int) -> None:
        loop = self.runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        loop.stepped += seconds

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

    @rule(
        who=st.integers(0, 1),
        what=st.sampled_from(["resume", "resume", "flatten", "halt"]),
        late=st.floats(0, 0.5),
        again=st.sampled_from(["not", "anew", "with the same consent"]),
    )
    def kill_a_console_that_is_doing_something(self, who: int, what: str, late: float, again: str) -> None:
        """Its process is gone between two of its steps, or while it waits for an answer."""

        async def do() -> Run:
            if what == "resume":
                return await self._resume(who, {"epoch": str(self.desk.epoch)}, 1)
            held = sum(1 for size in self.desk.positions.values() if size)
            return await self._press(who, what, challenge=str(held) if what == "flatten" else None)

        async def cut() -> None:
            killed = self.offices[who]
            doing = asyncio.ensure_future(do())
            await asyncio.sleep(late)
            killed.life.is_over = True
            self.offices[who] = self._open()
            if again == "anew":
                await do()
            elif again == "with the same consent" and what == "resume":
                await self._press(who, what, shown={"epoch": str(self.desk.epoch)}, approval=self.code)
            doing.cancel()
            await asyncio.wait([doing])
            await killed.procedures.close(0.1)

        self._do(cut())

    @invariant()
    def every_effect_has_an_earlier_intent(self) -> None:
        begun = {e.operation: at for at, e in reversed(self.paper.entries) if e.kind is Kind.INTENT}
        for at, operation, _ in self.desk.sent:
            assert begun[operation] <= at

    @invariant()
    def no_trading_while_the_newest_halt_stands(self) -> None:
        engaged = [epoch for what, epoch in self.desk.switched if what == "engage"]
        assert engaged == sorted(set(engaged))
        if engaged and self.desk.kill == "ACTIVE":
            assert self.desk.switched[-1] == ("resume", engaged[-1])

    @invariant()
    def nobody_resumes_alone(self) -> None:
        intents = [entry for _, entry in self.paper.entries if entry.kind is Kind.INTENT]
        approvers = {each.operation: (each.operator, each.approver) for each in intents}
        for _, operation, path in self.desk.sent:
            if path == "/resume":
                operator, approver = approvers[operation]
                assert operator is not None
                assert approver is not None
                assert approver != operator.user

    @invariant()
    def a_consent_is_used_once(self) -> None:
        codes = {
            e.operation: e.approval for _, e in self.paper.entries if e.kind is Kind.INTENT and e.approval
        }
        first = {code: operation for operation, code in reversed(codes.items())}
        for _, operation, path in self.desk.sent:
            assert operation not in codes or first[codes[operation]] == operation, path

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
                seen = {(fact, word) for at, fact, word in made.looker.looks if at >= first}
                assert PROOFS[run.procedure] <= seen

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


def _machine(number: int) -> type[TwoOperators]:
    """The machine with a seed of its own."""
    return seed(SEED + number)(type(f"TwoOperators{number}", (TwoOperators,), {}))


@pytest.mark.parametrize("batch", range(max(1, EXAMPLES // BATCH)))
def test_what_must_never_happen_does_not(batch: int) -> None:
    run_state_machine_as_test(
        _machine(batch),
        settings=settings(
            max_examples=min(EXAMPLES, BATCH),
            stateful_step_count=100 if SOAK else 50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
