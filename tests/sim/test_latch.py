"""Once halted, trading is on again only if a journalled resume says so; else it is the loudest alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.tail import NotYetError
from backends.model.alarm import Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import RiskClass, Run, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment, GateSpec
from backends.model.trading import Gate, Trading, TradingState
from backends.procedures.latch import ACCEPTED, ALARM, PENDING, UNMET, Latch
from tests.building import KILL, fact, ok, stack
from tests.sim.world import HALT

START = Instant(1000.0, 1_790_000_000.0)


def at(seconds: float) -> Instant:
    return Instant(START.mono + seconds, START.wall + seconds)


GATES = (
    GateSpec(
        "kill.state", "switch", frozenset({"ACTIVE"}), frozenset({"ENGAGED"}), TradingState.UNKNOWN, "gone"
    ),
    GateSpec(
        "recon", "reconciliation", frozenset({"true"}), frozenset({"false"}), TradingState.UNKNOWN, "gone",
        latches=False,
    ),
)  # fmt: skip
BY_HAND = "By hand: stop the first.\nThen the second."
STOP = replace(HALT, id="stop-it", quiet="orders.accepted", fallback=BY_HAND, section="Halting")
SPEC = stack(
    id="desk",
    gates=GATES,
    facts={each.id: each for each in (KILL, fact("recon"), fact("orders.accepted"))},
    procedures={"stop-it": STOP, "cancel": replace(HALT, id="cancel", steps=())},
)


def latched(records: Callable[[], list[dict[str, Any]]] = list) -> Latch:
    return Latch("desk", records, SPEC)


def board(
    state: TradingState, seconds: float, *runs: Run, recon: TradingState | None = None, orders: int = 0
) -> Board:
    """The kill switch in this state; the reconciliation gate open."""
    now = at(seconds)
    gates = (
        Gate("kill.state", "kill switch", None, state, SafeText("")),
        Gate("recon", "reconciliation", None, recon or TradingState.TRADING, SafeText("")),
    )
    trading = Trading(
        TradingState.HALTED if recon is TradingState.HALTED else state, SafeText(""), now, now, gates
    )
    readings = {
        "kill.state": ok("kill.state", SafeText(""), now),
        "orders.accepted": ok("orders.accepted", orders, now),
    }
    return Board("desk", 1, now, Environment.PAPER, readings, {}, trading, runs=runs)


def halt(started: float, verdict: Verdict | None, procedure: str = "stop-it") -> Run:
    return Run("op-h", "desk", procedure, "Halt", at(started), (), verdict, ended=at(started + 1))


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
    latch = latched()
    assert after(latch, board(HALTED, 0), board(UNKNOWN, 5), board(TRADING, 10))
    assert latch.alarm is not None and latch.alarm.priority is Priority.CRITICAL
    assert "UNEXPLAINED RESUME" in latch.alarm.title
    assert after(latch, board(TRADING, 500))
    latch.acknowledge()
    assert not after(latch, board(TRADING, 501))


def test_it_is_over_when_the_halt_is_read_back_again() -> None:
    assert not after(latched(), board(HALTED, 0), board(TRADING, 10), board(HALTED, 20))


def test_the_alarm_says_since_when_within_a_narrow_screen() -> None:
    latch = latched()
    after(latch, board(HALTED, 0), board(TRADING, 10))
    assert latch.alarm is not None and latch.alarm.id == ALARM
    assert str(latch.alarm.title) == "UNEXPLAINED RESUME: halted until 14:13:20Z, trading now"


def test_a_gate_that_opens_by_itself_is_no_resume() -> None:
    assert not after(latched(), board(TRADING, 0, recon=HALTED), board(TRADING, 10))
    assert after(latched(), board(HALTED, 0, recon=HALTED), board(TRADING, 10, recon=HALTED))


def test_a_latch_beside_traders_of_their_own_tells_of_a_resume_too() -> None:
    latch = Latch("desk", list, replace(SPEC, is_several=True))
    assert after(latch, board(HALTED, 0, recon=TRADING), board(TRADING, 10))


def test_a_resume_of_this_room_explains_it_and_one_under_way_has_its_time() -> None:
    done = resume(5, 6, Verdict.VERIFIED)
    assert not after(latched(), board(HALTED, 0), board(TRADING, 10, done), board(TRADING, 90, done))
    under_way = resume(9, None, None)
    latch = latched()
    assert not after(latch, board(HALTED, 0), board(TRADING, 10, under_way))
    assert not after(latch, board(TRADING, 11, resume(9, 11, Verdict.VERIFIED)))
    failed = resume(5, 6, Verdict.FAILED)
    assert after(latched(), board(HALTED, 0), board(TRADING, 10, failed))


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
    assert after(latched(lambda: records), board(HALTED, 0), board(TRADING, 10)) is is_alarmed


def test_one_under_way_has_its_time_also_while_what_opens_by_itself_is_closed() -> None:
    """What opens last keeps all of trading halted, as it has been for hours, and says nothing about that."""
    latch, records = latched(lambda: records), [record("intent", 4000)]
    since = board(HALTED, 0, recon=HALTED).trading.since

    def closed(state: TradingState, seconds: float) -> Board:
        made = board(state, seconds, recon=HALTED)
        return replace(made, trading=replace(made.trading, since=since))

    assert not after(latch, closed(HALTED, 0), closed(TRADING, 4010), closed(TRADING, 4050))
    assert after(latch, closed(TRADING, 4010 + PENDING))


def test_one_that_has_a_container_made_healthy_has_the_time_that_takes() -> None:
    """Docker looks after its health every half minute, and its proof follows upon that."""
    latch, first = latched(lambda: [record("intent", 8)]), board(TRADING, 10)
    assert not after(latch, board(HALTED, 0), first)
    assert not after(latch, replace(first, taken=at(130)))


def test_a_resume_long_before_the_last_halt_explains_nothing() -> None:
    latch = latched(lambda: [record("intent", -101), record("outcome", -100, verdict="VERIFIED")])
    assert after(latch, board(HALTED, 0), board(TRADING, 10))


def test_an_intent_without_an_end_does_not_excuse_it_for_ever() -> None:
    latch = latched(lambda: [record("intent", 8)])
    first = board(TRADING, 10)
    after(latch, board(HALTED, 0), first)
    latch.see(first, at(10 + PENDING + 1))
    assert latch.alarm is not None


def test_a_halt_proved_before_this_room_started_counts_too() -> None:
    halted = record("outcome", -50, verdict="VERIFIED", procedure="stop-it", **{"class": "stop"})
    assert after(latched(lambda: [halted]), board(TRADING, 0))
    resumed = record("outcome", -20, verdict="VERIFIED")
    assert not after(latched(lambda: [halted, resumed]), board(TRADING, 0))


def test_a_journal_that_is_still_being_read_is_asked_again_at_the_next_board() -> None:
    failed = record("outcome", -30, procedure="stop-it", verdict="FAILED", **{"class": "stop"})
    answers: list[list[dict[str, Any]] | Exception] = [NotYetError(), [failed]]
    latch = Latch("desk", lambda: given(answers), SPEC)
    assert not after(latch, board(TRADING, 0))
    assert after(latch, board(TRADING, 1))
    assert latch.alarm is not None and latch.alarm.id == UNMET
    answers = [NotYetError(), NotYetError(), [record("outcome", 9, verdict="VERIFIED")]]
    latch = Latch("desk", lambda: given(answers), SPEC)
    assert not after(latch, board(HALTED, 0), *(board(TRADING, 10 + second) for second in range(5)))


def given(answers: list[list[dict[str, Any]] | Exception]) -> list[dict[str, Any]]:
    """The next answer; the last one again and again."""
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_a_journal_that_cannot_be_read_explains_nothing() -> None:
    def broken() -> list[dict[str, Any]]:
        raise OSError("gone")

    assert after(latched(broken), board(HALTED, 0), board(TRADING, 10))


FAILURES = (Verdict.FAILED, Verdict.CONTRADICTED, Verdict.UNCONFIRMED, Verdict.PARTIAL)


@pytest.mark.parametrize("verdict", FAILURES)
def test_a_halt_ordered_here_that_never_held_stays_told_until_it_is_read_back(verdict: Verdict) -> None:
    latch, failed = latched(), halt(5, verdict)
    assert after(latch, board(TRADING, 0), board(TRADING, 7, failed), board(TRADING, 900))
    assert latch.alarm is not None and (latch.alarm.id, latch.alarm.priority) == (UNMET, Priority.CRITICAL)
    assert str(latch.alarm.title) == "Halt ordered 14:13:25Z is NOT in force"
    assert latch.alarm.response.endswith(" By hand: stop the first. Then the second.")
    assert latch.alarm.section == "Halting"
    latch.acknowledge()
    assert after(latch, board(TRADING, 901, failed))
    assert after(latch, board(UNKNOWN, 902, failed))
    assert "NOT CONFIRMED" in str(latch.alarm and latch.alarm.title)
    assert not after(latch, board(HALTED, 903, failed))


def test_a_proved_halt_that_no_board_ever_showed_is_told_by_what_is_read_after_it() -> None:
    proved = halt(5, Verdict.VERIFIED)
    latch = latched()
    assert not after(latch, board(TRADING, 5.5, proved))
    assert after(latch, board(TRADING, 7, proved))
    assert latch.alarm is not None and latch.alarm.id == UNMET
    # Shown halted and then on again is the other alarm.
    latch = latched()
    assert after(latch, board(HALTED, 7, proved), board(TRADING, 9, proved))
    assert latch.alarm is not None and latch.alarm.id == ALARM


def test_only_a_resume_after_the_order_releases_it() -> None:
    failed = halt(5, Verdict.FAILED)
    before = resume(1, 2, Verdict.VERIFIED)
    assert after(latched(), board(TRADING, 7, failed, before))
    latch = latched()
    assert not after(
        latch, board(TRADING, 7, failed), board(TRADING, 20, resume(10, 12, Verdict.VERIFIED), failed)
    )
    assert not after(latch, board(TRADING, 30, failed))
    records: list[dict[str, Any]] = []
    latch = latched(lambda: records)
    assert after(latch, board(TRADING, 7, failed))
    records.append(record("outcome", 9, verdict="VERIFIED"))
    assert not after(latch, board(TRADING, 12, failed))


def test_a_stop_that_closes_no_gate_is_no_halt() -> None:
    assert not after(latched(), board(TRADING, 0), board(TRADING, 7, halt(5, Verdict.FAILED, "cancel")))
    cancelled = record("outcome", -50, verdict="VERIFIED", procedure="cancel", **{"class": "stop"})
    assert not after(latched(lambda: [cancelled]), board(TRADING, 0))


def test_a_halt_that_failed_before_this_room_started_is_told_too() -> None:
    failed = record("outcome", -50, verdict="FAILED", procedure="stop-it", **{"class": "stop"})
    latch = latched(lambda: [failed])
    assert after(latch, board(TRADING, 0))
    assert latch.alarm is not None and latch.alarm.id == UNMET


def test_a_halt_whose_end_was_recorded_late_counts_from_when_it_was_ordered() -> None:
    """A cut-off one gets its outcome from the next room, which may start long after a resume."""
    stop = {"procedure": "stop-it", "class": "stop", "operation": "op-h"}
    ordered = record("intent", -600, **stop)
    closed = record("outcome", -10, **stop, verdict="UNCONFIRMED", session={"via": "restart"})
    resumed = record("outcome", -300, verdict="VERIFIED")
    assert not after(latched(lambda: [ordered, resumed, closed]), board(TRADING, 0))
    latch = latched(lambda: [record("outcome", -700, verdict="VERIFIED"), ordered, closed])
    assert after(latch, board(TRADING, 0))
    assert latch.alarm is not None and latch.alarm.title == "Halt ordered 14:03:20Z is NOT in force"


def test_orders_accepted_while_the_halt_stands_are_counted_and_critical() -> None:
    latch = latched()
    assert not after(
        latch, board(TRADING, 0, orders=5), board(HALTED, 1, orders=7), board(HALTED, 4, orders=8)
    )
    assert after(latch, board(HALTED, 6, orders=10), board(HALTED, 9, orders=9), board(HALTED, 12, orders=10))
    assert latch.alarm is not None and (latch.alarm.id, latch.alarm.priority) == (ACCEPTED, Priority.CRITICAL)
    assert str(latch.alarm.title) == "Orders accepted since the halt: 3"
    done = resume(20, 21, Verdict.VERIFIED)
    assert not after(latch, board(TRADING, 22, done, orders=11))
    assert not after(latch, board(HALTED, 30, orders=50), board(HALTED, 33, orders=50))
