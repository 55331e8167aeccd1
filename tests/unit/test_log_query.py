"""Filtering a ring: what passes, what always passes, and that no call takes long."""

from __future__ import annotations

import time

import pytest

from backends.logs.query import FilteredLog, PatternError, text_test
from backends.logs.ring import LogRing
from backends.model.logline import LogFilter, LogLevel, Marker
from backends.model.stack import LogGrammar
from tests.clock import FakeClock
from tests.unit.test_log_ring import at

LINES = ("INFO Order submitted", "ERROR Redis lost", "odd words", "DEBUG tick Ω", "WARNING order late")


@pytest.fixture
def log(fake_clock: FakeClock) -> LogRing:
    made = LogRing(LogGrammar(()), ("gateway", "redis"), clock=fake_clock, capacity=1000)
    made.append(0, [at(i, text) for i, text in enumerate(LINES)])
    made.append(1, [at(100, "INFO from redis")])
    made.mark(0, Marker.GAP, at(200, "lines may be missing here"))
    fake_clock.advance(1.0)
    made.settle()
    return made


def found(log: LogRing, wanted: LogFilter) -> list[str]:
    view = FilteredLog(log, wanted)
    assert view.advance(5.0)
    rows = [log.line(ordinal) for ordinal in view.ordinals]
    assert view.hidden == log.end - log.first - len(rows)
    return [row.text for row in rows if row is not None and row.marker is not Marker.GAP]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (LogFilter(), [0, 1, 2, 3, 4, 5]),
        (LogFilter(minimum=LogLevel.ERROR), [1]),
        # A line of unknown level may be anything: it counts like a warning.
        (LogFilter(minimum=LogLevel.WARNING), [1, 2, 4]),
        (LogFilter(text="ORDER"), [0, 4]),
        (LogFilter(text="order", is_inverse=True), [1, 2, 3, 5]),
        (LogFilter(text="order", minimum=LogLevel.WARNING), [4]),
        (LogFilter(text="ω"), [3]),
        (LogFilter(text="o.*r"), []),
        (LogFilter(text="o.*r s", is_regex=True), [0]),
        (LogFilter(services=frozenset({"redis"})), [5]),
        (LogFilter(text="GATE"), [0, 1, 2, 3, 4]),
        (LogFilter(text="gate", is_inverse=True), [5]),
    ],
)
def test_rows_that_pass(log: LogRing, wanted: LogFilter, places: list[int]) -> None:
    assert found(log, wanted) == [(*LINES, "INFO from redis")[place] for place in places]


def test_a_gap_shows_through_every_filter(log: LogRing) -> None:
    view = FilteredLog(log, LogFilter(minimum=LogLevel.CRITICAL, text="nothing has this"))
    view.advance(5.0)
    (ordinal,) = view.ordinals
    row = log.line(ordinal)
    assert row is not None
    assert (row.marker, view.hidden) == (Marker.GAP, 6)


def test_new_lines_are_found_as_they_come_and_old_ones_go(log: LogRing, fake_clock: FakeClock) -> None:
    view = FilteredLog(log, LogFilter(text="order"))
    view.advance(5.0)
    assert (list(view.ordinals), view.hidden) == ([0, 4, 6], 4)
    log.append(0, [at(1000 + i, f"INFO Order {i}" if i % 10 == 0 else "INFO other") for i in range(1000)])
    fake_clock.advance(1.0)
    log.settle()
    assert view.advance(5.0)
    first = log.line(view.ordinals[0])
    assert first is not None
    assert (first.text, len(view.ordinals), view.hidden) == ("INFO Order 0", 100, 900)


def test_what_the_log_no_longer_keeps_is_not_counted_even_before_the_next_look(
    log: LogRing, fake_clock: FakeClock
) -> None:
    view = FilteredLog(log, LogFilter(text="order"))
    view.advance(5.0)
    log.append(0, [at(1000 + i, "INFO other") for i in range(999)])
    fake_clock.advance(1.0)
    log.settle()
    assert view.hidden == 0
    assert view.advance(5.0)
    assert (len(view.ordinals), view.hidden) == (1, 999)


@pytest.mark.parametrize(
    ("wanted", "line", "lines"),
    [
        (LogFilter(text="9 x"), "INFO line {} " + "x" * 200, 100_000),
        (LogFilter(text="9 ü"), "INFO line {} ü" + "x" * 60_000, 5000),
        (LogFilter(text="(a|a)(a|a)(a|a).*b", is_regex=True), "a" * 1000 + "{}", 20),
    ],
    ids=["plain text", "long lines", "slowest pattern"],
)
def test_one_call_takes_little_longer_than_it_may_and_the_next_goes_on(
    fake_clock: FakeClock, wanted: LogFilter, line: str, lines: int
) -> None:
    log = LogRing(LogGrammar(()), ("gateway",), clock=fake_clock, rate=1_000_000)
    log.append(0, [at(i, line.format(i)) for i in range(lines)])
    fake_clock.advance(1.0)
    log.settle()
    view = FilteredLog(log, wanted)
    calls, longest, is_done = 0, 0.0, False
    while not is_done:
        start = time.thread_time()
        is_done = view.advance(0.005)
        longest = max(longest, time.thread_time() - start)
        calls += 1
    assert calls > 3
    assert longest < 0.25
    assert len(view.ordinals) == (0 if wanted.is_regex else lines // 10)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", ".*a.*b", "(a|a)(a|a)(a|a)(a|a)(a|a)b", "a?a?a?a?a?aaaaa", "(?x)(a+) +", "x" * 300, "[", "a)"],
)
def test_a_pattern_that_is_wrong_or_could_take_long_is_refused_in_words(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"pattern"):
        text_test(LogFilter(text=pattern, is_regex=True))


@pytest.mark.parametrize("pattern", ["(a|a)(a|a)(a|a)[ab]*c", "a?a?a?a*c", "(?:a|b).*[)*+]", r"\(\+\)\*"])
def test_the_worst_pattern_that_is_taken_is_quick_on_the_worst_line(pattern: str) -> None:
    matches = text_test(LogFilter(text=pattern, is_regex=True))
    start = time.thread_time()
    matches(b"a" * 65_536)
    assert time.thread_time() - start < 0.5
