"""Single looks for a dialog: what no poll brings is there while it is waited for, and asked in measure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.checks.desk import CheckDesk
from backends.checks.examiner import Examiner
from backends.model.action import Observe
from backends.model.condition import Condition
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tests.building import KILL, LOSS, stack
from tests.clock import FakeClock
from tests.pilot.fake_desk import FakeDesk
from tests.pilot.world import fresh
from tui.looks import looked_up, on_demand
from tui.moment import Moment

ASKED = replace(LOSS, on_demand=True)
PROCEDURE = Procedure(
    "mend", "Mend it", RiskClass.DEGRADE, "Something is mended.", (), "By hand.",
    steps=(Step("one", "Look", Observe(), (Proof("kill.state", ("ACTIVE",)),)),),
    requires=(
        Condition("few", "loss", "Too much was lost", at_most=5), Condition("k", "kill.state", "Halted"),
    ),
)  # fmt: skip


def made() -> Stack:
    return stack(facts={"kill.state": KILL, "loss": ASKED})


class SlowLooks:
    """Answers when it is let; counts what it is asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self._clock = clock

    async def look_all(self, keys: Iterable[str], longest: float) -> Mapping[str, Reading[Any]]:
        self.asked.append(sorted(keys))
        await self.may_answer.wait()
        now = self._clock.now()
        return {key: Reading(key, "redis", Outcome.OK, now, 4.0, value=1.0) for key in self.asked[-1]}


def desk_of(looks: SlowLooks, clock: FakeClock, folder: Path) -> CheckDesk:
    """On this very loop, without a journal."""
    return CheckDesk(
        made(), Examiner(made(), looks, clock), (None, folder), lambda: None,  # type: ignore[arg-type]  # unused here
        clock, None, lambda work, *values: work(*values), lambda: None,
    )  # fmt: skip


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_fact_is_looked_up_once_and_again_after_half_its_period(tmp_path: Path) -> None:
    clock = FakeClock()
    looks = SlowLooks(clock)
    desk = desk_of(looks, clock, tmp_path)
    for _ in range(3):
        desk.look(["loss"])
        await settle()
    assert looks.asked == [["loss"]]
    looks.may_answer.set()
    await settle()
    assert desk.looked["loss"].value == 1.0
    clock.advance(1.9)
    desk.look(["loss"])
    await settle()
    assert len(looks.asked) == 1
    clock.advance(0.2)
    desk.look(["loss"])
    await settle()
    assert len(looks.asked) == 2


async def test_a_check_goes_on_when_the_screen_that_waited_for_it_is_closed(tmp_path: Path) -> None:
    clock = FakeClock()
    looks = SlowLooks(clock)
    desk = desk_of(looks, clock, tmp_path)
    asked = desk.read_journal()
    waiting = asyncio.wrap_future(asked)
    waiting.cancel()
    await settle()
    assert not asked.cancelled()
    assert await asyncio.wrap_future(asked) == {}


def test_a_dialog_sees_what_was_looked_up_and_only_what_it_needs() -> None:
    assert on_demand(made(), PROCEDURE) == ("loss",)
    clock = FakeClock()
    desk = FakeDesk(clock)
    moment = Moment(made(), fresh(clock.now()), clock.now())
    assert looked_up(moment, PROCEDURE, desk).board.readings == moment.board.readings
    reading = Reading("loss", "redis", Outcome.OK, clock.now(), 1.0, value=SafeText("1"))
    desk.there["loss"] = reading
    assert looked_up(moment, PROCEDURE, desk).board.readings["loss"] is reading
    assert "loss" not in moment.board.readings
