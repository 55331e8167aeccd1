"""Once halted, trading is on again only if a journalled resume says so; else it is the loudest alarm."""

from __future__ import annotations

from typing import Any

import pytest

from backends.model.alarm import Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import RiskClass, Run, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import Trading, TradingState
from backends.procedures.latch import PENDING, Latch

START = Instant(1000.0, 1_790_000_000.0)


def at(seconds: float) -> Instant:
    return Instant(START.mono + seconds, START.wall + seconds)


def board(state: TradingState, seconds: float, *runs: Run) -> Board:
    now = at(seconds)
    trading = Trading(state, SafeText(""), now, now)
    return Board("desk", 1, now, Environment.PAPER, {}, {}, trading, runs=runs)


def resume(started: float, ended: float | None, verdict: Verdict | None) -> Run:
    end = None if ended is None else at(ended)
    return Run("op", "desk", "resume", "Resume", at(started), (), verdict, ended=end, risk=RiskClass.RESTORE)


def record(kind: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind, "at": at(seconds).iso(), "stack": "desk", "mode": "live", "class": "restore",
        "procedure": "resume", "operation": "op-9", **more,
    }  # fmt: skip


def after(latch: Latch, *boards: Board) -> bool:
    """Whether the alarm is up after these boards."""
    for each in boards:
        latch.see(each, each.taken)
    return latch.alarm is not None


HALTED, TRADING, UNKNOWN = TradingState.HALTED, TradingState.TRADING, TradingState.UNKNOWN


def test_a_resume_nobody_journalled_is_critical_until_somebody_has_seen_it() -> None:
    latch = Latch("desk", list)
    assert after(latch, board(HALTED, 0), board(UNKNOWN, 5), board(TRADING, 10))
    assert latch.alarm is not None and latch.alarm.priority is Priority.CRITICAL
    assert "UNEXPLAINED RESUME" in latch.alarm.title
    assert after(latch, board(TRADING, 500))
    latch.acknowledge()
    assert not after(latch, board(TRADING, 501))


def test_it_stays_when_trading_is_halted_again() -> None:
    assert after(Latch("desk", list), board(HALTED, 0), board(TRADING, 10), board(HALTED, 20))


def test_a_resume_of_this_room_explains_it_and_one_under_way_has_half_a_minute() -> None:
    done = resume(5, 6, Verdict.VERIFIED)
    assert not after(
        Latch("desk", list), board(HALTED, 0), board(TRADING, 10, done), board(TRADING, 90, done)
    )
    under_way = resume(9, None, None)
    latch = Latch("desk", list)
    assert not after(latch, board(HALTED, 0), board(TRADING, 10, under_way))
    assert not after(latch, board(TRADING, 11, resume(9, 11, Verdict.VERIFIED)))
    failed = resume(5, 6, Verdict.FAILED)
    assert after(Latch("desk", list), board(HALTED, 0), board(TRADING, 10, failed))


@pytest.mark.parametrize(
    ("records", "is_alarmed"),
    [
        ([record("intent", 8), record("outcome", 9, verdict="VERIFIED")], False),
        ([record("intent", 8), record("outcome", 9, verdict="FAILED")], True),
        ([record("intent", 8)], False),
        ([record("outcome", -400, verdict="VERIFIED")], True),
        ([record("outcome", 9, verdict="VERIFIED", mode="dry")], True),
        ([record("outcome", 9, verdict="VERIFIED", stack="other")], True),
        ([record("outcome", 9, verdict="VERIFIED", **{"class": "stop"})], True),
        ([], True),
    ],
)
def test_the_journal_of_another_room_explains_it_only_by_a_proved_resume(
    records: list[dict[str, Any]], is_alarmed: bool
) -> None:
    assert after(Latch("desk", lambda: records), board(HALTED, 0), board(TRADING, 10)) is is_alarmed


def test_an_intent_without_an_end_does_not_excuse_it_for_ever() -> None:
    latch = Latch("desk", lambda: [record("intent", 8)])
    first = board(TRADING, 10)
    after(latch, board(HALTED, 0), first)
    latch.see(first, at(10 + PENDING + 1))
    assert latch.alarm is not None


def test_a_halt_proved_before_this_room_started_counts_too() -> None:
    halted = record("outcome", -50, verdict="VERIFIED", procedure="halt", **{"class": "stop"})
    assert after(Latch("desk", lambda: [halted]), board(TRADING, 0))
    resumed = record("outcome", -20, verdict="VERIFIED")
    assert not after(Latch("desk", lambda: [halted, resumed]), board(TRADING, 0))


def test_a_journal_that_cannot_be_read_explains_nothing() -> None:
    def broken() -> list[dict[str, Any]]:
        raise OSError("gone")

    assert after(Latch("desk", broken), board(HALTED, 0), board(TRADING, 10))
