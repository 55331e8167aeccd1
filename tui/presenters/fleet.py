"""All stacks, one row each: may it trade, halted for how long at least, what is worst, how old it all is."""

from __future__ import annotations

from collections.abc import Sequence

from backends.model.alarm import Alarm
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Environment, Stack
from backends.model.trading import TradingState
from tui.moment import Moment
from tui.presenters import words
from tui.presenters.headline import freshness
from tui.presenters.state import data_age, engine_silence, source_is_down, trading_now
from widgets.glyphs import PRIORITY, TRADING, is_ascii
from widgets.grid_layout import Column
from widgets.roles import Role
from widgets.row import Cell, Row

_OLD = 10.0
"""Seconds without any answer after which a stack's freshness is marked."""

_ENVIRONMENTS: dict[Environment, Role] = {
    Environment.LIVE: "badge-live",
    Environment.PAPER: "badge-paper",
    Environment.DEMO: "badge-demo",
}


def columns() -> tuple[Column, ...]:
    """All columns. Where there is no room for all, words of the worst alarm are worth more than numbers."""
    return (
        Column("sign", NO_TEXT, 4 if is_ascii() else 1),
        Column("stack", SafeText("STACK"), 16, flex=1),
        Column("environment", SafeText("ENV"), 5),
        Column("trading", SafeText("TRADING"), 12),
        Column("since", SafeText("HALTED"), 6, align="right", drop=1),
        Column("fresh", SafeText("DATA"), 5, align="right"),
        Column("sources", SafeText("SOURCES"), 24, least=7, drop=2, flex=1),
        Column("worst", SafeText("WORST ALARM"), 60, least=20, flex=4),
    )


def rows(moments: Sequence[Moment]) -> tuple[Row, ...]:
    """One row a stack in configured order, keyed by its id."""
    return tuple(_row(it.stack, it.board, it.now) for it in moments)


def summary(moments: Sequence[Moment]) -> SafeText:
    """For the pane's title: how many may trade, are halted, and are not known."""
    states = [trading_now(it.board, it.now).state for it in moments]
    parts = [
        f"{states.count(state)} {word}"
        for state, word in (
            (TradingState.TRADING, "trading"),
            (TradingState.HALTED, "halted"),
            (TradingState.CONFLICT, "in conflict"),
            (TradingState.UNKNOWN, "unknown"),
            (TradingState.NO_HALT_PATH, "without halt path"),
        )
        if state in states
    ]
    noun = "stack" if len(states) == 1 else "stacks"
    return SafeText(f"{len(states)} {noun}: {', '.join(parts)}")


def _row(stack: Stack, board: Board, now: Instant) -> Row:
    trading = trading_now(board, now)
    sign = TRADING[trading.state]
    # It was first seen so long ago; since when it stands only who was here before can know.
    halted = f">{words.short_span(trading.held)}" if trading.state is TradingState.HALTED else words.NOTHING
    worst, role = _worst(board, now)
    return Row(
        stack.id,
        (
            Cell(sign.mark, sign.role),
            Cell(SafeText(stack.id), "strong"),
            Cell(SafeText(board.environment.value), _ENVIRONMENTS[board.environment]),
            Cell(SafeText(sign.word), sign.badge),
            Cell(SafeText(halted), "state-halted" if trading.state is TradingState.HALTED else "muted"),
            _fresh(board, now),
            Cell(SafeText(freshness(board, noun="")), "state-warn" if _is_deaf(board) else "muted"),
            Cell(worst, role),
        ),
    )


def _fresh(board: Board, now: Instant) -> Cell:
    """How old it is what says whether it trades: something on this host always answers."""
    age = data_age(board, now)
    if age is None:
        return Cell(SafeText("none"), "state-unknown")
    if board.trading.gates:
        age = max(age, now.since(board.trading.as_of))
    return Cell(SafeText(words.whole_age(age)), "stale" if age > _OLD else "muted")


def _is_deaf(board: Board) -> bool:
    return any(source_is_down(it) for it in board.sources.values())


def _worst(board: Board, now: Instant) -> tuple[SafeText, Role]:
    """The most urgent alarm. "None" is said only when every source has answered and the engine lives."""
    silence = engine_silence(board, now)
    if silence is not None:
        return SafeText(f"NOT OBSERVING for {words.whole_age(silence)}"), "badge-bad"
    if board.alarms:
        return _shown(board.alarms[0], len(board.alarms))
    if any(it.is_up is None for it in board.sources.values()):
        return SafeText("not known yet"), "state-unknown"
    if _is_deaf(board):
        return SafeText("none raised, but not all is known"), "state-unknown"
    return SafeText("none"), "muted"


def _shown(alarm: Alarm, count: int) -> tuple[SafeText, Role]:
    sign = PRIORITY[alarm.priority]
    more = f"  +{count - 1}" if count > 1 else ""
    return SafeText(f"{sign.word} {alarm.title}{more}"), sign.role
