"""The line of key hints. Emergency keys stand on the left and are never dropped."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from backends.model.safetext import NO_TEXT, SafeText
from widgets.line_widget import Line, LineWidget
from widgets.roles import Role
from widgets.span import Span, Spans, spans_width


class Hint(Struct, frozen=True):
    """One key and what it does."""

    key: SafeText
    label: SafeText
    is_emergency: bool = False
    role: Role = "muted"
    """Of the label."""
    keep: bool = False
    """Dropped after all others (help)."""


def render_hints(hints: Sequence[Hint], width: int, note: SafeText = NO_TEXT) -> Spans:
    """One line of at most ``width`` cells, except that emergency keys are there whatever the width.

    Emergencies first, then the others in their order as far as they fit; ``note`` at the right end
    when there is room for it.
    """
    first = [hint for hint in hints if hint.is_emergency]
    others = [hint for hint in hints if not hint.is_emergency]
    while others and spans_width(_line(first, others)) > width:
        loose = [place for place, hint in enumerate(others) if not hint.keep]
        others.pop(loose[-1] if loose else -1)
    spans = _line(first, others)
    if not others and spans_width(spans) > width:
        spans = tuple(span for hint in first for span in _emergency(hint)[:1])
    spare = width - 1 - spans_width(spans) - spans_width((Span(note),))
    return (*spans, Span(SafeText(" " * spare)), Span(note, "muted")) if note and spare >= 2 else spans


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

    def show(self, hints: Sequence[Hint], note: SafeText = NO_TEXT) -> None:
        """Show these hints; nothing is painted when they are the same."""
        if (tuple(hints), note) != (self._hints, self._note):
            self._hints, self._note = tuple(hints), note
            self.touch(0)

    def paint(self, y: int, line: Line) -> None:
        for span in render_hints(self._hints, self.size.width, self._note) if y == 0 else ():
            line.add(span.text, span.role)
