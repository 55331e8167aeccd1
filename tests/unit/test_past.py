"""A halt is as old as a clock says that nobody can set: setting the host's clock forward resumes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import Entry, Kind, Session, body
from backends.journal.tail import NotYetError
from backends.model.condition import Condition
from backends.model.fact import ValueType
from backends.model.intent import Identity
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Reading
from backends.model.weigh import Weighed, weigh
from backends.procedures.past import Past
from tests.building import fact, failed, missing, ok, stack
from tests.clock import FakeClock

LONG = Condition("long", "kill.at", "The halt is younger than 60 s", min_age=60.0)
AT = fact("kill.at", kind=ValueType.TIME)
SPEC = stack(
    facts={AT.id: AT},
    procedures={"go": Procedure("go", "Go", RiskClass.RESTORE, "Goes.", (), "by hand", (), requires=(LONG,))},
)
KIM = Identity("kim", 1000, "ops1")


class Room:
    """One process on the host: what it reads of a halt, and what it then says of its age."""

    def __init__(
        self,
        clock: FakeClock,
        pages: list[Mapping[str, Any]],
        boot: str = "b1",
        read: Callable[[], list[Mapping[str, Any]]] | None = None,
    ) -> None:
        self.clock = clock
        self.pages = pages
        self._boot = boot
        self._past = Past(SPEC, read or (lambda: list(pages)), KIM.host, boot)

    def write(self, **changes: Any) -> None:
        """Something is journalled; what does not matter."""
        record = body(
            Entry(Kind.NOTE, "x", stack="tiny"), Session(KIM, "1", boot=self._boot), self.clock.now()
        )
        self.pages.append({**record, **changes})

    def read(self, halted: float) -> Reading[Any]:
        return self._past.dated({AT.id: ok(AT.id, halted, self.clock.now())})[AT.id]

    def weighed(self, halted: float) -> Weighed:
        return weigh(LONG, AT, self.read(halted), self.clock.now())

    def lose(self, reading: Reading[Any]) -> None:
        self._past.dated({AT.id: reading})


@pytest.fixture
def room(fake_clock: FakeClock) -> Room:
    return Room(fake_clock, [])


def test_a_halt_that_was_seen_to_begin_may_end_after_its_minute(room: Room) -> None:
    halted = room.clock.now().wall
    assert not room.weighed(halted).holds
    room.clock.advance(59.0)
    assert not room.weighed(halted).holds
    room.clock.advance(1.0)
    assert room.weighed(halted).holds


def test_a_clock_set_forward_makes_no_halt_older(room: Room) -> None:
    halted = room.clock.now().wall
    room.weighed(halted)
    room.clock.advance(10.0)
    room.clock.step_wall(3600.0)
    said = room.weighed(halted)
    assert not said.holds
    assert str(said.text) == (
        "this room has watched it for only 10 of 60 s; its own time, 3610 s ago, can be set: wait 50 s"
    )
    room.clock.advance(50.0)
    assert room.weighed(halted).holds


def test_a_clock_set_back_makes_it_younger_and_never_older(room: Room) -> None:
    halted = room.clock.now().wall
    room.weighed(halted)
    room.clock.advance(100.0)
    room.clock.step_wall(-90.0)
    said = room.weighed(halted)
    assert (said.holds, str(said.text)) == (False, "reads 10 s ago")


def test_between_two_reads_the_age_grows_by_the_monotonic_clock(room: Room) -> None:
    reading = replace(room.read(room.clock.now().wall), period=100.0)
    room.clock.advance(61.0)
    assert weigh(LONG, AT, reading, room.clock.now()).holds


def test_a_newer_halt_begins_a_minute_of_its_own(room: Room) -> None:
    halted = room.clock.now().wall
    room.weighed(halted)
    room.clock.advance(300.0)
    room.clock.step_wall(3600.0)
    assert not room.weighed(halted + 200.0).holds
    room.clock.advance(60.0)
    assert room.weighed(halted + 200.0).holds


@pytest.mark.parametrize(
    ("lost", "is_kept"),
    [(failed(AT.id), True), (missing(AT.id), False)],
    ids=["it could not be read meanwhile", "its key was gone meanwhile"],
)
def test_what_was_gone_meanwhile_is_seen_for_the_first_time(
    room: Room, lost: Reading[Any], is_kept: bool
) -> None:
    halted = room.clock.now().wall - 1000.0
    room.weighed(halted)
    room.clock.advance(61.0)
    room.lose(lost)
    assert room.weighed(halted).holds is is_kept


def test_a_room_that_starts_anew_knows_from_the_journal_what_the_one_before_it_knew(room: Room) -> None:
    halted = room.clock.now().wall
    room.clock.advance(2.0)
    room.write()
    room.clock.advance(30.0)
    room.clock.step_wall(3600.0)
    assert not Room(room.clock, room.pages).weighed(halted).holds
    room.clock.advance(30.0)
    assert Room(room.clock, room.pages).weighed(halted).holds


@pytest.mark.parametrize(
    "record",
    [{"boot": "b0"}, {"boot": ""}, {"host": "ops2"}, {"at": "?"}, {"mono": "?"}],
    ids=["before the host was started", "of an unknown boot", "on another host", "of no time", "no clock"],
)
def test_a_record_that_says_nothing_of_this_hosts_clock_is_no_witness(
    room: Room, record: dict[str, Any]
) -> None:
    halted = room.clock.now().wall - 1000.0
    room.write(**record)
    room.clock.advance(100.0)
    assert not room.weighed(halted).holds


def test_a_host_that_tells_no_boot_has_no_witness_but_the_room_itself(fake_clock: FakeClock) -> None:
    room = Room(fake_clock, [], boot="")
    halted = room.clock.now().wall - 1000.0
    room.write()
    room.clock.advance(100.0)
    assert not room.weighed(halted).holds


def test_a_record_from_while_the_clock_was_wrong_does_not_make_a_later_halt_older(room: Room) -> None:
    """The clock was an hour ahead, then set right; then came the halt; then it is set ahead again."""
    room.clock.step_wall(3600.0)
    room.write()
    room.clock.step_wall(-3600.0)
    room.clock.advance(100.0)
    room.write()
    room.clock.advance(100.0)
    halted = room.clock.now().wall
    room.clock.advance(10.0)
    room.write()
    room.clock.step_wall(3600.0)
    room.clock.advance(20.0)
    assert not room.weighed(halted).holds
    room.clock.advance(40.0)
    assert room.weighed(halted).holds


@pytest.mark.parametrize("fault", [OSError("gone"), NotYetError()], ids=["cannot be read", "is still read"])
def test_a_journal_is_no_witness_until_it_can_be_read(fake_clock: FakeClock, fault: Exception) -> None:
    pages, faults = list[Mapping[str, Any]](), [fault, fault]

    def read() -> list[Mapping[str, Any]]:
        if faults:
            raise faults.pop()
        return pages

    room = Room(fake_clock, pages, read=read)
    halted = room.clock.now().wall - 1000.0
    room.write()
    room.clock.advance(100.0)
    assert [room.weighed(halted).holds for _ in range(3)] == [False, False, True]


def test_a_time_of_which_no_procedure_demands_it_is_left_as_it_is(fake_clock: FakeClock) -> None:
    other = ok("other.at", fake_clock.now().wall - 1000.0, fake_clock.now())
    assert Past(SPEC, list, KIM.host, "b1").dated({"other.at": other}) == {"other.at": other}


def test_what_never_happened_is_no_young_halt_where_the_file_allows_that_it_is_missing(room: Room) -> None:
    either = replace(LONG, is_missing=True)
    now = room.clock.now()
    assert weigh(either, AT, missing(AT.id, now), now).holds
    assert not weigh(LONG, AT, missing(AT.id, now), now).holds
    assert weigh(either, AT, room.read(now.wall), now).lacks == 60.0
    room.clock.advance(60.0)
    assert weigh(either, AT, room.read(now.wall), room.clock.now()).holds
