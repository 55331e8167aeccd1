"""Risk keys of a board as rows in groups: what each says, what that means, and how old it is."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from msgspec import Struct

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, ValueType
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Stack
from backends.model.trading import Gate, TradingState
from tui.presenters import words
from tui.presenters.state import fact_level
from widgets.glyphs import LEVEL, QUALITY, is_ascii, shown_name
from widgets.grid_layout import Column
from widgets.roles import Role
from widgets.row import AnyRow, Cell, Cells, Heading, Row

TITLE = 15
"""Cells that the frame and the name of the pane take beside the sum."""

NARROW = 46
"""Cells of the pane below which value, raw word and age share one column."""

WIDE = 76
"""Cells of the pane from which the raw word has a column of its own."""

CHANGED_FOR = 5.0
"""Seconds for which a value is marked as changed."""

_GATE_WORDS: dict[TradingState, tuple[str, str, Role]] = {
    TradingState.TRADING: ("allowed", "trading allowed", "state-allowed"),
    TradingState.HALTED: ("HALTED", "TRADING HALTED", "state-halted"),
}
_NO_WORD: tuple[str, str, Role] = ("UNKNOWN", "UNKNOWN", "state-unknown")


def _gate_words(gate: Gate) -> tuple[str, str, Role]:
    """Short and long. HALTED is said of a halt alone, not of what only does not run."""
    if gate.idle:
        return gate.idle, gate.idle, "text"
    return _GATE_WORDS.get(gate.state, _NO_WORD)


def columns(width: int) -> tuple[Column, ...]:
    """The columns for a pane that wide."""
    sign = Column("sign", NO_TEXT, 4 if is_ascii() else 1)
    if width < NARROW:
        return (
            sign,
            Column("label", SafeText("RISK KEY"), 11),
            Column("value", SafeText("VALUE"), 14, flex=1),
        )
    label = Column("label", SafeText("RISK KEY"), 24, least=14, flex=1)
    value = Column("value", SafeText("VALUE"), 20, least=16, flex=2)
    age = Column("age", SafeText("AGE"), 11, least=10, align="right")
    if width < WIDE:
        return (sign, label, value, age)
    raw = Column("raw", SafeText("RAW"), 12, least=8, flex=1)
    return (sign, label, value, raw, age, Column("note", SafeText("NOTE"), 40, least=24, drop=1, flex=2))


class FactTable:
    """Makes the rows, and keeps those that would come out the same: most values stand still for seconds."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._headings: dict[str, tuple[list[Level], Heading]] = {}
        self._width = 0

    def draw(
        self, stack: Stack, board: Board, now: Instant, width: int
    ) -> tuple[tuple[AnyRow, ...], SafeText]:
        """Every fact that is shown, under its group in the order of the stack file and keyed by fact id; and
        the summary for the pane's title."""
        if width != self._width:
            self._width = width
            self._kept.clear()
        gates = {gate.fact: gate for gate in board.trading.gates}
        make = _narrow if width < NARROW else _medium if width < WIDE else _wide
        groups: dict[str, list[_Kept]] = {}
        for fact in stack.facts.values():
            if not fact.is_shown:
                continue
            reading, gate = board.readings.get(fact.id), gates.get(fact.id)
            kept = self._kept.get(fact.id)
            if kept is None or not kept.stands(fact, reading, gate, now):
                level = fact_level(stack, board, fact.id, now)
                row = Row(fact.id, partial(make, fact, reading, gate, level, now))
                kept = self._kept[fact.id] = _Kept(fact, reading, gate, level, row)
                kept.until = steady_until(fact, reading, now)
            groups.setdefault(fact.group, []).append(kept)
        out: list[AnyRow] = []
        for group, members in groups.items():
            if width >= NARROW:
                out.append(self._heading(group, [member.level for member in members]))
            out += [member.row for member in members]
        levels = [member.level for members in groups.values() for member in members]
        return tuple(out), _summary(levels, width)

    def _heading(self, group: str, levels: list[Level]) -> Heading:
        kept = self._headings.get(group)
        if kept is None or kept[0] != levels:
            kept = self._headings[group] = (levels, _heading(group, levels))
        return kept[1]


class _Kept(Struct):
    """A row, what it was made of, and until when it stands."""

    fact: Fact
    reading: Reading[Any] | None
    gate: Gate | None
    level: Level
    row: Row
    until: float = -math.inf

    def stands(self, fact: Fact, reading: Reading[Any] | None, gate: Gate | None, now: Instant) -> bool:
        """Whether it would be made so again; also of a newer answer that says the same."""
        if fact is not self.fact or gate != self.gate or now.mono >= self.until:
            return False
        if reading is self.reading:
            return True
        if reading is None or self.reading is None or not _is_alike(reading, self.reading):
            return False
        self.reading, self.until = reading, steady_until(fact, reading, now)
        return now.mono < self.until


def _is_alike(one: Reading[Any], other: Reading[Any]) -> bool:
    """Whether two answers differ in nothing but their time."""
    is_same = one.outcome is other.outcome and one.period == other.period and one.changed == other.changed
    return is_same and bool(one.value == other.value)


def steady_until(fact: Fact, reading: Reading[Any] | None, now: Instant) -> float:
    """The room's time until which all that is said of this reading stays; in the past when it moves."""
    if reading is None or reading.outcome is Outcome.NEVER:
        return math.inf
    until = reading.received.mono
    if reading.outcome is Outcome.MISSING:
        until += reading.stale_after
    elif reading.quality(now) is Quality.FRESH and fact.type is not ValueType.TIME:
        until += words.fresh_limit(reading)
        if reading.observed_lag is not None and reading.max_age is not None:
            until = min(until, reading.received.mono + reading.max_age - reading.observed_lag)
    else:
        return -math.inf
    if _has_changed(reading, now) and reading.changed is not None:
        until = min(until, reading.changed.mono + CHANGED_FOR)
    return until


