"""Whether a halt that was proved is in force still: its verdict stands on screen while the world moves."""

from __future__ import annotations

from enum import Enum

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Run
from backends.model.trading import TradingState
from backends.procedures.resumes import is_done, resumes
from tui.actions import EMERGENCIES
from tui.presenters.state import is_held, trading_now

SETTLES = 5.0
"""Seconds for which a proof stands by itself, while the board has not asked the gates again."""


class Standing(Enum):
    """What can be claimed now of a verdict that was proved."""

    HOLDS = "it holds, or nothing is claimed of the time after it"
    RELEASED = "a resume ended it"
    UNDONE = "trading is not halted, and no resume of this session did that"
    UNKNOWN = "whether trading is halted is not known now"


def standing(run: Run, board: Board, now: Instant) -> Standing:
    """By the trading state, as the header claims it; only a halt of all trading is held to that."""
    if run.procedure != EMERGENCIES[0].procedure or run.is_dry or not is_held(run):
        return Standing.HOLDS
    state = trading_now(board, now).state
    if state in (TradingState.HALTED, TradingState.NO_HALT_PATH):
        return Standing.HOLDS
    ended = run.ended or run.started
    if any(is_done(each) and each.started.mono > ended.mono for each in resumes(board)):
        return Standing.RELEASED
    if now.since(ended) < SETTLES and not _asked_since(board, ended):
        return Standing.HOLDS
    return Standing.UNKNOWN if state is TradingState.UNKNOWN else Standing.UNDONE


def _asked_since(board: Board, ended: Instant) -> bool:
    read = [board.readings.get(gate.fact) for gate in board.trading.gates]
    return all(it is not None and it.received.mono > ended.mono for it in read)
