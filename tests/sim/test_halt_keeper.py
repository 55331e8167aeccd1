"""When a halt counts as lost: never after a release, never before it was seen, never twice at once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import boot_id
from backends.journal.tail import NotYetError
from backends.model.alarm import Priority
from backends.model.board import Board
from backends.model.fact import ValueType
from backends.model.procedure import Proof, RiskClass, Run, Verdict
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.stack import Environment, GateSpec, Reassertion
from backends.model.trading import Gate, Trading, TradingState
from backends.procedures.reassert import EVERY, PENDING, HaltKeeper
from tests.building import KILL, fact, later, missing, ok, stack
from tests.sim.desk import RESUME
from tests.sim.test_latch import given
from tests.sim.world import HALT

GATE = GateSpec(
    "kill.state", "Kill switch", frozenset({"ACTIVE"}), frozenset({"ENGAGED"}), TradingState.UNKNOWN, "gone",
    reassert=Reassertion("halt", "kill.at", "kill.off"),
)  # fmt: skip
OPENS = replace(RESUME, steps=(replace(RESUME.steps[1], proof=(Proof("kill.state", ("ACTIVE",)),)),))
RESET = replace(RESUME, id="reset", steps=RESUME.steps[:1])
SPEC = stack(
    id="desk", gates=(GATE,), procedures={each.id: each for each in (HALT, OPENS, RESET)},
    facts={
        each.id: each
        for each in (KILL, fact("kill.at", kind=ValueType.TIME), fact("kill.off", kind=ValueType.TIME))
    },
)  # fmt: skip
STATES = {"ENGAGED": TradingState.HALTED, "ACTIVE": TradingState.TRADING, None: TradingState.UNKNOWN}


def board(
    word: str | None, seconds: float, *runs: Run, at: float | None = 0.0, off: float | None = None
) -> Board:
    """The key reading this word, or missing; halted since ``at`` and released at ``off``."""
    now = later(seconds)
    key: Reading[Any] = missing("kill.state", now) if word is None else ok("kill.state", word, now)
    times = {"kill.at": at, "kill.off": off}
    readings = {
        "kill.state": key,
        **{
            name: missing(name, now) if wall is None or word is None else ok(name, later(wall).wall, now)
            for name, wall in times.items()
        },
    }
    gate = Gate(
        "kill.state", "Kill switch", None if word is None else SafeText(word), STATES[word], SafeText("")
    )
    trading = Trading(gate.state, SafeText(""), now, now, (gate,))
    return Board("desk", 1, now, Environment.PAPER, readings, {}, trading, runs=runs)


def run(procedure: str, started: float, verdict: Verdict | None, risk: RiskClass) -> Run:
    end = None if verdict is None else later(started + 1)
    return Run("op", "desk", procedure, "x", later(started), (), verdict, ended=end, risk=risk)


def record(procedure: str, seconds: float, risk: str = "restore", **more: Any) -> dict[str, Any]:
    return {
        "kind": "outcome", "at": later(seconds).iso(), "stack": "desk", "mode": "live", "class": risk,
        "procedure": procedure, "operation": "op-9", "verdict": "VERIFIED", **more,
    }  # fmt: skip


def ordered(keeper: HaltKeeper, *boards: Board) -> list[float]:
    """The seconds at which a halt is ordered again."""
    times = []
    for each in boards:
        keeper.see(each, each.taken)
        times += [each.taken.mono - later(0).mono for _ in keeper.due(each, each.taken)]
    return times


def keeper(*records: dict[str, Any]) -> HaltKeeper:
    return HaltKeeper(SPEC, lambda: records)


@pytest.mark.parametrize(
    "lost",
    [board(None, 10), board("ACTIVE", 10, at=None), board("ACTIVE", 10, at=-900, off=-600),
     board("ENGAGED", 10, at=-900)],
    ids=["missing", "made anew", "an older copy, released before", "an older halt"],
)  # fmt: skip
def test_a_halt_that_was_seen_and_is_gone_is_critical_and_ordered_at_once(lost: Board) -> None:
    watched = keeper()
    assert ordered(watched, board("ENGAGED", 5), lost) == [10]
    assert [each.priority for each in watched.alarms] == [Priority.CRITICAL]
    assert str(watched.alarms[0].title) == "HALT LOST 14:13:30Z: Kill switch"


def test_it_is_ordered_again_every_five_seconds_while_it_stays_lost_and_not_while_a_halt_runs() -> None:
    gone = [board(None, 10 + second) for second in range(12)]
    assert ordered(keeper(), board("ENGAGED", 5), *gone) == [10, 10 + EVERY, 10 + 2 * EVERY]
    under_way = run("halt", 9, None, RiskClass.STOP)
    assert ordered(keeper(), board("ENGAGED", 5), board(None, 10, under_way)) == []


def test_what_is_back_stays_told_until_somebody_has_seen_it() -> None:
    watched = keeper()
    ordered(watched, board("ENGAGED", 5), board(None, 10))
    watched.acknowledge()
    assert len(watched.alarms) == 1
    assert ordered(watched, board("ENGAGED", 12, at=11), board("ENGAGED", 30, at=11)) == []
    assert "in force again 14:13:32Z" in watched.alarms[0].title
    watched.acknowledge()
    assert watched.alarms == ()


def test_a_fight_over_an_older_halt_ends_with_the_one_that_stands() -> None:
    watched = keeper()
    assert ordered(watched, board("ENGAGED", 5), board("ENGAGED", 10, at=-900)) == [10]
    # The host that puts it back has a clock that is an hour behind.
    behind = [board("ENGAGED", 12 + second, at=-3600) for second in range(20)]
    assert ordered(watched, *behind) == []


@pytest.mark.parametrize(
    ("seen", "then", "records"),
    [
        ((), board(None, 10), ()),
        ((board("ENGAGED", 5),), board("ACTIVE", 10, off=9), ()),
        ((board("ENGAGED", 5),), board(None, 70), (record("resume", 65),)),
        ((board("ENGAGED", 5),), board(None, 70, run("resume", 64, Verdict.VERIFIED, RiskClass.RESTORE)), ()),
        ((board("ACTIVE", 5, at=None),), board(None, 10), ()),
    ],
    ids=["never seen", "released by another tool", "resumed by another room", "resumed here", "not halted"],
)  # fmt: skip
def test_nothing_is_put_back_that_was_not_halted_or_was_released(
    seen: tuple[Board, ...], then: Board, records: tuple[dict[str, Any], ...]
) -> None:
    watched = keeper(*records)
    assert ordered(watched, *seen, then) == []
    assert watched.alarms == ()


@pytest.mark.parametrize(
    "records",
    [
        (record("resume", -20),),
        (record("resume", 3600, mono=later(-20).mono, boot=boot_id()),),
        (record("reset", 9),),
        (record("resume", 9, verdict="FAILED"),),
        (record("resume", 9, mode="dry"),),
    ],
    ids=[
        "a resume before this halt",
        "one before the clock was set back",
        "what opens another gate",
        "one that failed",
        "a dry run",
    ],
)
def test_only_a_resume_of_this_very_halt_explains_its_end(records: tuple[dict[str, Any], ...]) -> None:
    assert ordered(keeper(*records), board("ENGAGED", 5), board(None, 10)) == [10]


def test_a_resume_explains_the_end_of_a_halt_that_began_before_the_clock_was_set_back() -> None:
    resumed = record("resume", 65, mono=later(65).mono, boot=boot_id())
    assert ordered(keeper(resumed), board("ENGAGED", 5, at=3600), board(None, 70, at=3600)) == []


def test_a_resume_under_way_has_half_a_minute() -> None:
    under_way = run("resume", 8, None, RiskClass.RESTORE)
    watched = keeper()
    assert ordered(watched, board("ENGAGED", 5), board(None, 10, under_way)) == []
    assert ordered(watched, board(None, 11 + PENDING, under_way)) == [11 + PENDING]


def test_a_halt_of_before_this_room_started_is_known_by_the_journal() -> None:
    halted = record("halt", -50, "stop")
    assert ordered(keeper(halted), board(None, 0)) == [0]
    assert ordered(keeper({**halted, "verdict": "WRITTEN, NOT CONFIRMED"}), board(None, 0)) == [0]
    assert ordered(keeper({**halted, "verdict": "FAILED"}), board(None, 0)) == []
    assert ordered(keeper(halted, record("resume", -20)), board(None, 0)) == []
    assert ordered(keeper(halted), board("ACTIVE", 0, at=-50, off=-30)) == []


def test_a_journal_that_is_still_being_read_is_asked_again_at_the_next_board() -> None:
    answers = [NotYetError(), [record("halt", -30, risk="stop")]]
    watched = HaltKeeper(SPEC, lambda: given(answers))
    assert ordered(watched, board(None, 5), board(None, 6)) == [6]


def test_what_cannot_be_read_or_was_read_long_ago_is_no_loss() -> None:
    watched = keeper()
    ordered(watched, board("ENGAGED", 5))
    old = replace(board(None, 10), taken=later(60))
    assert ordered(watched, old) == []


WRITTEN = run("halt", 1, Verdict.WRITTEN, RiskClass.STOP)
BY_ANOTHER = replace(run("halt", 1, Verdict.VERIFIED, RiskClass.STOP), room="kim on /dev/pts/3")


@pytest.mark.parametrize("stop", [run("halt", 1, Verdict.VERIFIED, RiskClass.STOP), WRITTEN, BY_ANOTHER])
@pytest.mark.parametrize("back", [board("ACTIVE", 120, at=-900, off=-600), board(None, 120)])
def test_a_proved_stop_counts_although_its_own_store_was_not_heard_since(stop: Run, back: Board) -> None:
    """It was proved by another way, while the store was away for longer than any way is tried."""
    watched = keeper()
    assert ordered(watched, board("ACTIVE", 0, at=-900, off=-600), replace(back, runs=(stop,))) == [120]
    assert "HALT LOST" in watched.alarms[0].title


@pytest.mark.parametrize(
    "stop",
    [run("halt", 1, Verdict.UNCONFIRMED, RiskClass.STOP), run("halt", 1, None, RiskClass.STOP),
     replace(run("halt", 1, Verdict.VERIFIED, RiskClass.STOP), is_dry=True),
     run("cancel", 1, Verdict.VERIFIED, RiskClass.STOP)],
    ids=["not proved", "under way", "a dry run", "what stops something else"],
)  # fmt: skip
def test_what_was_not_proved_to_halt_puts_nothing_back(stop: Run) -> None:
    assert ordered(keeper(), board("ACTIVE", 0), board("ACTIVE", 120, stop)) == []


def test_a_journalled_resume_newer_than_the_stop_is_never_overruled_and_an_older_one_explains_nothing() -> (
    None
):
    stop = run("halt", 1, Verdict.VERIFIED, RiskClass.STOP)
    newer, older = record("resume", 70), record("resume", 0)
    away = board("ACTIVE", 0, at=-900)
    later_stop = run("halt", 20, Verdict.VERIFIED, RiskClass.STOP)
    released = board("ACTIVE", 120, later_stop, at=0, off=10)
    assert ordered(keeper(), board("ENGAGED", 5), released) == [120], "that release was before the stop"
    assert ordered(keeper(newer), away, *[board("ACTIVE", 120 + s, stop, at=-900) for s in range(9)]) == []
    assert ordered(keeper(older), away, board("ACTIVE", 120, stop, at=-900)) == [120]


def test_what_was_read_before_the_proof_is_no_loss_and_a_young_stop_brings_it_back_by_itself() -> None:
    watched, stop = keeper(), run("halt", 9, Verdict.VERIFIED, RiskClass.STOP)
    before = replace(board("ACTIVE", 9.9, stop), taken=later(10.1))
    assert ordered(watched, before, board("ACTIVE", 10.5, stop), board("ENGAGED", 13, stop, at=12)) == []
    assert watched.alarms == ()
    # Its last way has ended with its process, say.
    assert ordered(watched, board("ACTIVE", 14, stop, at=None)) == [14]
    assert ordered(keeper(), *[board("ACTIVE", 10.5 + s, stop) for s in range(4)]) == [10.5 + 3]
