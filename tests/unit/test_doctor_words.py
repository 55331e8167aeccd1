"""What the doctor says of a source that does not work: short enough to be read, and the right advice."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model.board import Board, SourceHealth
from backends.model.safetext import SafeText
from tests.building import START, failed, redis_source, stack
from tests.pilot import scenes, world
from tui.commands.doctor import NAMED, advice, report

STACK = stack()
REFUSES = "127.0.0.1:1 refuses the connection: nothing listens there"


def down(why: str, *reasons: str) -> Board:
    """Redis is down for ``why``; each of the stack's values failed for one of ``reasons``."""
    health = SourceHealth("redis", "Redis", False, START, error=SafeText(why))
    readings = [failed(fact, why=reason) for fact, reason in zip(STACK.facts, reasons, strict=True)]
    empty = replace(scenes.failed(START), readings={}, sources={"redis": health})
    return world.with_readings(empty, *readings)


def lines_of(board: Board) -> list[str]:
    return [line.strip() for line in report(STACK, board) if "not read" in line]


def test_the_reason_of_a_source_that_is_down_is_not_said_again_for_each_of_its_values() -> None:
    assert len(STACK.facts) == NAMED
    assert lines_of(down(REFUSES, *[REFUSES] * 4)) == [
        "not read: kill.state, breaker.state, orchestrator.kill, loss: for that reason"
    ]


def test_values_that_failed_for_another_reason_are_told_with_it() -> None:
    assert lines_of(down(REFUSES, REFUSES, REFUSES, "timed out", "no such column")) == [
        "not read: kill.state, breaker.state: for that reason",
        "not read: orchestrator.kill: timed out",
        "not read: loss: no such column",
    ]


def test_of_many_values_the_first_are_named_and_the_others_counted() -> None:
    many = {f"v{number}": replace(STACK.facts["loss"], id=f"v{number}", label=SafeText(f"v{number}"))
            for number in range(60)}  # fmt: skip
    board = world.with_readings(down(REFUSES, *[REFUSES] * 4), *(failed(it, why=REFUSES) for it in many))
    said = [line for line in report(replace(STACK, facts=many), board) if "not read" in line]
    assert [line.strip() for line in said] == ["not read: v0, v1, v2, v3 and 56 more: for that reason"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (REFUSES, "Start it, or correct the address"),
        ("refused (401): it wants credentials", "does not let us in"),
        ("refused (403): the credentials are not accepted", "does not let us in"),
        ("refuses the password", "does not let us in"),
        ("no answer within 2 s", "Silent"),
        ("ssh: ops@far: Permission denied (publickey).", "`ssh` to that machine must log in"),
        ("ssh: Host key verification failed.", "`ssh` to that machine must log in"),
        ("the certificate of far:443 has expired", "check the certificate"),
    ],
)
def test_the_advice_is_for_what_happened(error: str, said: str) -> None:
    assert said in advice(STACK, redis_source(), error)
