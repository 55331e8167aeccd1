"""What tells no time is as old as this room has seen it stand, answer after answer, with no stop between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.board import SERVICE
from backends.model.condition import Condition, Param
from backends.model.procedure import Procedure, RiskClass, Run, Verdict
from backends.model.reading import Reading
from backends.model.service import Health, RunState
from backends.model.weigh import Weighed, weigh
from backends.procedures.unchanged import Unchanged
from tests.building import fact, failed, missing, ok, running, stack
from tests.clock import FakeClock

MODE = fact("mode")
LONG = Condition("long", "mode", "Not halted for 60 s", equals=("halt", "paper"), unchanged_for=60.0)
ENGINE = SERVICE + "engine"
BOTS = Param("bot", "Bot", one_of=("a", "b"))
CHOSEN = Condition("chosen", "$bot.state", "Too young", unchanged_for=60.0)
GONE = Condition("gone", ENGINE, "Not gone for 60 s", is_missing=True, unchanged_for=60.0)
GO = Procedure(
    "go", "Go", RiskClass.RESTORE, "Goes.", (), "by hand", (),
    params=(BOTS,), requires=(LONG, GONE, CHOSEN),
)  # fmt: skip
SPEC = stack(facts={MODE.id: MODE}, procedures={GO.id: GO})


class Room:
    """One process, which asks once a second."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.runs: list[Run] = []
        self._unchanged = Unchanged(SPEC, lambda: self.runs)

    def take(self, reading: Reading[Any]) -> Reading[Any]:
        return self._unchanged.dated({reading.key: reading})[reading.key]

    def reads(self, word: str) -> Weighed:
        return self.weighed(ok(MODE.id, word, self.clock.now()))

    def weighed(self, reading: Reading[Any], condition: Condition = LONG) -> Weighed:
        return weigh(condition, MODE, self.take(reading), self.clock.now())

    def watch(self, seconds: int, word: str = "halt") -> Weighed:
        """For so long, with an answer a second."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            said = self.reads(word)
        return said

    def stop(self, **changes: Any) -> None:
        """A stop began and ended now."""
        now = self.clock.now()
        run = Run("op", SPEC.id, "halt", "Halt", now, (), Verdict.ALREADY, ended=now)
        self.runs.append(replace(run, **changes))


@pytest.fixture
def room(fake_clock: FakeClock) -> Room:
    return Room(fake_clock)


def test_a_halt_that_was_watched_for_59_seconds_is_too_young_and_one_of_60_is_not(room: Room) -> None:
    assert not room.reads("halt").holds
    young = room.watch(59)
    assert (young.holds, young.lacks) == (False, 1.0)
    assert str(young.text) == "reads halt, seen so by this room, and no stop since, for only 59 of 60 s"
    old = room.watch(1)
    assert (old.holds, str(old.text)) == (True, "reads halt, for 60 s and more")


def test_a_room_that_starts_anew_believes_in_no_halt_it_has_not_seen(room: Room) -> None:
    room.reads("halt")
    assert room.watch(600).holds
    anew = Room(room.clock)
    assert (anew.reads("halt").lacks, anew.watch(59).holds, anew.watch(1).holds) == (60.0, False, True)


def test_setting_the_clock_makes_no_halt_older(room: Room) -> None:
    room.reads("halt")
    room.watch(30)
    room.clock.step_wall(3600.0)
    assert room.watch(29).lacks == 1.0


def test_another_word_begins_the_count_again_also_one_that_would_do(room: Room) -> None:
    room.reads("paper")
    assert room.watch(60, "paper").holds
    assert room.watch(1, "halt").lacks == 60.0
    room.watch(30)
    room.watch(1, "auto")
    assert room.watch(1).lacks == 60.0


def silent(room: Room) -> None:
    room.take(failed(MODE.id, at=room.clock.now()))


def gone(room: Room) -> None:
    room.take(missing(MODE.id, at=room.clock.now()))


def late(room: Room) -> None:
    room.clock.advance(3.1)


@pytest.mark.parametrize("gap", [silent, gone, late])
def test_what_nobody_saw_for_a_moment_may_have_been_another(room: Room, gap: Callable[[Room], None]) -> None:
    room.reads("halt")
    room.watch(59)
    gap(room)
    assert room.watch(1).lacks == 60.0


def test_an_answer_that_is_late_by_less_than_it_may_be_breaks_nothing(room: Room) -> None:
    room.reads("halt")
    room.watch(58)
    room.clock.advance(1.9)
    assert room.watch(1).holds


def test_what_comes_between_two_answers_is_not_counted(room: Room) -> None:
    room.reads("halt")
    room.watch(58)
    last = room.take(ok(MODE.id, "halt", room.clock.now()))
    room.clock.advance(2.0)
    assert weigh(LONG, MODE, last, room.clock.now()).lacks == 2.0


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({}, 50.0),
        ({"room": "lee on /dev/pts/3"}, 50.0),
        ({"verdict": Verdict.UNCONFIRMED}, 50.0),
        ({"verdict": None, "ended": None}, 60.0),
        ({"verdict": Verdict.REFUSED}, None),
        ({"is_dry": True}, None),
        ({"risk": RiskClass.RESTORE}, None),
    ],
    ids=["again", "by another room", "not confirmed", "at work", "refused", "a dry run", "no stop"],
)
def test_a_stop_of_what_is_halted_already_begins_the_count_again(
    room: Room, changes: dict[str, Any], lacks: float | None
) -> None:
    room.reads("halt")
    room.watch(100)
    room.stop(**changes)
    assert room.watch(10).lacks == lacks


def test_what_is_not_there_may_have_been_away_for_long_enough_where_that_is_the_demand(room: Room) -> None:
    def looks(seconds: float) -> Weighed:
        room.clock.advance(seconds)
        return room.weighed(replace(missing(ENGINE, at=room.clock.now()), period=60.0), GONE)

    assert [looks(0.0).holds, looks(59.0).holds, looks(1.0).holds] == [False, False, True]


def test_a_service_is_told_by_its_word_and_not_by_its_figures(room: Room) -> None:
    def looks(**said: Any) -> Weighed:
        service = replace(running("engine").value, **said)
        room.clock.advance(30.0)
        reading = replace(ok(ENGINE, service, room.clock.now()), period=60.0)
        return room.weighed(reading, replace(GONE, is_missing=False))

    first, second, third = looks(), looks(restarts=3), looks()
    assert (first.lacks, second.lacks, third.holds) == (60.0, 30.0, True)
    assert looks(health=Health.NO_CHECK, state=RunState.EXITED).lacks == 60.0


def test_what_depends_on_a_choice_is_watched_for_each_that_can_be_made(room: Room) -> None:
    readings = {key: ok(key, "stopped", room.clock.now()) for key in ("a.state", "b.state", "c.state")}
    watched = {key: room.take(each).unchanged_at_least for key, each in readings.items()}
    assert watched == {"a.state": 0.0, "b.state": 0.0, "c.state": None}


def test_without_anybody_who_watches_it_never_holds_and_no_waiting_helps(room: Room) -> None:
    said = weigh(LONG, MODE, ok(MODE.id, "halt", room.clock.now()), room.clock.now())
    assert (said.holds, said.is_well) == (False, False)
    assert "nobody watches" in said.text


def test_what_no_procedure_demands_that_of_is_left_as_it_is(room: Room) -> None:
    other = ok("other", "x", room.clock.now())
    assert room.take(other) is other
