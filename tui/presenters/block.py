"""A label and its text, wrapped with the text kept in its own column."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from backends.model.safetext import SafeText
from widgets.cells import fit
from widgets.roles import Role
from widgets.span import Span, Spans, wrap

_WIDE = 100
"""Cells of text from which no label is cut."""


def label_cells(width: int) -> int:
    """Cells of the label column in so many cells of text."""
    return 24 if width >= _WIDE else 15


def block(label: str, text: object, width: int, role: Role = "text") -> list[Spans]:
    """Lines of at most ``width`` cells: the label quietly on the first, the text beside it."""
    return spans_block(label, (Span(SafeText(text), role),), width)


def spans_block(label: str, spans: Spans, width: int) -> list[Spans]:
    """The same for a text of several roles."""
    cells = label_cells(width)
    lines = wrap(spans, max(8, width - cells - 1))
    first = Span(SafeText(f" {fit(label, cells - 1)} "), "muted")
    rest = Span(SafeText(" " * (cells + 1)))
    return [((first if number == 0 else rest), *line) for number, line in enumerate(lines)]


def flow(label: str, items: Iterable[Spans], width: int) -> list[Spans]:
    """Short texts one after the other, parted by dots, in as few lines as they need."""
    spans: list[Span] = []
    for number, item in enumerate(items):
        spans += [*([Span(SafeText("· "), "muted")] if number else []), *item, Span(SafeText(" "))]
    return spans_block(label, tuple(spans), width) if spans else []


class Field(Struct, frozen=True):
    """A label and its text, not laid out yet."""

    label: str
    text: object
    role: Role = "text"


def laid_out(parts: Iterable[Field | Spans], width: int) -> tuple[Spans, ...]:
    """Fields as blocks of that width; lines stay as they are."""
    lines: list[Spans] = []
    for part in parts:
        lines += block(part.label, part.text, width, part.role) if isinstance(part, Field) else [part]
    return tuple(lines)


def listing(label: str, texts: tuple[str, ...], width: int, role: Role = "text") -> list[Spans]:
    """The same for several texts below each other."""
    lines: list[Spans] = []
    for number, text in enumerate(texts):
        lines += block(label if number == 0 else "", text, width, role)
    return lines


def line(text: object, role: Role = "text") -> Spans:
    """One line of one role."""
    return (Span(SafeText(text), role),)
