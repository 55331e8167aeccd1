"""Filtering a log: older lines count as much as new ones, holes are never hidden, no bite is long."""

from __future__ import annotations

from backends.model.logline import LogFilter, LogLevel, LogLine, Marker
from backends.model.safetext import SafeText
from tests.pilot.fake_engine import FakeLogs
from tui.log_filter import LogMatches, is_active, parsed


def _log(*rows: tuple[str, LogLevel]) -> FakeLogs:
    logs = FakeLogs()
    for text, level in rows:
        logs.say(text, level=level)
    return logs


def _all(matches: LogMatches) -> list[int]:
    while matches.advance():
        pass
    return matches.ordinals


def test_a_text_is_found_in_any_case_in_lines_that_came_before() -> None:
    logs = _log(("Order FILLED", LogLevel.INFO), ("idle", LogLevel.INFO), ("filled again", LogLevel.INFO))
    matches = LogMatches(logs, parsed("Filled", None))
    assert _all(matches) == [0, 2]
    assert matches.hidden == 1


def test_what_looks_like_a_pattern_is_only_text() -> None:
    logs = _log(("(a+)+$", LogLevel.INFO), ("aaaa", LogLevel.INFO))
    assert _all(LogMatches(logs, parsed("(a+)+$", None))) == [0]


def test_an_exclamation_mark_hides_what_holds_the_text() -> None:
    logs = _log(("health ok", LogLevel.INFO), ("order", LogLevel.INFO))
    assert _all(LogMatches(logs, parsed("!health", None))) == [1]
    assert not parsed("!", None).is_inverse


def test_a_line_of_unknown_level_is_hidden_only_above_warning() -> None:
    logs = _log(
        ("d", LogLevel.DEBUG), ("?", LogLevel.UNKNOWN), ("w", LogLevel.WARNING), ("e", LogLevel.ERROR)
    )
    assert _all(LogMatches(logs, LogFilter(LogLevel.WARNING))) == [1, 2, 3]
    assert _all(LogMatches(logs, LogFilter(LogLevel.ERROR))) == [3]


def test_a_hole_in_the_log_is_shown_whatever_is_asked_for() -> None:
    logs = FakeLogs()
    logs.lines.append(LogLine(0, "x", None, LogLevel.INFO, SafeText(""), Marker.DROP, 12))
    assert _all(LogMatches(logs, parsed("nothing has this", LogLevel.ERROR))) == [0]


def test_a_long_log_is_looked_at_in_bites() -> None:
    logs = _log(*(("x", LogLevel.INFO) for _ in range(5000)))
    ticks = iter(range(10_000))
    matches = LogMatches(logs, parsed("x", None), timer=lambda: float(next(ticks)))
    assert matches.advance()
    assert 0 < len(matches.ordinals) < 5000
    assert len(_all(matches)) == 5000


def test_rows_that_are_no_longer_kept_leave_the_count() -> None:
    class Ring(FakeLogs):
        lost = 0

        @property
        def first(self) -> int:
            return self.lost

    logs = Ring()
    for number in range(3000):
        logs.say(f"{'odd' if number % 2 else 'even'}")
    matches = LogMatches(logs, parsed("odd", None))
    _all(matches)
    logs.lost = 2000
    matches.advance()
    assert matches.hidden == 500
    assert matches.ordinals[0] == 2001


def test_nothing_asked_for_is_no_filter() -> None:
    assert not is_active(parsed("", None))
    assert is_active(parsed("", LogLevel.INFO))
