"""The line of key hints. Emergency keys stand on the left and are never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from backends.model.safetext import NO_TEXT, SafeText
from widgets.cells import fit
from widgets.line_widget import Line, LineWidget
from widgets.roles import Role
from widgets.span import Span, Spans, spans_width

_AROUND: Final = 3
"""Cells that stay free around a note: two before it, one at the end of the line."""

_LEAST_NOTE: Final = 12
"""Cells into which a note is cut; in fewer it says nothing."""


class Hint(Struct, frozen=True):
    """One key and what it does."""

    key: SafeText
    label: SafeText
    is_emergency: bool = False
    role: Role = "muted"
    """Of the label."""
    keep: bool = False
    """Dropped after all others (help)."""


def render_hints(hints: Sequence[Hint], width: int, note: SafeText = NO_TEXT, role: Role = "muted") -> Spans:
    """One line of at most ``width`` cells, except that emergency keys are there whatever the width.

    Emergencies first, then ``note`` at the right end, for which the other hints make room; these in their
    order as far as they fit. A note that is too long for that is cut.
    """
    first = [hint for hint in hints if hint.is_emergency]
    others = [hint for hint in hints if not hint.is_emergency]
    taken = spans_width((Span(note),)) + _AROUND if note else 0
    while others and spans_width(_line(first, others)) + taken > width:
        loose = [place for place, hint in enumerate(others) if not hint.keep]
        others.pop(loose[-1] if loose else -1)
    spans = _line(first, others)
    if not others and spans_width(spans) > width:
        spans = tuple(span for hint in first for span in _emergency(hint)[:1])
    spare = width - spans_width(spans) - _AROUND
    if taken > spare + _AROUND and spare >= _LEAST_NOTE:
        note = SafeText(fit(note, spare))
    gap = width - 1 - spans_width(spans) - spans_width((Span(note),))
    return (*spans, Span(SafeText(" " * gap)), Span(note, role)) if note and gap >= _AROUND - 1 else spans


def _line(first: Sequence[Hint], others: Sequence[Hint]) -> Spans:
    spans: list[Span] = []
    for hint in first:
        spans += _emergency(hint)
    for hint in others:
        gap = SafeText("  ") if spans else NO_TEXT
        spans += [Span(gap), Span(hint.key, "accent"), Span(SafeText(f" {hint.label}"), hint.role)]
    return tuple(spans)


def _emergency(hint: Hint) -> Spans:
    return (Span(SafeText(f" {hint.key} "), "badge-key"), Span(SafeText(f" {hint.label} "), "strong"))


class Footer(LineWidget):
    """Shows the hints the caller gives; what a key does is never decided here."""

    DEFAULT_CSS = """
    Footer { dock: bottom; width: 1fr; height: 1; background: $surface; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._hints: tuple[Hint, ...] = ()
        self._note = NO_TEXT
        self._role: Role = "muted"

    def show(self, hints: Sequence[Hint], note: SafeText = NO_TEXT, role: Role = "muted") -> None:
        """Show these hints; nothing is painted when they are the same."""
        if (tuple(hints), note, role) != (self._hints, self._note, self._role):
            self._hints, self._note, self._role = tuple(hints), note, role
            self.touch(0)

    def paint(self, y: int, line: Line) -> None:
        for span in render_hints(self._hints, self.size.width, self._note, self._role) if y == 0 else ():
            line.add(span.text, span.role)
