"""Which columns of a table are shown, and how wide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.model.safetext import SafeText
from widgets.cells import as_ascii, fit, tail, tame, width_of, window
from widgets.grid_layout import Column, lay_out


def column(ident: str, ideal: int, **rest: int) -> Column:
    return Column(ident, SafeText(ident), ideal, **rest)


NAME = column("name", 20, least=8, flex=1)
STATE = column("state", 10, drop=1)
CPU = column("cpu", 6, drop=3)
MEMORY = column("memory", 6, drop=2)
ALL = (NAME, STATE, CPU, MEMORY)


def shown(width: int, columns: tuple[Column, ...] = ALL) -> dict[str, int]:
    return {columns[it.index].id: it.width for it in lay_out(columns, width)}


def test_with_room_every_column_has_its_ideal_width_and_the_rest_goes_to_flex() -> None:
    assert shown(100) == {"name": 100 - 10 - 6 - 6 - 3 * 2, "state": 10, "cpu": 6, "memory": 6}


def test_a_column_is_squeezed_before_another_is_dropped() -> None:
    assert shown(8 + 10 + 6 + 6 + 3 * 2) == {"name": 8, "state": 10, "cpu": 6, "memory": 6}


def test_the_highest_drop_goes_first_and_the_order_stays() -> None:
    assert list(shown(8 + 10 + 6 + 6 + 3 * 2 - 1)) == ["name", "state", "memory"]
    assert list(shown(8 + 10 + 2)) == ["name", "state"]


def test_a_column_that_is_never_dropped_is_cut_instead() -> None:
    assert shown(5) == {"name": 5}
    assert shown(0) == {}


def test_flex_is_shared_by_weight() -> None:
    columns = (column("a", 10, flex=1), column("b", 10, flex=3))
    assert shown(2 + 20 + 40, columns) == {"a": 20, "b": 40}


columns_drawn = st.lists(
    st.builds(
        lambda ideal, least, drop, flex: column("x", ideal, least=least, drop=drop, flex=flex),
        st.integers(1, 40),
        st.integers(1, 40),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(columns_drawn, st.integers(-2, 250))
def test_no_layout_is_wider_than_its_room(columns: list[Column], width: int) -> None:
    placed = lay_out(columns, width)
    assert sum(it.width for it in placed) + 2 * max(0, len(placed) - 1) <= max(0, width)
    assert [it.index for it in placed] == sorted({it.index for it in placed})
    assert all(it.width > 0 for it in placed)


anything = st.text(st.characters(), max_size=60) | st.text("aé漢🇩🇪👍🏽e\u0301\u200d\ufe0f ", max_size=40)


@given(anything, st.integers(0, 40), st.sampled_from(["left", "right", "center"]))
def test_fitted_text_has_exactly_its_width(raw: str, width: int, align: str) -> None:
    text = fit(SafeText(raw), width, align)
    assert width_of(text) == width


@given(anything, st.integers(0, 50), st.integers(0, 40))
def test_a_window_on_a_text_has_exactly_its_width(raw: str, start: int, width: int) -> None:
    text = window(SafeText(raw), start, width)
    assert width_of(tame(text)) == width


@given(anything)
def test_ascii_keeps_the_width(raw: str) -> None:
    text = tame(SafeText(raw))
    assert as_ascii(text).isascii()
    assert width_of(as_ascii(text)) == width_of(text)


def test_text_that_does_not_fit_says_so() -> None:
    assert fit("abcdef", 4) == "abc…"
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("漢字漢字", 4) == "漢… "
    assert fit("x" * 4096, 3) == "xx…"


def test_a_wide_letter_on_an_edge_becomes_a_space() -> None:
    assert window("漢字", 1, 2) == "  "
    assert window("a漢字b", 0, 4) == "a漢 "


def test_a_mark_at_the_start_of_a_cell_does_not_reach_into_the_column_before() -> None:
    assert fit("\u0301x", 3) == "◌\u0301x "


def test_letters_that_terminals_measure_differently_are_replaced() -> None:
    assert fit("\U0001f1e9\U0001f1ea", 4) == "DE  "
    assert fit("x\ufe0f", 2) == "x "
    assert fit("\U0001f44d\U0001f3fd", 3) == "\U0001f44d "


@given(anything, st.integers(0, 30))
def test_a_tail_is_the_end_of_the_text_and_fits(raw: str, width: int) -> None:
    text = tame(SafeText(raw))
    assert text.endswith(tail(SafeText(raw), width))
    assert width_of(tail(SafeText(raw), width)) <= width


def test_a_tail_keeps_the_newest() -> None:
    assert tail("▁▂▃▄▅", 3) == "▃▄▅"
    assert tail("ab", 3) == "ab"
