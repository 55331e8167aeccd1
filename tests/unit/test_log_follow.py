"""Following one container's log: every line once, through breaks, restarts and rotation."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest

from backends.model.logline import LogLevel, Marker
from backends.readers.docker_logs import FIRST_TAIL, RESUME_TAIL, LogFeed
from tests.clock import FakeClock
from tests.unit.test_log_ring import BASE, at


class Sink:
    """Remembers what it was given: lines as their text, marks as (marker, text)."""

    def __init__(self) -> None:
        self.got: list[str | tuple[Marker, str]] = []

    def source(self, service: str) -> int:
        return 0

    def append(self, source: int, lines: Sequence[bytes]) -> None:
        self.got += [line[31:].decode() for line in lines]

    def mark(
        self, source: int, marker: Marker, line: bytes, level: LogLevel = LogLevel.INFO, count: int = 0
    ) -> None:
        self.got.append((marker, line[31:].decode()))

    def settle(self) -> float:
        return inf


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def feed(sink: Sink, fake_clock: FakeClock) -> LogFeed:
    return LogFeed("/containers/abc", "gateway", sink, fake_clock)


def frames(*lines: bytes, stream: int = 1) -> bytes:
    return b"".join(bytes([stream, 0, 0, 0]) + (len(x) + 1).to_bytes(4, "big") + x + b"\n" for x in lines)


def test_a_container_that_was_there_before_shows_its_last_lines(feed: LogFeed) -> None:
    path, query = feed.request()
    assert path == "/containers/abc/logs"
    assert (query["tail"], query["follow"], query["timestamps"]) == (str(FIRST_TAIL), "1", "1")
    assert "since" not in query


def test_a_container_that_starts_later_is_read_from_its_start(sink: Sink, fake_clock: FakeClock) -> None:
    _, query = LogFeed("/containers/abc", "gateway", sink, fake_clock, started=BASE / 1e9).request()
    # Two seconds before: its first line is written before the engine calls it started.
    assert (query["since"], query["tail"]) == ("1789999998.000000000", str(RESUME_TAIL))


def test_after_a_break_no_line_is_lost_and_none_comes_twice(feed: LogFeed, sink: Sink) -> None:
    feed.request()
    feed.data(frames(at(0, "a"), at(1, "b")) + frames(at(2, "half"))[:-3])
    feed.ended("the connection to Docker was cut", 1.0)
    assert 1.0 < feed.retry_at < 2.0
    _, query = feed.request()
    assert query["since"] == f"{BASE // 10**9 - 1}.991000000"
    feed.data(frames(at(0, "a"), at(1, "b"), at(2, "half"), at(3, "c")))
    assert sink.got == ["a", "b", "half", "c"]


def test_after_the_engines_clock_was_set_back_a_break_loses_nothing(feed: LogFeed, sink: Sink) -> None:
    hour = 3_600_000
    feed.request()
    feed.data(frames(at(hour, "of a clock that ran ahead")))
    feed.ended("cut", 1.0)
    _, query = feed.request()
    assert float(query["since"]) <= BASE / 1e9
    feed.data(frames(at(hour, "of a clock that ran ahead"), at(7, "of the right one")))
    assert sink.got == ["of a clock that ran ahead", "of the right one"]


def test_lines_written_out_of_order_by_two_streams_come_once(feed: LogFeed, sink: Sink) -> None:
    feed.request()
    feed.data(frames(at(2, "err"), stream=2) + frames(at(1, "out")))
    feed.ended("cut", 1.0)
    feed.request()
    feed.data(frames(at(2, "err"), at(1, "out"), at(2, "next")))
    assert sink.got == ["err", "out", "next"]


def test_equal_lines_of_the_same_moment_are_counted(feed: LogFeed, sink: Sink) -> None:
    feed.request()
    feed.data(frames(at(0, "same"), at(0, "same")))
    feed.data(frames(at(0, "same")))
    feed.ended("cut", 1.0)
    feed.request()
    feed.data(frames(at(0, "same"), at(0, "same")))
    feed.data(frames(at(0, "same"), at(0, "same"), at(1, "other")))
    assert sink.got == ["same"] * 4 + ["other"]


def test_when_the_last_line_is_gone_a_gap_says_so(feed: LogFeed, sink: Sink) -> None:
    feed.request()
    feed.data(frames(at(0, "a")))
    feed.ended("cut", 1.0)
    feed.request()
    feed.data(frames(at(5, "x"), at(6000, "y")))
    feed.data(frames(at(7000, "z")))
    gap = (Marker.GAP, "lines may be missing here: the log was cut at 14:13:20 UTC")
    assert sink.got == ["a", gap, "x", "y", "z"]


def test_a_log_that_ended_is_read_once_more_for_its_last_words(feed: LogFeed, sink: Sink) -> None:
    feed.set_run("first run", False)
    feed.request()
    feed.data(frames(at(0, "dying")))
    feed.retry_at = inf  # as the pump sets it while the stream is open
    feed.ended(None, 1.0)
    assert feed.retry_at == pytest.approx(1.3)
    feed.request()
    feed.data(frames(at(0, "dying"), at(1, "last words")))
    feed.ended(None, 2.0)
    feed.request()
    feed.data(frames(at(1, "last words")))
    feed.ended(None, 3.0)
    assert (sink.got, feed.retry_at) == (["dying", "last words"], inf)


def test_a_restart_wakes_a_log_that_had_ended(feed: LogFeed) -> None:
    feed.set_run("first run", False)
    feed.request()
    feed.ended(None, 1.0)
    feed.set_run("first run", False)
    assert feed.retry_at == inf
    feed.set_run("second run", True)
    assert feed.retry_at == 0.0


def test_a_log_the_engine_refuses_says_why_once(feed: LogFeed, sink: Sink) -> None:
    for now in (1.0, 2.0):
        feed.request()
        feed.ended("Docker answered 501: no such log driver", now)
    assert sink.got == [(Marker.EVENT, "this log cannot be read: Docker answered 501: no such log driver")]
    assert feed.retry_at > 2.0


def test_a_log_that_stays_cut_off_says_so_once_in_each_outage(feed: LogFeed, sink: Sink) -> None:
    for _ in range(2):
        for _ in range(6):
            feed.ended("Docker cannot be reached", 0.0)
        feed.failures = 0  # as the pump does when something comes
        feed.data(frames(at(0, "back")))
    told = (Marker.EVENT, "this log cannot be read: Docker cannot be reached")
    assert sink.got == [told, "back", told, "back"]


def test_a_container_that_was_removed_is_no_complaint(feed: LogFeed, sink: Sink) -> None:
    feed.ended("Docker answered 404: No such container: abc", 1.0)
    assert sink.got == []


def test_the_time_between_attempts_grows_to_half_a_minute(feed: LogFeed) -> None:
    waits = []
    for _ in range(12):
        feed.ended("cut", 0.0)
        waits.append(feed.retry_at)
    assert waits[0] < 0.7
    assert all(22 < wait < 38 for wait in waits[-5:])