def _summary(levels: list[Level], width: int) -> SafeText:
    """How many, and how many are out of bounds or unknown; by their signs where words would be cut."""
    counts = [
        (level, word, levels.count(level))
        for level, word in ((Level.CRIT, "crit"), (Level.WARN, "warn"), (Level.UNKNOWN, "unknown"))
        if level in levels
    ]
    text = ", ".join((str(len(levels)), *(f"{count} {word}" for _, word, count in counts)))
    if len(text) > width - TITLE:
        signs = (f"{LEVEL[level].mark}{count}" for level, _, count in counts)
        text = "  ".join((str(len(levels)), *signs))
    return SafeText(text)


def _heading(group: str, levels: list[Level]) -> Heading:
    worst = max(levels, key=lambda level: level.rank)
    if worst in (Level.OK, Level.INFO):
        return Heading(f"group:{group}", SafeText(group))
    sign = LEVEL[worst]
    note = SafeText(f"{levels.count(worst)} {sign.word}")
    return Heading(f"group:{group}", SafeText(group), note, sign.role)


def value_cell(fact: Fact, reading: Reading[Any] | None, level: Level, now: Instant) -> Cell:
    """What it says. What could not be had has its own words; a last good value is dimmed."""
    if reading is None or reading.outcome is Outcome.NEVER:
        why = reading.error if reading is not None else None
        return Cell(why or SafeText("not read yet"), "state-unknown")
    if reading.outcome is Outcome.OK and words.is_current(reading, now):
        role: Role = "text" if level in (Level.OK, Level.INFO) else LEVEL[level].role
        return Cell(words.shown(fact, reading.value, now), role, _has_changed(reading, now))
    if reading.outcome is Outcome.MISSING and words.is_current(reading, now):
        text = SafeText(fact.missing_note or "no such key")
        return Cell(text, "muted" if level in (Level.OK, Level.INFO) else LEVEL[level].role)
    good = reading.kept(now)
    if reading.outcome is Outcome.OK:
        return Cell(words.shown(fact, reading.value, now), "muted")
    if good is not None:
        return Cell(SafeText(f"was {words.shown(fact, good.value, now)}"), "muted")
    return Cell(reading.error or SafeText("no value"), "state-unknown")


def _age_cell(reading: Reading[Any] | None, now: Instant) -> Cell:
    text = SafeText(words.outcome(reading, now))
    if words.is_current(reading, now):
        return Cell(text, "muted")
    return Cell(
        text, "stale" if reading is not None and reading.outcome is not Outcome.NEVER else "state-unknown"
    )


def _wide(fact: Fact, reading: Reading[Any] | None, gate: Gate | None, level: Level, now: Instant) -> Cells:
    value = value_cell(fact, reading, level, now)
    raw = NO_TEXT
    if reading is not None and reading.outcome is Outcome.OK:
        is_told = gate is None and fact.type is not ValueType.TIME
        raw = NO_TEXT if is_told else words.raw(reading.value)
    if gate is not None and words.is_current(reading, now):
        _, text, role = _gate_words(gate)
        value = Cell(SafeText(text), role, value.is_changed)
    start = _start(fact, reading, level, now)
    note = Cell(_note(fact, reading, value), "muted")
    return (*start, value, Cell(raw, "muted"), _age_cell(reading, now), note)


def _medium(fact: Fact, reading: Reading[Any] | None, gate: Gate | None, level: Level, now: Instant) -> Cells:
    value = value_cell(fact, reading, level, now)
    if gate is not None and words.is_current(reading, now):
        value = _gate_cell(gate, value)
    return (*_start(fact, reading, level, now), value, _age_cell(reading, now))


def _narrow(fact: Fact, reading: Reading[Any] | None, gate: Gate | None, level: Level, now: Instant) -> Cells:
    value = value_cell(fact, reading, level, now)
    if not words.is_current(reading, now):
        value = _age_cell(reading, now)
        if reading is not None and (good := reading.kept(now)) is not None:
            value = Cell(SafeText(f"{value.text} {words.shown(fact, good.value, now)}"), value.role)
    elif gate is not None:
        value = _gate_cell(gate, value)
    return (*_start(fact, reading, level, now), value)


def _start(fact: Fact, reading: Reading[Any] | None, level: Level, now: Instant) -> tuple[Cell, Cell]:
    """The sign, which is that of the quality when the value cannot be relied on, and the label."""
    is_current = words.is_current(reading, now)
    sign = LEVEL[level] if reading is None or is_current else QUALITY[reading.quality(now)]
    return Cell(sign.mark, sign.role), Cell(
        shown_name(SafeText(fact.label)), "text" if is_current else "muted"
    )


def _gate_cell(gate: Gate, value: Cell) -> Cell:
    short, _, role = _gate_words(gate)
    return Cell(SafeText(short if gate.idle else f"{short} {gate.raw or 'no key'}"), role, value.is_changed)


def _note(fact: Fact, reading: Reading[Any] | None, value: Cell) -> SafeText:
    if reading is not None and reading.outcome is Outcome.FAILED:
        return SafeText("" if reading.error is None or reading.error == value.text else reading.error)
    return SafeText(fact.note or "")


def _has_changed(reading: Reading[Any], now: Instant) -> bool:
    return reading.changed is not None and 0 <= now.since(reading.changed) < CHANGED_FOR
