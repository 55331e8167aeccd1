"""Whatever comes, in whatever batches: nothing vanishes uncounted, and time order holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.logs.ring import LogRing
from backends.model.logline import Marker
from backends.model.stack import LogGrammar
from tests.clock import FakeClock
from tests.unit.test_log_ring import at

batches = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.integers(0, 3000), max_size=30),
        st.sampled_from([0.0, 0.05, 0.3, 2.0]),
    ),
    max_size=15,
)


def filled(said: list[tuple[int, list[int], float]], rate: int) -> tuple[LogRing, int]:
    clock = FakeClock()
    ring = LogRing(LogGrammar(()), ("a", "b", "c"), clock=clock, rate=rate)
    offered = 0
    for source, times, pause in said:
        ring.append(source, [at(ms, f"{offered + i}") for i, ms in enumerate(sorted(times))])
        offered += len(times)
        clock.advance(pause)
        ring.settle()
    clock.advance(10.0)
    ring.settle()
    return ring, offered


@given(batches, st.sampled_from([7, 40, 50_000]))
def test_every_line_is_shown_once_or_counted_as_dropped(
    said: list[tuple[int, list[int], float]], rate: int
) -> None:
    ring, offered = filled(said, rate)
    rows = ring.window(ring.first, 10_000)
    drops = sum(row.count for row in rows if row.marker is Marker.DROP)
    shown = [row.text for row in rows if row.marker is not Marker.DROP]
    assert len(shown) == len(set(shown))
    assert len(shown) + drops == offered
    assert drops == ring.dropped


@given(batches)
def test_rows_are_in_order_of_time_but_for_those_marked_late(
    said: list[tuple[int, list[int], float]],
) -> None:
    ring, _ = filled(said, 50_000)
    rows = ring.window(ring.first, 10_000)
    newest = 0.0
    for row in rows:
        assert row.at is not None
        is_late = newest - row.at > 0.25 + 1e-6
        assert is_late == (row.marker is Marker.LATE)
        newest = max(newest, row.at)
    assert [row.ordinal for row in rows] == list(range(ring.first, ring.end))
    assert all(ring.line(row.ordinal) == row for row in rows)
