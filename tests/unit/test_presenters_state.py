"""What may be claimed about trading at this moment, from a board that only grows older."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.board.derive import trading
from backends.model.clock import Instant
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.service import RunState
from backends.model.stack import GateSpec, ServiceSpec
from backends.model.trading import TradingState
from tests.building import START, failed, running, stack
from tests.building import later as after
from tests.pilot import scenes, world
from tests.pilot.world import reading, with_readings
from tui.presenters.headline import banner, freshness
from tui.presenters.state import data_age, engine_silence, trading_now

NOW = Instant(1000.0, 1_790_000_000.0)


def later(seconds: float) -> Instant:
    return Instant(NOW.mono + seconds, NOW.wall + seconds)


def test_trading_is_claimed_only_while_every_gate_is_current() -> None:
    board = world.fresh(NOW)
    assert trading_now(board, NOW).state is TradingState.TRADING
    assert trading_now(board, later(2.5)).state is TradingState.TRADING
    stale = trading_now(board, later(3))
    assert stale.state is TradingState.UNKNOWN
    assert stale.because == "last answer 3s ago; it was TRADING"


@given(st.floats(min_value=0, max_value=1e7))
def test_no_board_claims_trading_after_its_gates_went_stale(seconds: float) -> None:
    state = trading_now(world.fresh(NOW), later(seconds)).state
    assert (state is TradingState.TRADING) <= (seconds <= 2.8)


def test_halted_stands_while_the_gate_that_says_so_is_current() -> None:
    old = reading("recon.complete", NOW, True, old=900)
    assert trading_now(with_readings(scenes.halted(NOW), old), NOW).state is TradingState.HALTED
    gone = reading("kill.state", NOW, outcome=Outcome.FAILED, error=SafeText("no answer"))
    assert trading_now(with_readings(scenes.halted(NOW), gone), NOW).state is TradingState.UNKNOWN


def test_halted_stands_while_what_trades_behind_a_gate_is_known_to_have_ended() -> None:
    """The bots are stopped and their Redis is dead: nothing trades, and nobody can read their last word."""
    spec = GateSpec(
        "kill.state",
        "Kill",
        frozenset({"ACTIVE"}),
        frozenset({"ENGAGED"}),
        TradingState.UNKNOWN,
        "gone",
        service="web",
    )
    made = stack(gates=(spec,), echoes=(), services=(ServiceSpec("web", ("web",), "", "docker"),))
    ended = running("web", RunState.EXITED)
    lost = {"kill.state": failed("kill.state"), "service:web": ended}
    board = replace(world.fresh(START), readings=lost, trading=trading(made, lost, START, None))
    found = trading_now(board, START)
    assert (found.state, found.age) == (TradingState.HALTED, 0.0)
    assert trading_now(board, after(60)).state is TradingState.UNKNOWN


def test_a_host_clock_that_jumps_changes_nothing() -> None:
    jumped = Instant(NOW.mono + 1, NOW.wall + 3600)
    assert trading_now(world.fresh(NOW), jumped).state is TradingState.TRADING


def test_a_stack_that_cannot_be_halted_never_looks_like_one_that_trades() -> None:
    board = world.fresh(NOW)
    none = replace(board.trading, state=TradingState.NO_HALT_PATH, gates=())
    assert trading_now(replace(board, trading=none), later(99)).state is TradingState.NO_HALT_PATH


def test_before_the_first_answer_there_is_no_age() -> None:
    board = world.never(NOW)
    assert trading_now(board, NOW).age is None
    assert data_age(board, NOW) is None


@pytest.mark.parametrize(("seconds", "is_silent"), [(4.9, False), (5.1, True)])
def test_an_engine_that_makes_no_boards_is_named(seconds: float, is_silent: bool) -> None:
    board = world.fresh(NOW)
    assert (engine_silence(board, later(seconds)) is not None) is is_silent
    assert bool(banner(board, later(seconds))) is is_silent


def test_sources_that_do_not_answer_are_named() -> None:
    assert freshness(scenes.failed(NOW)) == "3/5 sources, not redis, postgres"
    assert freshness(world.never(NOW)) == "0/5 sources"
