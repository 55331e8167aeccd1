"""Calm is counted while nothing is wrong: what lacks nothing but time breaks none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.condition import Condition
from backends.model.safetext import SafeText
from backends.model.weigh import Standing, Weighed
from backends.procedures.conditions import GAP, Holding
from tests.clock import FakeClock

DEMAND = Condition("one", "fact", "It is not so")
WELL = Weighed(DEMAND, Standing.HOLDS, SafeText("reads so"))
YOUNG = Weighed(DEMAND, Standing.FAILS, SafeText("for only 9 of 60 s"), lacks=51.0)


def held(clock: FakeClock, *seen: Weighed, apart: float = 1.0) -> float:
    holding = Holding()
    for each in seen:
        clock.advance(apart)
        holding.note("resume", [WELL, each], clock.now())
    return holding.held("resume", clock.now())


def test_calm_begins_before_a_halt_is_old_enough(fake_clock: FakeClock) -> None:
    assert held(fake_clock, WELL, YOUNG, YOUNG, WELL) == 3.0


@pytest.mark.parametrize("standing", [Standing.FAILS, Standing.STALE, Standing.UNKNOWN])
def test_whatever_else_is_not_so_begins_it_anew(fake_clock: FakeClock, standing: Standing) -> None:
    wrong = Weighed(DEMAND, standing, SafeText("?"))
    assert held(fake_clock, WELL, WELL, wrong, WELL, WELL) == 1.0
    assert held(fake_clock, WELL, WELL, wrong) == 0.0


def test_without_a_look_for_a_while_nobody_can_say(fake_clock: FakeClock) -> None:
    assert held(fake_clock, WELL, WELL, apart=GAP) == GAP
    assert held(fake_clock, WELL, WELL, apart=GAP + 0.1) == 0.0


def test_a_look_that_failed_is_no_look(fake_clock: FakeClock) -> None:
    def broken() -> Iterator[Weighed]:
        yield WELL
        raise ZeroDivisionError

    holding = Holding()
    holding.note("resume", [WELL], fake_clock.now())
    for _ in range(3):
        fake_clock.advance(2.0)
        with pytest.raises(ZeroDivisionError):
            holding.note("resume", broken(), fake_clock.now())
    assert holding.held("resume", fake_clock.now()) == 0.0
