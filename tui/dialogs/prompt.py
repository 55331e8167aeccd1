"""Lines of keys and buttons at the foot of a dialog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backends.model.procedure import Procedure
from backends.model.safetext import SafeText
from widgets.span import Span, Spans, spans_width

ATTEST: Final = "c"
INTERRUPT: Final = "x"

FURTHER: Final = "n"
"""Asks about the stop that goes further, where one was not proved."""

_ROOMY: Final = 100
"""Cells from which that stop's title fits."""


def key_line(keys: Sequence[tuple[str, str]], note: str, width: int) -> Spans:
    """Keys and what they do; the note only where there is room, later keys give way first."""
    spans: list[Span] = []
    for key, what in keys:
        more = [Span(SafeText(f" {key} "), "badge-key"), Span(SafeText(f" {what}   "), "strong")]
        if spans and spans_width((*spans, *more)) > width:
            break
        spans += more
    return (Span(SafeText(" ")), *_noted(spans, [note], width))


def further_key(further: Procedure | None, width: int) -> list[tuple[str, str]]:
    """The key that asks about the stop that goes further, if there is one."""
    if further is None:
        return []
    return [(FURTHER.upper(), further.title.lower() if width >= _ROOMY else "stop harder")]


def button_line(buttons: Sequence[tuple[str, bool]], notes: Sequence[str], width: int) -> Spans:
    """Buttons, each with whether the keyboard is on it; brackets say so where no colour does. Of the notes
    the first that there is room for."""
    spans: list[Span] = []
    for text, is_focused in buttons:
        mark = f"[ {text} ]" if is_focused else f"  {text}  "
        spans += [Span(SafeText(mark), "badge-key" if is_focused else "strong"), Span(SafeText("  "))]
    return (Span(SafeText(" ")), *_noted(spans, notes, width - 2))


def _noted(spans: list[Span], notes: Sequence[str], width: int) -> list[Span]:
    room = width - spans_width(tuple(spans))
    note = next((note for note in notes if len(note) <= room), "")
    return [*spans, Span(SafeText(note), "muted")] if note else spans
