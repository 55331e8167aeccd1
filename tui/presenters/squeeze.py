"""Sections of text in as many lines as there are: what is shortened first, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from backends.model.safetext import SafeText
from widgets.cells import fit
from widgets.span import Span, Spans, spans_width


class Section(Struct, frozen=True):
    """Lines about one thing. ``gives`` says who is shortened first: the highest. Its first lines stay."""

    lines: list[Spans]
    gives: int
    least: int = 1
    keeps: int = 1
    """Lines it has for as long as any other has one to give."""


def squeeze(sections: Sequence[Section], width: int, height: int) -> list[Spans]:
    """The sections in their order, shortened line by line until they fit, never below their least, and
    below what they keep only when nothing else has a line to give."""
    lengths = [len(section.lines) for section in sections]
    while sum(lengths) > height:
        spare = [n for n, section in enumerate(sections) if lengths[n] > max(section.least, section.keeps)]
        spare = spare or [n for n, section in enumerate(sections) if lengths[n] > section.least]
        if not spare:
            break
        lengths[max(spare, key=lambda n: (sections[n].gives, n))] -= 1
    lines: list[Spans] = []
    for section, length in zip(sections, lengths, strict=True):
        kept = section.lines[:length]
        if kept and length < len(section.lines):
            kept[-1] = _cut(kept[-1], width)
        lines += kept
    return lines


def least(sections: Sequence[Section]) -> int:
    """The lines below which something is lost that should be kept."""
    return sum(min(max(section.least, section.keeps), len(section.lines)) for section in sections)


def _cut(spans: Spans, width: int) -> Spans:
    last = spans[-1]
    room = width - spans_width(spans[:-1])
    return (*spans[:-1], Span(SafeText(fit(f"{last.text} …", min(room, len(last.text) + 2))), last.role))
