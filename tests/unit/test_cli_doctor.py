"""The doctor's exit status is never better than what is known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derive import trading
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board, SourceHealth
from backends.model.check import Diagnosis
from backends.model.condition import Condition
from backends.model.examination import Answer, Examined
from backends.model.safetext import NO_TEXT, SafeText
from tests.building import START, failed, later, missing, ok, stack
from tui.commands.doctor import exit_code, report
from tui.commands.exitcode import ExitCode

LOST = Diagnosis("lost", "The key is lost", (Condition("lost", "kill.state", "", is_missing=True),), "", "")
TINY = replace(stack(), diagnoses={"lost": LOST})


def board(**changed: Any) -> Board:
    readings = {
        "kill.state": ok("kill.state", "ACTIVE"),
        "breaker.state": ok("breaker.state", "OPEN"),
        "orchestrator.kill": ok("orchestrator.kill", "ACTIVE"),
        "loss": ok("loss", 5.0),
    } | {key.replace("_", "."): value for key, value in changed.items()}
    sources = {name: SourceHealth(name, name.title(), True, later(-9)) for name in ("redis", "docker")}
    state = trading(TINY, readings, START, None)
    return Board("tiny", 1, START, TINY.environment, readings, sources, state)


def told(shown: Board, answer: Answer | None = Answer.NO) -> ExitCode:
    key = "diagnosis:lost"
    return exit_code(TINY, shown, {} if answer is None else {key: Examined(key, answer, (), START)})


def test_zero_is_for_a_stack_that_is_well_and_known() -> None:
    assert told(board()) is ExitCode.VERIFIED


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"kill_state": missing("kill.state")}, ExitCode.UNKNOWN),
        ({"kill_state": ok("kill.state", "no such word")}, ExitCode.UNKNOWN),
        ({"orchestrator_kill": ok("orchestrator.kill", "ENGAGED")}, ExitCode.CONFLICT),
        ({"loss": failed("loss")}, ExitCode.PARTIAL),
    ],
    ids=["missing", "unknown word", "conflict", "one fact not read"],
)
def test_what_is_not_known_of_trading_is_told_as_status_tells_it(
    changed: dict[str, Any], code: ExitCode
) -> None:
    assert told(board(**changed)) is code


def test_an_urgent_alarm_is_told_as_status_tells_it() -> None:
    urgent = Alarm("loss", Priority.HIGH, SafeText("Daily loss"), NO_TEXT, NO_TEXT, NO_TEXT, START, "loss")
    assert told(replace(board(), alarms=(urgent,))) is ExitCode.PARTIAL


def test_known_failures_that_were_found_or_that_nobody_looked_for_are_no_zero() -> None:
    assert told(board(), Answer.YES) is ExitCode.PARTIAL
    assert told(board(), None) is ExitCode.UNKNOWN


def test_the_report_says_what_is_known_of_trading() -> None:
    lines = list(report(TINY, board(kill_state=missing("kill.state"))))
    assert lines[1].startswith("  trading          UNKNOWN: ")
