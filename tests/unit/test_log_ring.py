"""The ring: one order of time, honest about what is missing, rows that are safe to show."""

from __future__ import annotations

import sys
import threading
from math import inf

import pytest

from backends.journal.redact import Redactor
from backends.logs.ring import LogRing
from backends.model.logline import LogLevel, Marker
from backends.model.safetext import LINE_LIMIT
from backends.model.secret import Secret
from backends.model.stack import LogGrammar
from backends.model.stamp import to_stamp
from tests.clock import FakeClock

BASE = 1_790_000_000_000_000_000
MS = 1_000_000


def at(ms: int, text: str | bytes = "x") -> bytes:
    return to_stamp(BASE + ms * MS) + b" " + (text if isinstance(text, bytes) else text.encode())


def ring(clock: FakeClock, drop: tuple[str, ...] = (), **options: object) -> LogRing:
    return LogRing(LogGrammar((), drop), ("gateway", "redis"), clock=clock, **options)  # type: ignore[arg-type]  # any option


def settle(log: LogRing, clock: FakeClock, seconds: float = 0.3) -> None:
    clock.advance(seconds)
    log.settle()


def texts(log: LogRing) -> list[str]:
    return [row.text for row in log.window(log.first, 1000)]


def test_lines_of_several_services_come_in_order_of_time(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(10, "a"), at(30, "c")])
    log.append(1, [at(0, "first"), at(20, "b"), at(40, "d")])
    settle(log, fake_clock)
    assert texts(log) == ["first", "a", "b", "c", "d"]
    assert [row.service for row in log.window(0, 9)] == ["redis", "gateway", "redis", "gateway", "redis"]
    assert log.window(1, 1)[0].at == (BASE + 10 * MS) / 1e9


def test_a_line_waits_a_quarter_of_a_second_for_older_ones(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(0, "first")])
    settle(log, fake_clock)
    log.append(0, [at(100, "young")])
    settle(log, fake_clock, 0.2)
    assert log.end == 1
    log.append(1, [at(50, "older"), at(500, "younger")])
    settle(log, fake_clock, 0.1)
    assert texts(log) == ["first", "older", "young"]
    settle(log, fake_clock, 0.3)
    assert texts(log) == ["first", "older", "young", "younger"]
    assert {row.marker for row in log.window(0, 9)} == {None}


def test_the_first_lines_wait_only_until_no_more_come_at_once(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, pause=0.1)
    log.append(0, [at(100, "young")])
    settle(log, fake_clock, 0.09)
    log.append(1, [at(50, "older")])
    settle(log, fake_clock, 0.09)
    assert log.end == 0
    settle(log, fake_clock, 0.02)
    assert texts(log) == ["older", "young"]


def test_where_streams_begin_apart_the_first_lines_wait_as_long_as_others(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(100, "young")])
    settle(log, fake_clock, 0.2)
    log.append(1, [at(50, "older")])
    settle(log, fake_clock, 0.06)
    assert texts(log) == ["older", "young"]
    assert {row.marker for row in log.window(0, 9)} == {None}


def test_first_lines_that_never_pause_wait_a_quarter_of_a_second(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, pause=0.1)
    for wave in range(6):
        log.append(0, [at(wave)])
        settle(log, fake_clock, 0.05)
    assert log.end


def test_it_says_when_it_has_to_be_looked_at_again(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, pause=0.1)
    assert log.settle() == inf
    log.append(0, [at(0)])
    assert log.settle() == pytest.approx(0.1)
    fake_clock.advance(0.1)
    assert log.settle() == inf
    log.append(0, [at(1)])
    fake_clock.advance(0.05)
    assert log.settle() == pytest.approx(0.2)


def test_a_line_that_comes_too_late_says_so(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(1000, "now")])
    settle(log, fake_clock)
    log.append(1, [at(760, "a little late"), at(740, "ERROR late")])
    settle(log, fake_clock)
    rows = log.window(0, 9)
    assert [(row.text, row.marker) for row in rows] == [
        ("now", None),
        ("ERROR late", Marker.LATE),
        ("a little late", None),
    ]
    assert rows[1].level is LogLevel.ERROR


def test_lines_of_the_same_time_keep_the_order_they_were_written_in(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(0, text) for text in "zyxw"])
    settle(log, fake_clock)
    assert texts(log) == list("zyxw")


def test_what_comes_faster_than_can_be_kept_is_counted_exactly(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, rate=100)
    log.append(0, [at(i, f"n{i}") for i in range(130)])
    log.mark(1, Marker.EVENT, at(5, "container ended"))
    settle(log, fake_clock)
    rows = log.window(0, 1000)
    assert (rows[0].marker, rows[0].count, log.dropped) == (Marker.DROP, 30, 30)
    assert rows[0].text == "30 lines dropped here: they came faster than 100 a second"
    # The newest are kept, and an event is never among the lost.
    assert [row.text for row in rows[1:3]] == ["container ended", "n30"]
    assert rows[-1].text == "n129"
    assert len(rows) == 1 + 1 + 100


def test_a_second_later_the_rate_allows_as_many_again(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, rate=100)
    for second in range(3):
        log.append(0, [at(second * 1000 + i) for i in range(100)])
        settle(log, fake_clock, 1.0)
    assert (log.end, log.dropped) == (300, 0)


