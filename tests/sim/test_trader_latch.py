"""A trader that a room has halted trades again only by a room; what it does by itself says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derive import trading
from backends.journal.tail import NotYetError
from backends.model.action import DockerVerb, Observe
from backends.model.alarm import Priority
from backends.model.board import Board
from backends.model.condition import Param
from backends.model.procedure import Procedure, Proof, RiskClass, Run, Step, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment, GateSpec
from backends.model.trading import Gate, Trading, TradingState
from backends.procedures.latch import UNMET, halts_trading
from backends.procedures.trader_latch import ALARM, PENDING, TraderLatch, latches
from backends.stacks.loader import built_in, load_stack
from tests.building import ok, stack
from tests.sim.test_latch import at, given, halt, record
from tests.sim.world import HALT

BOTS = ("bot1", "bot2")
GATES = tuple(
    GateSpec(
        f"{bot}.state", bot.title(), frozenset({"running"}), frozenset({"soft_pause", "hard_stop"}),
        TradingState.UNKNOWN, "silent", latches=False, service=bot,
    )
    for bot in BOTS
)  # fmt: skip
PARAM = Param("bot", "Bot", is_service=True, one_of=BOTS)


def procedure(ident: str, risk: RiskClass, *proof: Proof, action: Any = None) -> Procedure:
    step = Step("it", "It", action or Observe(), proof)
    return replace(HALT, id=ident, risk=risk, steps=(step,), params=(PARAM,))


SPEC = stack(
    id="desk",
    gates=GATES,
    is_several=True,
    halt_path="halt-all",
    procedures={
        each.id: each
        for each in (
            procedure("halt-all", RiskClass.STOP, Proof("bot1.state", ("hard_stop",))),
            procedure("pause", RiskClass.STOP, Proof("$bot.state", ("soft_pause", "hard_stop"))),
            procedure(
                "stop", RiskClass.STOP, Proof("$bot.up", at_most=0),
                action=DockerVerb("docker", "stop", "$bot"),
            ),
            procedure("resume", RiskClass.RESTORE, Proof("$bot.state", ("running",))),
            procedure("make-anew", RiskClass.DEGRADE, Proof("service:bot1", ("healthy",))),
            procedure("take-down", RiskClass.DEGRADE, Proof("service:bot1", is_missing=True)),
        )
    },
)  # fmt: skip
HALTED, TRADING, UNKNOWN = TradingState.HALTED, TradingState.TRADING, TradingState.UNKNOWN


def board(
    seconds: float, one: TradingState, two: TradingState = TRADING, *runs: Run, lag: float = 0.0
) -> Board:
    """Both bots in these states; each spoke ``lag`` seconds before."""
    now = at(seconds)
    gates = tuple(
        Gate(gate.fact, gate.label, None, state, SafeText(""))
        for gate, state in zip(GATES, (one, two), strict=True)
    )
    whole = next((it for it in (TRADING, UNKNOWN) if it in (one, two)), HALTED)
    trading = Trading(whole, SafeText(""), now, now, gates)
    readings = {gate.fact: ok(gate.fact, "x", now, observed_lag=lag) for gate in GATES}
    return Board("desk", 1, now, Environment.PAPER, readings, {}, trading, runs=runs)


def stopped(seconds: float, fact: str = "bot1.state", **more: Any) -> dict[str, Any]:
    """The end of a stop by which that was read back."""
    read = {"fact": fact, "sight": "holds", "text": ""}
    return record("outcome", seconds, procedure="pause", verdict="VERIFIED", after=[read]) | {
        "class": "stop", **more,
    }  # fmt: skip


def started(seconds: float, fact: str = "bot1.state", **more: Any) -> dict[str, Any]:
    """The end of a run by which that was read back."""
    read = {"fact": fact, "sight": "holds", "text": ""}
    return record("outcome", seconds, verdict="VERIFIED", after=[read]) | more


def titled(*boards: Board, records: Callable[[], list[dict[str, Any]]]) -> str | None:
    """The title of the alarm after these boards."""
    latch = TraderLatch(SPEC, records)
    for each in boards:
        latch.see(each, each.taken)
    return None if latch.alarm is None else str(latch.alarm.title)


def test_a_bot_that_a_room_halted_and_nobody_started_is_critical_and_named() -> None:
    latch = TraderLatch(SPEC, lambda: [stopped(0)])
    for each in (board(1, HALTED), board(5, UNKNOWN), board(10, TRADING)):
        latch.see(each, each.taken)
    assert latch.alarm is not None
    assert (latch.alarm.id, latch.alarm.priority) == (ALARM, Priority.CRITICAL)
    assert str(latch.alarm.title) == "UNEXPLAINED RESUME: Bot1 halted 14:13:20Z, trading now"
    later = board(500, TRADING)
    latch.see(later, later.taken)
    assert latch.alarm is not None
    latch.acknowledge()
    for each in (board(501, TRADING), board(600, HALTED), board(610, TRADING)):
        latch.see(each, each.taken)
        assert latch.alarm is None


def test_a_bot_that_no_room_has_halted_may_pause_and_go_on_as_it_likes() -> None:
    seen = (board(0, HALTED, HALTED), board(5, TRADING, TRADING), board(9, HALTED), board(12, TRADING))
    assert titled(*seen, records=list) is None
    assert titled(*seen, records=lambda: [stopped(-50, "bot2.state", stack="other")]) is None
    assert titled(*seen, records=lambda: [stopped(-50, mode="dry")]) is None
    # What a stop looked at and found otherwise was not halted by it.
    contrary = {"fact": "bot1.state", "sight": "contrary", "text": ""}
    assert titled(*seen, records=lambda: [stopped(-50, after=[contrary])]) is None


def test_each_bot_is_judged_for_itself_and_all_stand_in_one_alarm() -> None:
    def records() -> list[dict[str, Any]]:
        return [stopped(0), stopped(1, "bot2.state"), started(20)]

    both = (board(2, HALTED, HALTED), board(25, TRADING, TRADING))
    assert titled(*both, records=records) == "UNEXPLAINED RESUME: Bot2 halted 14:13:21Z, trading now"
    two = titled(*both, records=lambda: records()[:2])
    assert two is not None and two.count("trading now") == 2


@pytest.mark.parametrize(
    ("records", "is_alarmed"),
    [
        ([started(9)], False),
        ([started(9, verdict="FAILED")], True),
        ([started(9, verdict="PARTIAL")], False),
        ([started(9, mode="dry")], True),
        ([started(9, "service:bot1", procedure="make-anew")], False),
        ([started(9, "service:bot1", procedure="take-down")], True),
        ([started(9, "bot2.state")], True),
        ([record("intent", 8)], False),
        ([record("intent", 8), record("refused", 9, verdict="REFUSED")], True),
        ([record("intent", 8, procedure="take-down")], True),
    ],
)
def test_only_a_run_that_was_proved_to_start_this_very_bot_explains_it(
    records: list[dict[str, Any]], is_alarmed: bool
) -> None:
    seen = (board(2, HALTED), board(10, TRADING), board(12, TRADING))
    found = titled(*seen, records=lambda: [stopped(0), *records])
    assert (found is not None) is is_alarmed


@pytest.mark.parametrize(
    ("procedure", "fact", "is_alarmed"),
    [
        ("restart-trading-bot", "service:trading_bot", False),
        ("restart-trading-bot", "unit.trading_bot", False),
        ("restart-ops-bot", "unit.ops_bot", True),
        ("restart-policy", "service:rl-policy", True),
    ],
)
def test_a_unit_is_started_by_no_run_that_started_another_one(
    procedure: str, fact: str, is_alarmed: bool
) -> None:
    """The facts of all units of the trading bots begin alike."""
    spec = load_stack(built_in()["trading-bot"])
    run = started(9, fact, procedure=procedure, stack=spec.id)
    records = [stopped(0, "unit.trading_bot", procedure="halt", stack=spec.id), run]
    latch = TraderLatch(spec, lambda: records)
    for seconds, word in ((2, "inactive"), (10, "active"), (12, "active")):
        now = at(seconds)
        readings = {"unit.trading_bot": ok("unit.trading_bot", word, now)}
        state = trading(spec, readings, now, None)
        latch.see(Board(spec.id, 1, now, Environment.PAPER, readings, {}, state), now)
    assert (latch.alarm is not None) is is_alarmed


def test_a_start_before_which_the_bot_was_halted_on_explains_nothing() -> None:
    """It was made anew, stood halted by its file for minutes, and then somebody changed the file by hand."""
    seen = (board(2, HALTED), board(100, HALTED), board(110, TRADING))
    assert titled(*seen, records=lambda: [stopped(0), started(40)]) is not None
    assert titled(*seen, records=lambda: [stopped(0), started(95)]) is None


def test_who_was_started_by_a_room_may_pause_and_go_on_by_itself_from_then_on() -> None:
    records = [stopped(2), started(100)]
    traded = [board(second, TRADING) for second in range(101, 500, 20)]
    later = (board(900, HALTED), board(960, TRADING))
    assert titled(*traded, *later, records=lambda: records) is None
    # The next stop is one again.
    answers: list[list[dict[str, Any]] | Exception] = [records, [*records, stopped(1000)]]
    seen = (*traded, board(1001, HALTED), board(1060, TRADING))
    assert titled(*seen, records=lambda: given(answers)) is not None


def test_a_start_under_way_has_its_time_and_no_more() -> None:
    latch = TraderLatch(SPEC, lambda: [stopped(0)])
    run = Run("op", "desk", "resume", "Resume", at(8), (), None, risk=RiskClass.RESTORE)
    for each in (board(2, HALTED), board(10, TRADING, TRADING, run), board(150, TRADING, TRADING, run)):
        latch.see(each, each.taken)
        assert latch.alarm is None
    late = board(10 + PENDING, TRADING, TRADING, run)
    latch.see(late, late.taken)
    assert latch.alarm is not None


def test_a_halt_by_another_room_or_before_this_one_opened_counts_too() -> None:
    assert titled(board(0, TRADING), records=lambda: [stopped(-500)]) is not None
    assert titled(board(0, TRADING), records=lambda: [stopped(-500), started(-400)]) is None


def test_a_stopped_container_counts_as_halted_by_whatever_proved_that() -> None:
    assert titled(board(0, TRADING), records=lambda: [stopped(-500, "bot1.up", procedure="stop")]) is not None
    assert titled(board(0, TRADING), records=lambda: [stopped(-500, "bot3.up", procedure="stop")]) is None


def test_a_bot_that_no_board_has_shown_halted_is_told_by_what_it_says_after_the_stop() -> None:
    """Its last word from before the stop is read for some seconds more."""
    done = replace(halt(3, Verdict.VERIFIED, "pause"), ended=at(4))
    answers: list[list[dict[str, Any]] | Exception] = [[], [stopped(4)]]
    latch = TraderLatch(SPEC, lambda: given(answers))
    for each in (board(0, TRADING), board(5, TRADING, TRADING, done, lag=2.0)):
        latch.see(each, each.taken)
        assert latch.alarm is None
    spoke = board(8, TRADING, TRADING, done, lag=1.0)
    latch.see(spoke, spoke.taken)
    assert latch.alarm is not None


@pytest.mark.parametrize("trouble", [NotYetError(), OSError("gone")])
def test_a_journal_that_cannot_be_read_now_is_asked_again_at_the_next_board(trouble: Exception) -> None:
    answers: list[list[dict[str, Any]] | Exception] = [trouble, [stopped(-50)]]
    assert titled(board(0, TRADING), records=lambda: given([trouble])) is None
    assert titled(board(0, TRADING), board(1, TRADING), records=lambda: given(answers)) is not None


def test_it_is_over_when_the_bot_is_halted_again() -> None:
    seen = (board(2, HALTED), board(10, TRADING), board(20, HALTED))
    assert titled(*seen, records=lambda: [stopped(0)]) is None


def test_the_journal_is_asked_once_for_a_bot_that_trades_on() -> None:
    asked: list[int] = []

    def records() -> list[dict[str, Any]]:
        asked.append(1)
        return []

    titled(*(board(second, TRADING) for second in range(50)), records=records)
    assert len(asked) == 1


def test_where_each_gate_is_a_trader_the_halt_is_what_its_file_calls_so() -> None:
    halts = [each.id for each in SPEC.procedures.values() if halts_trading(each, SPEC)]
    assert halts == ["halt-all"]


def test_a_halt_of_all_that_is_not_proved_stays_told_until_all_are_halted_or_one_is_resumed() -> None:
    run = replace(halt(3, Verdict.PARTIAL, "halt-all"), ended=at(5))
    resumed = Run("r", "desk", "resume", "Resume", at(30), (), Verdict.VERIFIED, ended=at(31),
                  risk=RiskClass.RESTORE)  # fmt: skip

    def alarms(*boards: Board, records: list[dict[str, Any]]) -> list[str | None]:
        made = latches(SPEC, lambda: lambda: records)
        (latch,) = [each for each in made if not isinstance(each, TraderLatch)]
        told = []
        for each in boards:
            latch.see(each, each.taken)
            told.append(None if latch.alarm is None else str(latch.alarm.title))
            assert latch.alarm is None or latch.alarm.id == UNMET
        return told

    first = board(0, TRADING), board(6, HALTED, TRADING, run), board(9, HALTED, UNKNOWN, run)
    unmet = "Halt ordered 14:13:23Z is NOT in force"
    # The whole is what its slowest trader is; the one that goes on later is told by the other latch.
    later = board(12, HALTED, HALTED, run), board(15, TRADING, HALTED, run)
    assert alarms(*first, *later, records=[]) == [
        None, unmet, unmet.replace("NOT in force", "NOT CONFIRMED"), None, None,
    ]  # fmt: skip
    assert alarms(*first, board(32, TRADING, TRADING, run, resumed), records=[])[-1] is None
    left = record("outcome", -9, procedure="halt-all", verdict="PARTIAL") | {"class": "stop"}
    assert alarms(board(0, TRADING), records=[left]) == ["Halt ordered 14:13:11Z is NOT in force"]
