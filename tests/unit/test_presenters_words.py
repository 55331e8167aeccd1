"""What a number, an age or an outcome looks like to the operator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.clock import Instant
from backends.model.fact import Table
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from tests.pilot.world import FACTS, reading
from tui.presenters import words

NOW = Instant(1000.0, 1_790_000_000.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (99, "99s"),
        (100, "2m"),
        (5990, "2h"),
        (200_000, "2d"),
        (-1, "?"),
    ],
)
def test_an_age_takes_four_characters_at_most(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_no_age_is_wider_than_its_column(seconds: float) -> None:
    assert len(words.age(seconds)) <= 6
    assert words.age(seconds)[-1] in "smhd"


@given(st.floats(min_value=0, max_value=1e18))
def test_no_size_is_wider_than_its_column(count: float) -> None:
    assert len(words.size(count)) <= 7


def test_unknown_numbers_are_a_question_mark_and_never_zero() -> None:
    assert words.size(None) == "?"
    assert words.percent(None) == "?"


def test_five_kinds_of_nothing_have_five_texts() -> None:
    key = "kill.by"
    texts = {
        words.outcome(reading(key, NOW, outcome=Outcome.NEVER), NOW),
        words.outcome(reading(key, NOW), NOW),
        words.outcome(reading(key, NOW, outcome=Outcome.FAILED, error=SafeText("no")), NOW),
        str(words.raw(SafeText(""))),
        str(words.raw(0)),
    }
    assert texts == {"NEVER read", "MISSING", "FAILED 0s", "(empty)", "0"}


def test_a_value_turns_stale_by_the_rooms_clock_alone() -> None:
    it = reading("kill.state", NOW, SafeText("ACTIVE"))
    later = [words.outcome(it, Instant(NOW.mono + s, NOW.wall)) for s in (0, 2.5, 3.5, 12)]
    assert later == ["<2s", "ageing 2s", "STALE 4s", "STALE 12s"]


def test_a_source_that_lives_in_the_future_is_not_believed() -> None:
    it = reading("kill.state", NOW, SafeText("ACTIVE"), observed_lag=-5.0)
    assert words.outcome(it, NOW).startswith("BAD CLOCK")
    assert not words.is_current(it, NOW)


def test_a_value_observed_too_long_ago_shows_that_age() -> None:
    it = reading("kill.state", NOW, SafeText("ACTIVE"), observed_lag=40.0, max_age=10.0)
    assert words.outcome(it, NOW) == "STALE 40s"


def test_no_such_key_is_an_answer_until_it_is_old() -> None:
    it: Reading[object] = reading("kill.by", NOW)
    assert words.is_current(it, NOW)
    late = Instant(NOW.mono + 4, NOW.wall + 4)
    assert not words.is_current(it, late)
    assert words.outcome(it, late) == "STALE 4s"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("pnl.drawdown", 1.27, "1.27%"),
        ("account.cash", 104_233.18, "104,233.18 USD"),
        ("account.cash", 0.00002, "2e-05 USD"),
        ("orders.open", 14_000, "14,000"),
        ("gateway.dry_run", False, "false"),
        ("kill.state", SafeText(""), "(empty)"),
        ("orders.open", Table(("a",), (), 7), "7 rows"),
        ("orders.open", Table(("a",), (), 1), "1 row"),
    ],
)
def test_a_value_is_written_with_its_unit(key: str, value: object, text: str) -> None:
    assert words.shown(FACTS[key], value, NOW) == text


def test_a_time_of_today_is_a_time_of_day_and_an_age() -> None:
    assert words.shown(FACTS["orders.oldest"], NOW.wall - 754.0, NOW) == "14:00:46 (13m ago)"


def test_a_time_that_cannot_be_one_says_so() -> None:
    assert "no valid time" in words.moment(1e300, NOW)


@pytest.mark.parametrize(("number", "text"), [(0.0, "0%"), (0.3, "<1%"), (14.6, "15%"), (250.2, "250%")])
def test_a_share_is_whole_percent_and_little_is_not_nothing(number: float, text: str) -> None:
    assert words.percent(number) == text


@pytest.mark.parametrize(("ahead", "told"), [(0.9, "0.0s ago"), (1.1, "in 1.1s"), (7200.0, "in 2h")])
def test_a_time_that_is_yet_to_come_is_no_moment_ago(ahead: float, told: str) -> None:
    assert words.shown(FACTS["orders.oldest"], NOW.wall + ahead, NOW).endswith(f" ({told})")
