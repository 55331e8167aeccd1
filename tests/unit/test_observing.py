"""A real run by command waits for what time alone brings, and for nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from msgspec.structs import replace

from backends.engine import Engine
from backends.model.board import Board
from backends.model.condition import Condition
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.trading import Trading, TradingState
from backends.model.weigh import weigh
from backends.procedures.admission import HELD
from tests.building import fact, ok, stack
from tests.clock import FakeClock
from tui.commands.dry_report import objections
from tui.commands.planned import MARGIN, hold

MODE = fact("mode")
LONG = Condition("long", "mode", "The halt is too young", equals=("halt",), unchanged_for=60.0)
CALM = Procedure(
    "resume", "Resume", RiskClass.RESTORE, "Resumes.", (), "by hand", (), requires=(LONG,), held_for=30.0
)
SPEC = stack(facts={MODE.id: MODE}, procedures={CALM.id: CALM})


class Room:
    """A room that was just opened, and whoever waits before it: waiting is what makes time pass."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.word: Callable[[float], str] = lambda _seconds: "halt"
        self.seen_before = 0.0
        self._opened = clock.now()
        self.told: list[str] = []

    @property
    def waited(self) -> float:
        return self.clock.now().since(self._opened)

    def reading(self) -> Reading[Any]:
        made = ok(MODE.id, self.word(self.waited), self.clock.now())
        return replace(made, unchanged_at_least=self.seen_before + self.waited)

    def board(self, _stack: str) -> Board:
        now = self.clock.now()
        trading = Trading(TradingState.HALTED, SafeText("x"), now, now)
        readings = {MODE.id: self.reading()}
        return Board(SPEC.id, 1, now, SPEC.environment, readings=readings, sources={}, trading=trading)

    def hold(self, procedure: Procedure = CALM) -> float:
        """Seconds for which it was observed."""
        hold(cast(Engine, self), SPEC, procedure, {}, _Leave(self.clock), self.told.append)
        return self.waited


class _Leave(threading.Event):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def room(fake_clock: FakeClock) -> Room:
    return Room(fake_clock)


def test_a_new_room_observes_until_the_halt_is_old_enough_to_its_own_knowledge(room: Room) -> None:
    assert room.hold() == 60.0
    assert room.told[0].startswith("Observing for 60 s that everything stays well")


def test_where_the_halt_is_old_it_observes_for_the_calm_alone(room: Room) -> None:
    room.seen_before = 500.0
    assert room.hold() == CALM.held_for + MARGIN


def test_what_is_not_so_is_not_waited_for(room: Room) -> None:
    room.word = lambda seconds: "halt" if seconds < 7.0 else "auto"
    assert room.hold() == 7.0


def test_what_takes_longer_than_a_plan_is_good_for_is_not_waited_for(room: Room) -> None:
    assert room.hold(replace(CALM, requires=(replace(LONG, unchanged_for=180.0),))) == 0.0


def test_what_demands_no_time_is_begun_at_once(room: Room) -> None:
    plain = replace(CALM, held_for=0.0, requires=(replace(LONG, unchanged_for=None),))
    assert (room.hold(plain), room.told) == (0.0, [])


def test_a_dry_run_passes_over_what_a_real_run_waits_for_and_names_the_rest(room: Room) -> None:
    weighed = weigh(LONG, MODE, room.reading(), room.clock.now())
    said = (str(weighed.sentence), f"{HELD} 30 s without a break", "Redis is gone")
    run = cast(Any, type("Run", (), {"blockers": said}))
    assert objections(run, [weighed]) == ["Redis is gone"]
    room.word = lambda _seconds: "auto"
    wrong = weigh(LONG, MODE, room.reading(), room.clock.now())
    assert objections(run, [wrong]) == [said[0], "Redis is gone"]
