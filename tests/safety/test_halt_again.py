"""A stop is kept from acting neither by our own trouble nor by a run that is over, and undoes no resume."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

import backends.procedures.admission as admission
import backends.procedures.runner as runner
from backends.model.procedure import Run, Verdict
from tests.sim.desk import Desk, asked, office
from tests.sim.virtual import simulate
from tests.sim.world import Room, intent, room


def pressed_twice(made: Room) -> tuple[Run, Run]:
    """A halt, and another as soon as the first has its verdict, while its journal is still slow."""

    async def press() -> tuple[Run, Run]:
        first = asyncio.create_task(made.procedures.execute(intent("op-1")))
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if any(run.verdict for run in made.runs):
                break
        assert not first.done()
        for service in made.services.values():
            service.fault = "ok"
        second = await made.procedures.execute(intent("op-2"))
        ended = await first
        await asyncio.sleep(8.0)
        assert made.procedures.running("halt") is None
        await made.procedures.close()
        return ended, second

    return simulate(press())


def test_a_halt_pressed_after_a_failed_verdict_is_a_run_of_its_own() -> None:
    first, second = pressed_twice(room("refuse", "refuse", takes=5.0))
    assert (first.operation, first.verdict) == ("op-1", Verdict.FAILED)
    assert second.operation == "op-2"
    assert second.verdict in (Verdict.VERIFIED, Verdict.ALREADY)


def raises(*_: Any, **__: Any) -> Any:
    raise IndexError("secret-4711")


@pytest.mark.parametrize(("module", "name"), [(runner, "preflight"), (admission, "make_plan")])
def test_a_fault_in_preparing_a_stop_does_not_keep_it_from_acting(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    monkeypatch.setattr(module, name, raises)
    made = room()

    async def press() -> Run:
        run = await made.procedures.execute(intent())
        await made.procedures.close()
        return run

    run = simulate(press())
    assert run.verdict is Verdict.VERIFIED
    assert made.world.is_halted
    texts = [entry.text for _, entry in made.paper.entries]
    assert any("a fault in this program while preparing: IndexError" in text for text in texts)
    assert "secret-4711" not in str(made.paper.entries)


def test_a_resume_ends_what_an_earlier_stop_still_tries() -> None:
    desk = Desk(kill="ENGAGED", breaker="OPEN")
    # The halt's answer is lost and cannot be read back: it goes on trying for a minute.
    made = office(desk, {"/engage": "dropped"}, {"kill.state": "failed"})
    requires = tuple(
        each for each in made.procedures._stack.procedures["resume"].requires if each.id in ("no-orders",)
    )
    stack = made.procedures._stack
    procedures: Mapping[str, Any] = {
        **stack.procedures, "resume": replace(stack.procedures["resume"], requires=requires),
    }  # fmt: skip
    made.procedures._stack = replace(stack, procedures=procedures, is_single_operator=True)

    async def both() -> Run:
        stopped = await made.procedures.execute(asked("halt", id="op-1", phrase=None, challenge=None))
        assert stopped.verdict is Verdict.UNCONFIRMED
        made.looker.faults.clear()
        made.wire.faults.clear()
        resumed = await made.procedures.execute(asked("resume", id="op-2"))
        await asyncio.sleep(70.0)
        await made.procedures.close()
        return resumed

    resumed = simulate(both())
    assert resumed.verdict is Verdict.VERIFIED, resumed.sentence
    assert desk.kill == "ACTIVE", desk.effects
