"""Active alarms as rows, and what to say when there are none: silence has to be explained."""

from __future__ import annotations

from backends.model.alarm import Alarm
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.safetext import NO_TEXT, SafeText
from tui.presenters import words
from tui.presenters.state import engine_silence, source_is_down
from widgets.glyphs import PRIORITY, is_ascii
from widgets.grid_layout import Column
from widgets.row import Cell, Row


def columns() -> tuple[Column, ...]:
    """All columns; what to do is dropped first, then the response is one Enter away."""
    return (
        Column("sign", NO_TEXT, 4 if is_ascii() else 1),
        Column("priority", SafeText("PRIO"), 4),
        Column("since", SafeText("FOR"), 4, align="right"),
        Column("title", SafeText("WHAT IS WRONG"), 60, least=40, flex=2),
        Column("response", SafeText("WHAT TO DO"), 60, least=48, drop=1, flex=1),
    )


def rows(board: Board, now: Instant) -> tuple[Row, ...]:
    """One row for each active alarm, most urgent first; keyed by alarm id."""
    return tuple(_row(alarm, now) for alarm in board.alarms)


def empty(board: Board, now: Instant) -> SafeText:
    """Why there is no alarm. "None" is claimed only when every source has answered and the engine lives."""
    silence = engine_silence(board, now)
    if silence is not None:
        return SafeText(f"NOT KNOWN: the engine has been silent for {words.whole_age(silence)}")
    unasked = [it.title for it in board.sources.values() if it.is_up is None]
    if unasked:
        return SafeText(f"not known yet: {len(unasked)} of {len(board.sources)} sources have not answered")
    down = [it.title for it in board.sources.values() if source_is_down(it)]
    if down:
        return SafeText(f"none raised, but not known: {', '.join(down)} does not answer")
    return SafeText("no alarm; every source answers")


def summary(board: Board) -> SafeText:
    """For the pane's title."""
    return SafeText(str(len(board.alarms)) if board.alarms else "none")


def _row(alarm: Alarm, now: Instant) -> Row:
    sign = PRIORITY[alarm.priority]
    return Row(
        alarm.id,
        (
            Cell(sign.mark, sign.role),
            Cell(SafeText(sign.word), sign.role),
            Cell(SafeText(words.short_span(max(0.0, now.since(alarm.since)))), "muted"),
            Cell(alarm.title, "strong"),
            Cell(alarm.response, "muted"),
        ),
    )
