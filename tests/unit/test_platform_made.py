"""What the room makes of two of the platform's stores together, and the alarms that come of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from backends.alarms.book import AlarmBook
from backends.board.store import Store, health_after
from backends.model.fact import Level, Table
from backends.model.judge import judge
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.stacks.loader import built_in, load_stack
from tests.building import missing, ok
from tests.clock import FakeClock


class Board:
    """The platform's board, on which only what a test reads was ever read."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stack = load_stack(built_in()["trading-platform"])
        self.store = Store(self.stack, self.clock, AlarmBook(self.stack, self.clock.now()), lambda: None)

    def read(self, seconds: float = 1.0, **values: Any) -> set[str]:
        """The alarms after a poll that found these facts so; None: no such thing."""
        now = self.clock.advance(seconds)
        readings = {}
        named = {name.replace("_", ".", 1).replace("__", "_"): value for name, value in values.items()}
        for name, value in named.items():
            made = missing(name, now) if value is None else ok(name, value, now)
            readings[name] = replace(made, period=10.0)
        self.store.apply(readings, health_after(self.store.board.sources["redis"], None, now, now))
        return {alarm.id for alarm in self.store.board.alarms}

    def made(self, name: str) -> Reading[Any]:
        return self.store.board.readings[name]

    def level(self, name: str) -> Level:
        return judge(self.stack.facts[name], self.made(name), self.clock.now())

    def ago(self, seconds: float) -> str:
        return datetime.fromtimestamp(self.clock.now().wall - seconds, UTC).isoformat()


def table(*columns: str, rows: list[tuple[str, ...]]) -> Table:
    return Table(columns, tuple(tuple(map(SafeText, row)) for row in rows), len(rows))


@pytest.mark.parametrize(
    ("oldest", "session", "level", "is_alarm"),
    [
        (20.0, True, Level.OK, False),
        (40.0, True, Level.WARN, True),
        (40.0, None, Level.INFO, False),
    ],
)
def test_the_oldest_price_counts_in_trading_hours(
    oldest: float, session: bool | None, level: Level, is_alarm: bool
) -> None:
    board = Board()
    prices = table("symbol", "timestamp", rows=[("AAPL", board.ago(oldest)), ("MSFT", board.ago(1.0))])
    held = table("symbol", rows=[("AAPL",), ("MSFT",)])
    assert (
        "prices-old" in board.read(feed_session=session, feed_prices=prices, positions_held=held)
    ) is is_alarm
    assert board.level("feed.age") is level


def test_the_old_price_of_what_is_not_held_is_nothing_to_tell() -> None:
    board = Board()
    prices = table("symbol", "timestamp", rows=[("AAPL", board.ago(90.0)), ("MSFT", board.ago(1.0))])
    held = table("symbol", rows=[("MSFT",)])
    assert "prices-old" not in board.read(feed_session=True, feed_prices=prices, positions_held=held)
    assert board.level("feed.age") is Level.OK
    assert "prices-old" not in board.read(positions_held=Table((), (), 0))
    assert board.level("feed.age") is Level.INFO


def test_a_price_whose_time_cannot_be_read_is_not_young() -> None:
    board = Board()
    prices = table("symbol", "timestamp", rows=[("AAPL", "soon")])
    board.read(feed_session=True, feed_prices=prices, positions_held=table("symbol", rows=[("AAPL",)]))
    assert board.level("feed.age") is Level.UNKNOWN


def test_what_is_held_without_a_price_is_named() -> None:
    board = Board()
    held = table("symbol", rows=[("AAPL",), ("TSLA",)])
    prices = table("key", "symbol", rows=[("price:AAPL", "AAPL"), ("price:SPY", "SPY")])
    for _ in range(15):
        assert "held-unpriced" not in board.read(20.0, positions_held=held, feed_prices=prices)
    assert "held-unpriced" in board.read(20.0, positions_held=held, feed_prices=prices)
    assert [tuple(map(str, row)) for row in board.made("feed.unpriced").value.rows] == [("TSLA",)]
    # Nothing is held that would be counted: outside trading hours no price is left of anything.
    assert "held-unpriced" not in board.read(positions_held=Table((), (), 0), feed_prices=prices)


