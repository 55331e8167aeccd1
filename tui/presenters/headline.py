"""The header of a stack at one moment."""

from __future__ import annotations

from collections import Counter

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Stack
from backends.model.trading import TradingState
from tui.actions import EMERGENCIES, key_text
from tui.presenters import words
from tui.presenters.state import data_age, engine_silence, source_is_down, trading_now
from widgets.band import HeadlineView


def headline(
    stack: Stack, board: Board, now: Instant, *, is_armed: bool, beat: int, host: str
) -> HeadlineView:
    """Everything the header shows; the state is what can be claimed at ``now``, not what the board says."""
    trading = trading_now(board, now)
    halt = EMERGENCIES[0]
    return HeadlineView(
        environment=board.environment,
        stack=SafeText(stack.id),
        trading=trading.state,
        because=trading.because,
        trading_age=trading.held if trading.state is TradingState.UNKNOWN else trading.age,
        data_age=data_age(board, now),
        is_armed=is_armed,
        wall=now.wall,
        alarms=Counter(alarm.priority for alarm in board.alarms),
        beat=beat,
        banner=banner(board, now),
        note=SafeText(f"{freshness(board)}  {host}"),
        kill_key=SafeText(key_text(halt.keys[0])) if is_armed else NO_TEXT,
        kill_label=SafeText(halt.label) if is_armed else NO_TEXT,
    )


def banner(board: Board, now: Instant) -> SafeText:
    """What outranks the rest of the header: an engine that no longer observes."""
    silence = engine_silence(board, now)
    if silence is None:
        return NO_TEXT
    return SafeText(f"NOT OBSERVING for {words.whole_age(silence)}: alarms are not running, all is old")


def freshness(board: Board, noun: str = " sources") -> str:
    """How many sources answer: ``5/5 sources``, and the names of those that do not."""
    sources = board.sources.values()
    down = [it.id for it in sources if source_is_down(it)]
    text = f"{sum(1 for it in sources if it.is_up)}/{len(board.sources)}{noun}"
    return f"{text}, not {', '.join(down)}" if down else text
