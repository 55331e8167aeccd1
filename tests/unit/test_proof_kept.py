"""What is to be kept must not be less than an earlier step of the same run read of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from backends.model.action import Observe, Wait
from backends.model.procedure import Procedure, Proof, RiskClass, Run, Step, Verdict
from backends.model.reading import Outcome, Reading
from backends.procedures.evidence import Evidence, Eyes, Sight, with_floors
from tests.building import fact, ok
from tests.clock import FakeClock
from tests.sim.desk import Desk, asked, office
from tests.sim.virtual import simulate

NOTED = Proof("stream.fills", at_least=0, is_missing=True)
KEPT = Proof("stream.fills", kept="noted")


class Lengths:
    """One answer after the other: a number, None where there is no such key, an error's words."""

    def __init__(self, clock: FakeClock, *answers: float | str | None) -> None:
        self._clock = clock
        self._answers = list(answers)

    async def look(self, key: str, within: float) -> Reading[Any]:
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise TimeoutError
        if answer is None:
            return Reading(key, "redis", Outcome.MISSING, self._clock.now(), 1.0)
        return ok(key, answer, self._clock.now())


def seen(*answers: float | str | None) -> Evidence:
    """The second look, after the first one noted what there was."""

    async def go() -> Evidence:
        clock = FakeClock()
        eyes = Eyes(Lengths(clock, *answers), {"stream.fills": fact("stream.fills")}, clock)
        known = {"noted": await eyes.look([NOTED], 1.0)}
        (found,) = await eyes.look(with_floors([KEPT], known), 1.0)
        return found

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("answers", "sight", "says"),
    [
        ((120, 120), Sight.HOLDS, "reads 120, 120 before"),
        ((120, 121), Sight.HOLDS, "reads 121, 120 before"),
        ((120, 119), Sight.CONTRARY, "reads 119, 120 before"),
        ((120, None), Sight.CONTRARY, "is missing, 120 before"),
        ((120, "late"), Sight.UNSEEN, "could not be read"),
        ((None, None), Sight.HOLDS, "is missing, 0 before"),
        ((None, 3), Sight.HOLDS, "reads 3, 0 before"),
        (("late", 3), Sight.UNSEEN, "reads 3; not known what it was before"),
        (("late", None), Sight.UNSEEN, "is missing; not known what it was before"),
    ],
)
def test_less_than_before_is_contrary_and_what_is_not_known_proves_nothing(
    answers: Sequence[float | str | None], sight: Sight, says: str
) -> None:
    found = seen(*answers)
    assert found.sight is sight and says in found.text


COUNTED = Procedure(
    "count", "Count what is open", RiskClass.ROUTINE, "Counts.", (), "by hand",
    (
        Step("noted", "Note it", Observe(), (Proof("orders.open", at_least=0),)),
        Step("wait", "Wait", Wait(5.0), ()),
        Step("kept", "Compare", Observe(), (Proof("orders.open", kept="noted"),)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("after", "is_whole"), [(3, True), (2, False)])
def test_a_run_in_which_it_shrank_is_not_verified_and_both_numbers_are_on_record(
    after: int, is_whole: bool
) -> None:
    made = office(Desk(orders=3), procedures={"count": COUNTED})

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("count")))
        await asyncio.sleep(2.0)
        made.desk.orders = after
        return await task

    run = simulate(go())
    assert (run.verdict is Verdict.VERIFIED) is is_whole, run.sentence
    record = str([entry for _, entry in made.paper.entries])
    assert "orders.open reads 3" in record and f"orders.open reads {after}, 3 before" in record