def test_with_no_price_of_anything_no_held_symbol_is_missed() -> None:
    """A holiday, or a cut that the feed itself tells."""
    board = Board()
    held = table("symbol", rows=[("AAPL",)])
    for _ in range(20):
        assert "held-unpriced" not in board.read(20.0, positions_held=held, feed_prices=Table((), (), 0))
    assert board.made("feed.unpriced").outcome is Outcome.MISSING
    assert board.level("feed.unpriced") is Level.INFO


@pytest.mark.parametrize(
    ("priced", "lacking"),
    [((), ["AAPL"]), (("SPY",), ["AAPL"]), (("AAPL",), [])],
    ids=["no price of anything", "only of others", "its own"],
)
def test_nothing_is_resumed_while_what_is_held_has_no_price_also_when_no_other_has_one(
    priced: tuple[str, ...], lacking: list[str]
) -> None:
    """A holiday looks the same as a service that subscribed to nothing or writes nothing."""
    board = Board()
    (demand,) = (each for each in board.stack.procedures["resume"].requires if each.id == "priced")
    held = table("symbol", rows=[("AAPL",)])
    board.read(positions_held=held, feed_prices=table("symbol", rows=[(each,) for each in priced]))
    assert [str(row[0]) for row in board.made(demand.fact).value.rows] == lacking
    assert not demand.is_missing
    board.read(positions_held=Table(("symbol",), (), 0), feed_prices=Table((), (), 0))
    assert board.made(demand.fact).value.rows == (), "nothing is held, or it is no trading hour"


def test_a_reservation_drifts_when_it_was_wrong_for_longer_than_a_reconciliation_takes_to_come() -> None:
    board = Board()
    key = "position_reservation:AAPL"
    reserved, owed = table("key", "value", rows=[(key, "150")]), table("key", "owed", rows=[(key, "60")])
    for _ in range(32):
        assert "reservations-astray" not in board.read(
            10.0, reservations_list=reserved, reservations_owed=owed, gateway_dry__run=False
        )
    assert board.made("reservations.drift").outcome is Outcome.NEVER
    assert "reservations-astray" in board.read(10.0, reservations_list=reserved, reservations_owed=owed)
    (row,) = board.made("reservations.drift").value.rows
    assert tuple(map(str, row)) == (key, "150", "60")
    mended = table("key", "value", rows=[(key, "60")])
    assert "reservations-astray" not in board.read(reservations_list=mended, reservations_owed=owed)
    assert board.level("reservations.drift") is Level.OK


def test_in_dry_run_and_at_0_with_nothing_owed_no_reservation_is_astray() -> None:
    board = Board()
    reserved = table("key", "value", rows=[("position_reservation:AAPL", "0")])
    wrong = table("key", "value", rows=[("position_reservation:AAPL", "150")])
    for is_dry, listed, level in ((True, wrong, Level.INFO), (False, reserved, Level.OK)):
        for _ in range(34):
            found = board.read(
                10.0, reservations_list=listed, reservations_owed=Table((), (), 0), gateway_dry__run=is_dry
            )
            assert "reservations-astray" not in found
        assert board.level("reservations.drift") is level
    for _ in range(34):
        found = board.read(
            10.0, reservations_list=wrong, reservations_owed=Table((), (), 0), gateway_dry__run=False
        )
    assert "reservations-astray" in found


def test_an_orchestrator_that_takes_real_money_for_paper_is_an_alarm() -> None:
    board = Board()
    assert "paper-differs" not in board.read(gateway_paper=True, orchestrator_paper=True)
    assert "paper-differs" in board.read(gateway_paper=False)
    assert board.level("orchestrator.paper_same") is Level.WARN
