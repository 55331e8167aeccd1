"""What the room makes of its own recent readings: never a number before there is enough, never better than
its inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from backends.alarms.book import AlarmBook
from backends.board.fresh import FreshReader
from backends.board.ingest import ingest_facts
from backends.board.store import Store, health_after, is_all_asked
from backends.model.fact import Absent, Broken, Finding, Found, Table, ValueType
from backends.model.query import Derivation
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.stack import ROOM, Source, SourceKind
from tests.building import fact, redis_source, stack
from tests.clock import FakeClock

OWN = Source(ROOM, SourceKind.ROOM, "the room itself", "", every=1.0, deadline=1.0)


class Desk:
    """One derived fact ``made`` over the inputs ``a`` and ``b``, polled once a second by the test."""

    def __init__(
        self,
        op: str,
        of: str = "a",
        over: float = 10.0,
        kind: ValueType = ValueType.FLOAT,
        column: str = "",
        **inputs: Any,
    ) -> None:
        self.clock = FakeClock()
        names = [fact(name, kind=ValueType.FLOAT, **inputs) for name in ("a", "b")]
        derivation = Derivation(op, tuple(of.split()), over, column)
        made = replace(fact("made", kind=kind), query=derivation, source=ROOM)
        self.stack = stack(
            facts={each.id: each for each in (*names, made)}, gates=(), echoes=(), alarms=(), services=(),
            sources={"redis": redis_source(), ROOM: OWN},
        )  # fmt: skip
        self.source = redis_source()
        self.store = Store(self.stack, self.clock, AlarmBook(self.stack, self.clock.now()), lambda: None)

    def poll(self, a: Any, b: Any = None, seconds: float = 1.0) -> Reading[Any]:
        """What ``made`` reads after a poll that found these."""
        now = self.clock.advance(seconds)
        found: dict[str, Finding] = {"a": _finding(a)} | ({} if b is None else {"b": _finding(b)})
        asked = [self.stack.facts[name] for name in found]
        readings = ingest_facts(asked, found, self.source, now, self.store.board.readings)
        health = health_after(self.store.board.sources["redis"], None, now, now)
        self.store.apply(readings, health)
        return self.store.board.readings["made"]

    def quality(self, after: float = 0.0) -> Quality:
        self.clock.advance(after)
        return self.store.board.readings["made"].quality(self.clock.now())


def _finding(said: Any) -> Finding:
    return said if isinstance(said, (Absent, Broken, Found)) else Found(said)


def test_a_fault_of_ours_in_one_derived_fact_is_a_failed_reading_of_it_alone(monkeypatch):
    desk = Desk("rate")
    desk.poll(100.0)

    def fails(*_):
        raise KeyError("secret")

    monkeypatch.setattr(desk.store.deriver, "_value", fails)
    reading = desk.poll(120.0)
    assert (reading.outcome, reading.error) == (Outcome.FAILED, "the room itself failed: KeyError")
    assert desk.store.board.readings["a"].value == 120.0


def test_a_rate_waits_until_it_can_look_back_far_enough():
    desk = Desk("rate")
    for second in range(10):
        reading = desk.poll(100.0 + 20 * second)
        assert (reading.outcome, reading.value) == (Outcome.NEVER, None)
    assert reading.error == "needs 10 s of readings, has 9 s"
    assert desk.poll(300.0).value == pytest.approx(20.0)
    assert desk.poll(300.0).value == pytest.approx(18.0)


def test_a_counter_that_began_anew_is_restarted_and_no_number_until_the_window_is_past_it():
    desk = Desk("rate", over=3.0)
    for count in (100.0, 110.0, 120.0, 130.0):
        reading = desk.poll(count)
    assert reading.value == pytest.approx(10.0)
    for count in (5.0, 500.0, 510.0):
        reading = desk.poll(count)
        assert (reading.outcome, reading.error) == (Outcome.NEVER, "restarted: its counter began anew")
    assert desk.poll(520.0).value == pytest.approx((520 - 5) / 3)


def test_how_much_was_counted_is_not_told_across_a_restart_which_would_hide_it():
    """6 before it and 4 since are no change of -2, which would pass for none."""
    desk = Desk("delta", over=2.0, kind=ValueType.INT)
    assert [desk.poll(count).value for count in (1.0, 3.0, 6.0)] == [None, None, 5]
    for count in (0.0, 4.0):
        reading = desk.poll(count)
        assert (reading.outcome, reading.error) == (Outcome.NEVER, "restarted: its counter began anew")
    assert desk.poll(5.0).value == 5


@pytest.mark.parametrize(("op", "expected"), [("median", 40.0), ("min", 30.0), ("max", 900.0)])
def test_what_looks_back_takes_all_readings_of_its_time_and_no_older_ones(op: str, expected: float):
    desk = Desk(op, over=4.0)
    for lag in (10_000.0, 30.0, 40.0, 900.0, 50.0, 35.0):
        reading = desk.poll(lag)
    assert reading.value == expected


@pytest.mark.parametrize("op", ["rate", "delta", "median", "min", "max"])
def test_what_happened_during_a_long_silence_is_not_said_to_be_of_the_seconds_looked_back_on(op: str):
    desk = Desk(op, over=4.0)
    for count in (1.0, 2.0, 3.0, 4.0, 5.0):
        assert desk.poll(count, seconds=1.0)
    assert desk.poll(5000.0, seconds=4.0).outcome is Outcome.OK, "a few polls that failed are no silence"
    reading = desk.poll(9000.0, seconds=3600.0)
    assert (reading.outcome, reading.error) == (Outcome.NEVER, "needs 4 s of readings, has 0 s")
    assert [desk.poll(9000.0).outcome for _ in range(4)] == [Outcome.NEVER] * 3 + [Outcome.OK]
    assert desk.store.board.readings["made"].value == (0.0 if op in ("rate", "delta") else 9000.0)


@pytest.mark.parametrize(
    ("op", "kind", "a", "b", "expected"),
    [
        ("minus", ValueType.FLOAT, 5.0, 7.0, -2.0),
        ("sum", ValueType.FLOAT, 5.0, 7.0, 12.0),
        ("ratio", ValueType.FLOAT, 1.0, 4.0, 0.25),
        ("same", ValueType.BOOL, 5.0, 5.0, True),
        ("same", ValueType.BOOL, SafeText("p1"), SafeText("p2"), False),
        ("minus", ValueType.INT, Table((), (), 9), 4.0, 5),
    ],
)
def test_the_newest_readings_are_put_together(op: str, kind: ValueType, a: Any, b: Any, expected: Any):
    assert Desk(op, "a b", kind=kind).poll(a, b).value == expected


def test_an_age_is_counted_from_the_time_the_answer_came():
    desk = Desk("age")
    assert desk.poll(desk.clock.now().wall - 41.0).value == pytest.approx(42.0)


@pytest.mark.parametrize(
    ("a", "outcome", "why"),
    [
        (Broken(SafeText("not JSON")), Outcome.FAILED, "a cannot be read: not JSON"),
        (Absent(), Outcome.MISSING, "a is missing"),
        (SafeText("many"), Outcome.FAILED, "a is no number"),
        (True, Outcome.FAILED, "a is no number"),
    ],
)
def test_it_is_no_better_than_its_worst_input(a: Any, outcome: Outcome, why: str):
    desk = Desk("sum", "a b")
    assert desk.poll(1.0, 2.0).value == 3.0
    reading = desk.poll(a)
    assert (reading.outcome, reading.value, reading.error) == (outcome, None, why)


def test_nothing_is_divided_by_zero_and_no_fraction_is_a_whole_number():
    assert Desk("ratio", "a b").poll(1.0, 0.0).error == "cannot be divided by zero"
    assert Desk("ratio", "a b", kind=ValueType.INT).poll(1.0, 4.0).error == "is 0.25, a whole number expected"


def test_an_input_that_was_never_read_leaves_it_unknown_but_does_not_keep_a_command_waiting():
    desk = Desk("minus", "a b")
    assert desk.poll(1.0).outcome is Outcome.NEVER
    desk.poll(1.0, 2.0)
    waiting = Desk("rate")
    waiting.poll(1.0, 2.0)
    assert waiting.store.board.readings["made"].outcome is Outcome.NEVER
    assert is_all_asked(waiting.store.board)


def test_it_is_as_old_as_its_oldest_input_and_stale_with_it():
    desk = Desk("sum", "a b")
    desk.poll(1.0, 2.0)
    for _ in range(3):
        desk.poll(1.0)
    reading = desk.store.board.readings["made"]
    assert reading.age(desk.clock.now()) == pytest.approx(3.0)
    assert desk.quality() is Quality.AGEING
    desk.poll(1.0)
    assert desk.quality() is Quality.STALE


def test_it_ages_by_its_inputs_own_timestamps_too():
    desk = Desk("sum", "a b", max_age=5.0)
    desk.poll(Found(1.0, desk.clock.now().wall - 2.5), 2.0)
    assert desk.quality() is Quality.FRESH
    assert desk.quality(after=1.2) in (Quality.FRESH, Quality.AGEING)
    assert desk.quality(after=0.4) is Quality.STALE
    desk.poll(Found(1.0, desk.clock.now().wall + 60.0), 2.0)
    assert desk.quality() is Quality.BAD


async def test_a_proof_reads_the_inputs_anew_and_may_look_back_on_what_the_room_remembers():
    desk = Desk("rate", over=3.0)
    for count in (0.0, 10.0, 20.0):
        desk.poll(count)
    desk.clock.advance(1.0)

    class Now:
        async def read(self, facts):
            return {each.id: Found(90.0) for each in facts}

        async def close(self):
            pass

    eyes = FreshReader(desk.stack, lambda _: Now(), desk.clock, deriver=desk.store.deriver)
    assert (await eyes.look("made", 1.0)).value == pytest.approx(30.0)
    alone = FreshReader(desk.stack, lambda _: Now(), desk.clock)
    assert (await alone.look("made", 1.0)).error == "needs 3 s of readings, has 0 s"


def _table(*rows: tuple[str, ...], total: int | None = None) -> Found:
    """Alerts: their id and when they were triggered."""
    cells = tuple(tuple(map(SafeText, row)) for row in rows)
    return Found(Table(("alert_id", "at"), cells, len(rows) if total is None else total))


NO_ROWS = Found(Table((), (), 0))


def _ids(reading: Reading[Any]) -> list[str]:
    assert reading.outcome is Outcome.OK, reading.error
    return [str(row[0]) for row in reading.value.rows]


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (_table(("x", ""), ("y", "")), _table(("y", "")), ["x"]),
        (_table(("x", "")), NO_ROWS, ["x"]),
        (NO_ROWS, _table(("y", "")), []),
        (_table(("x", "")), _table(("x", "")), []),
    ],
)
def test_what_one_store_has_and_another_has_not(first: Found, second: Found, left: list[str]) -> None:
    desk = Desk("without", "a b", kind=ValueType.TABLE, column="alert_id")
    assert _ids(desk.poll(first, second)) == left


def test_the_age_of_a_table_is_that_of_its_earliest_time_and_there_is_none_without_a_row() -> None:
    desk = Desk("age", "a b", column="at")
    stamps = [datetime.fromtimestamp(desk.clock.now().wall - ago, UTC).isoformat() for ago in (5, 41, 7)]
    rows = _table(*((f"x{number}", stamp) for number, stamp in enumerate(stamps)))
    assert desk.poll(rows, 1.0).value == pytest.approx(42.0)
    for a, b in ((NO_ROWS, 1.0), (rows, Absent())):
        assert desk.poll(a, b).outcome is Outcome.MISSING
    odd = desk.poll(_table(("x", "yesterday")), 1.0)
    assert (odd.outcome, odd.error) == (Outcome.FAILED, "yesterday is no time")


def test_two_stores_differ_only_in_what_was_otherwise_in_both_all_the_time() -> None:
    desk = Desk("differs", "a b", over=10.0, kind=ValueType.TABLE, column="alert_id")
    mine, theirs = _table(("x", "1"), ("y", "2"), ("z", "3")), _table(("x", "1"), ("z", "4"), ("other", "9"))
    for second in range(10):
        waiting = desk.poll(mine, theirs)
        assert (waiting.outcome, waiting.error) == (Outcome.NEVER, f"needs 10 s of readings, has {second} s")
    lasting = desk.poll(mine, theirs).value
    assert [tuple(map(str, row)) for row in lasting.rows] == [("y", "2", "0"), ("z", "3", "4")]
    assert lasting.columns == ("alert_id", "at", "at")
    # What is the same once in between was only read in turn; its values may change meanwhile.
    assert _ids(desk.poll(_table(("y", "7"), ("z", "4")), theirs)) == ["y"]
    assert _ids(desk.poll(mine, theirs)) == ["y"]
    assert _ids(desk.poll(NO_ROWS, theirs)) == []


def test_a_poll_that_failed_ends_no_comparison_but_a_silence_as_long_as_it_takes_does() -> None:
    desk = Desk("differs", "a b", over=3.0, kind=ValueType.TABLE, column="alert_id")
    desk.poll(_table(("x", "1")), NO_ROWS)
    assert desk.poll(Broken(SafeText("gone")), NO_ROWS).outcome is Outcome.FAILED
    assert desk.poll(_table(("x", "1")), NO_ROWS).outcome is Outcome.NEVER
    assert _ids(desk.poll(_table(("x", "1")), NO_ROWS)) == ["x"]
    assert desk.poll(_table(("x", "1")), NO_ROWS, seconds=3.5).outcome is Outcome.NEVER


def test_tables_that_were_not_read_whole_are_not_compared() -> None:
    desk = Desk("without", "a b", kind=ValueType.TABLE, column="alert_id")
    cut = desk.poll(_table(("x", "")), _table(("y", ""), total=500))
    assert (cut.outcome, "only 1 were read" in str(cut.error)) == (Outcome.FAILED, True)
    unread = desk.poll(_table(("x", "")), Broken(SafeText("gone")))
    assert unread.outcome is Outcome.FAILED


def test_what_is_older_than_the_last_start() -> None:
    desk = Desk("before", "a b", kind=ValueType.TABLE, column="at")
    old, new = ("x", "1970-01-01T00:01:40Z"), ("y", "1970-01-01T00:03:20.5+00:00")
    assert _ids(desk.poll(_table(old, new), 150.0)) == ["x"]
    old, new = ("x", "1768212000.25"), ("y", "1768212002")
    assert _ids(desk.poll(_table(old, new), 1768212001.0)) == ["x"]
    for odd in ("yesterday", "1970-01-01T00:01:40", "1768212000530"):
        assert desk.poll(_table(("z", odd)), 150.0).outcome is Outcome.FAILED
