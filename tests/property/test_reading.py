"""Readings never claim more than was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.reading import Good, Outcome, Quality, Reading
from backends.model.safetext import SafeText
from tests.building import START, later

OUTCOMES = st.sampled_from(list(Outcome))


@given(
    outcome=OUTCOMES,
    age=st.integers(-1000, 1000),
    lag=st.none() | st.floats(-1e6, 1e6),
    period=st.floats(0.1, 60),
)
def test_only_an_ok_answer_of_this_session_is_ever_fresh(outcome, age, lag, period):
    value = 1 if outcome is Outcome.OK else None
    reading = Reading("k", "s", outcome, START, period, value=value, observed_lag=lag, max_age=30.0)
    quality = reading.quality(later(age))
    if quality is Quality.FRESH:
        assert outcome is Outcome.OK
        assert 0 <= age <= reading.stale_after
        assert lag is None or lag >= -1


@pytest.mark.parametrize("outcome", [Outcome.MISSING, Outcome.FAILED, Outcome.NEVER])
def test_a_value_goes_with_ok_and_only_with_ok(outcome):
    with pytest.raises(ValueError, match="only with OK"):
        Reading("k", "s", outcome, START, 1.0, value=0)
    with pytest.raises(ValueError, match="only with OK"):
        Reading("k", "s", Outcome.OK, START, 1.0)


@pytest.mark.parametrize(("period", "edge"), [(0.25, 2.0), (1.0, 3.0), (10.0, 30.0)])
def test_stale_begins_at_three_periods_or_two_seconds(period, edge):
    reading = Reading("k", "s", Outcome.OK, START, period, value=1)
    assert reading.quality(later(edge - 0.1)) is not Quality.STALE
    assert reading.quality(later(edge + 0.1)) is Quality.STALE


def test_a_source_clock_in_the_future_is_bad_and_an_old_one_stale():
    def at(lag):
        return Reading("k", "s", Outcome.OK, START, 1.0, value=1, observed_lag=lag, max_age=30.0).quality(
            START
        )

    assert at(-0.9) is Quality.FRESH
    assert at(-1.1) is Quality.BAD
    assert at(29.9) is Quality.FRESH
    assert at(30.1) is Quality.STALE


def test_wall_clock_steps_change_no_age():
    reading = Reading("k", "s", Outcome.OK, START, 1.0, value=1)
    stepped = type(START)(START.mono + 1, START.wall + 3600)
    assert reading.age(stepped) == 1
    assert reading.quality(stepped) is Quality.FRESH


def test_the_last_good_value_is_kept_five_minutes_and_no_longer():
    reading = Reading("k", "s", Outcome.FAILED, START, 1.0, error=SafeText("x"), last_good=Good(7, START))
    assert reading.kept(later(299)) == Good(7, START)
    assert reading.kept(later(301)) is None
