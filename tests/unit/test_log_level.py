"""Levels of log lines: the stack's grammar first, then the habits of common loggers."""

from __future__ import annotations

import pytest

from backends.logs.level import LEVELS, LevelFinder
from backends.model.logline import LogLevel
from backends.model.stack import LogGrammar

C, E, W, I, D, U = (  # noqa: E741  # one letter a level keeps the table readable
    LogLevel.CRITICAL, LogLevel.ERROR, LogLevel.WARNING, LogLevel.INFO, LogLevel.DEBUG, LogLevel.UNKNOWN,
)  # fmt: skip
STAMP = b"2026-11-21T04:02:59.273109890Z "
NO_GRAMMAR = LogGrammar(())


def levels(*lines: str, grammar: LogGrammar = NO_GRAMMAR) -> list[LogLevel]:
    finder = LevelFinder(grammar)
    return [LEVELS[finder.code(0, STAMP + line.encode())] for line in lines]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-21 04:02:59,275 - apps.gateway - WARNING - slow broker", W),
        ('INFO:     10.0.0.1:40 - "GET /api HTTP/1.1" 200 OK', I),
        ('{"timestamp": "2026", "level": "error", "message": "no"}', E),
        ("ts=2026 caller=main.go:1 level=warn msg=x", W),
        ("2026-11-21 04:02:59 [info     ] started   port=8001", I),
        ("2026/11/21 04:02:59 [crit] 7#7: no space", C),
        ("1:M 21 Nov 2026 03:00:00.123 # Can't save in background: fork", W),
        ("1:M 21 Nov 2026 03:00:00.123 * Ready to accept connections", I),
        ("2026-11-21 03:00:00.000 UTC [7] FATAL:  the database system is starting up", C),
        ("2026-11-21 03:00:00.000 UTC [7] LOG:  checkpoint starting: time", I),
        ("E1121 03:00:00.000000 7 scraper.go:1] failed", E),
        ("panic: runtime error: index out of range", C),
        ("error: cannot bind", E),
        ("\x1b[31mERROR\x1b[0m broken pipe", E),
        ("\x1b[2m2026-11-21\x1b[0m [\x1b[33mwarning\x1b[0m] x", W),
        ("CRITICAL boom", C),
        ("DEBUG5 deep", U),
        ("Killed", U),
        ("INFORMATION about nothing", U),
        ("the level: high", U),
        ("", U),
    ],
)
def test_a_line_shows_its_level(line: str, level: LogLevel) -> None:
    assert levels(line) == [level]


def test_the_grammar_of_the_stack_comes_first() -> None:
    grammar = LogGrammar((r"^\w+ (?P<level>DEBUG\d?|ERROR) ",))
    assert levels("x ERROR in level=info", "x DEBUG5 ERROR", grammar=grammar) == [E, D]


def test_a_pattern_without_a_level_is_refused() -> None:
    with pytest.raises(ValueError, match="no group named level"):
        LevelFinder(LogGrammar(("^ERROR",)))


def test_a_traceback_has_the_level_of_the_line_it_belongs_to() -> None:
    traceback = (
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "    raise CRITICAL",
        "",
        "ValueError: DEBUG",
    )
    assert levels("WARNING retrying", *traceback) == [W] * 6
    assert levels("INFO fine", *traceback) == [I] + [E] * 5
    assert levels(*traceback) == [E] * 5


def test_more_detail_of_postgres_has_the_level_of_its_error() -> None:
    said = ("[7] ERROR:  deadlock detected", "[7] DETAIL:  Process 7 waits", "[7] LOG:  next")
    assert levels(*said) == [E, E, I]


def test_an_indented_line_with_a_level_of_its_own_keeps_it() -> None:
    assert levels(" INFO up", "  2026-11-21T03:00:00Z ERROR down", "  INFO up") == [I, E, I]


def test_streams_do_not_lend_each_other_their_level() -> None:
    finder = LevelFinder(NO_GRAMMAR)
    finder.code(0, STAMP + b"ERROR mine")
    assert LEVELS[finder.code(1, STAMP + b"  continued")] is U
    assert LEVELS[finder.code(0, STAMP + b"  continued")] is E


def test_a_row_shows_the_message_and_not_its_time_and_level_again():
    grammar = LogGrammar((r"^\S+ - (?P<logger>[\w.]+) - (?P<level>INFO|ERROR) - (?P<text>)",))
    finder = LevelFinder(grammar)
    assert (
        finder.body(b"12:00:01 - apps.gateway.orders - ERROR - no - INFO - here")
        == b"orders: no - INFO - here"
    )
    assert finder.body(b"Traceback (most recent call last):") == b"Traceback (most recent call last):"