def test_the_oldest_rows_go_when_the_ring_is_full(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, capacity=10)
    log.append(0, [at(i, str(i)) for i in range(25)])
    settle(log, fake_clock)
    assert (log.first, log.end) == (15, 25)
    assert log.line(14) is None
    assert log.line(25) is None
    kept = log.line(15)
    assert kept is not None
    assert (kept.ordinal, kept.text) == (15, "15")
    assert [row.ordinal for row in log.window(0, 3)] == [15, 16, 17]


def test_noise_is_left_out_and_counted(fake_clock: FakeClock) -> None:
    log = ring(fake_clock, drop=('"GET /health ',))
    log.append(0, [at(0, 'INFO: "GET /health HTTP/1.1" 200'), at(1, 'INFO: "GET /orders HTTP/1.1" 200')])
    settle(log, fake_clock)
    assert texts(log) == ['INFO: "GET /orders HTTP/1.1" 200']
    assert log.noise == 1


def test_a_mark_is_a_row_at_its_time(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(0, "before"), at(20, "after")])
    log.mark(0, Marker.GAP, at(10, "lines may be missing here"))
    settle(log, fake_clock)
    rows = log.window(0, 9)
    assert [(row.text, row.marker) for row in rows][1] == ("lines may be missing here", Marker.GAP)
    assert (rows[1].service, len(rows)) == ("gateway", 3)


def test_hostile_text_is_inert_and_colour_codes_are_gone(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    hostile = [
        b"\x1b[31mred\x1b[0m",
        b"\x1b]52;c;QQ==\x07",
        b"\xff\xfe\x00",
        b"[@click=app.kill]x[/",
        b"end\r",
    ]
    log.append(0, [at(i, text) for i, text in enumerate(hostile)])
    settle(log, fake_clock)
    assert texts(log) == ["red", "\\x1b]52;c;QQ==\\x07", "\\xff\\xfe\\x00", "[@click=app.kill]x[/", "end"]


def test_a_huge_line_is_cut_and_says_how_much_is_missing(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    log.append(0, [at(0, b"a" * 10_000), at(1, b"b" * 65_536 + b" ... +934464 bytes")])
    settle(log, fake_clock)
    assert texts(log) == [
        "a" * LINE_LIMIT + f"… +{10_000 - LINE_LIMIT} bytes",
        "b" * LINE_LIMIT + f"… +{1_000_000 - LINE_LIMIT} bytes",
    ]


def test_secrets_are_taken_out_before_a_line_is_cut(fake_clock: FakeClock) -> None:
    secret = "hunter2-hunter2"
    log = ring(fake_clock, redact=Redactor([Secret(secret)]).text)
    log.append(0, [at(0, "a" * (LINE_LIMIT - 5) + secret), at(1, f"pw={secret}")])
    settle(log, fake_clock)
    assert "hunt" not in "".join(texts(log))
    assert texts(log)[1] == "pw=****"


def test_lines_come_in_while_rows_are_made(fake_clock: FakeClock) -> None:
    came: list[bool] = []

    def slow(text: str, _limit: int, *, is_cut: bool) -> str:
        other = threading.Thread(target=log.append, args=(1, [at(1, "meanwhile")]), daemon=True)
        other.start()
        other.join(2.0)
        came.append(not other.is_alive() and not is_cut)
        return text

    log = ring(fake_clock, redact=slow)
    log.append(0, [at(0, "a")])
    settle(log, fake_clock)
    assert texts(log) == ["a"]
    assert came == [True]


def test_a_line_without_a_time_is_shown_whole_and_has_none(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    lines = ["no time at all in this line, none", "2026-99-99Tzz:zz:zz.000000000Z boo"]
    log.append(0, [line.encode() for line in lines])
    settle(log, fake_clock)
    assert {(row.at, row.text) for row in log.window(0, 9)} == {(None, line) for line in lines}


def test_readers_see_whole_rows_while_lines_keep_coming() -> None:
    log = LogRing(LogGrammar(()), ("gateway",), capacity=500, patience=0.0)
    wrong: list[object] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                rows = log.window(log.first, 50)
            except Exception as error:  # seen by the test below
                wrong.append(error)
                return
            # The text of each row is its ordinal, whatever was evicted meanwhile.
            wrong.extend(row.text for row in rows if row.text != str(row.ordinal))

    reader = threading.Thread(target=read)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet at every line of code
    try:
        reader.start()
        for i in range(0, 20_000, 10):
            log.append(0, [at(k, str(k)) for k in range(i, i + 10)])
            log.settle()
    finally:
        sys.setswitchinterval(usual)
        is_over.set()
        reader.join()
    assert log.end == 20_000
    assert wrong == []


def test_who_listens_is_told_once_rows_can_be_read_and_not_before(fake_clock: FakeClock) -> None:
    log = ring(fake_clock)
    heard: list[list[str]] = []
    leave = log.subscribe(lambda: heard.append(texts(log)))
    log.append(0, [at(0, "first")])
    log.settle()
    assert heard == []
    settle(log, fake_clock)
    settle(log, fake_clock)
    assert heard == [["first"]]
    leave()
    log.append(0, [at(600, "second")])
    settle(log, fake_clock, 1.0)
    assert heard == [["first"]]
