"""Sparklines as text."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.glyphs import use_ascii
from widgets.spark import spark


@pytest.fixture
def ascii_mode() -> Iterator[None]:
    use_ascii(True)
    yield
    use_ascii(False)


def test_the_least_is_lowest_and_the_greatest_is_highest() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"


def test_a_gap_is_a_gap_and_never_a_zero() -> None:
    line = spark([0, None, 10, math.nan, math.inf], 5)
    assert line == "▁·█··"
    assert spark([None, None], 2) == "··"


def test_the_newest_values_are_kept_and_stand_on_the_right() -> None:
    assert spark([9, 9, 9, 0, 10], 2) == "▁█"
    assert spark([0, 10], 4) == "  ▁█"
    assert spark([], 3) == "   "


def test_a_series_that_hardly_moves_looks_flat() -> None:
    assert set(spark([1000.0, 1000.4, 999.9, 1001.0], 4)) == {"▁"}


def test_a_given_scale_makes_lines_comparable() -> None:
    assert spark([50, 200, -5], 3, low=0, high=100) == "▅█▁"


@pytest.mark.usefixtures("ascii_mode")
def test_in_ascii_mode_it_is_ascii() -> None:
    line = spark([0, 5, None, 10], 4)
    assert line.isascii()
    assert line == "_+ @"


@given(st.lists(st.none() | st.floats(), max_size=80), st.integers(0, 40))
def test_whatever_the_numbers_the_width_is_kept(values: list[float | None], width: int) -> None:
    assert len(spark(values, width)) == width
