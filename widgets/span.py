"""A piece of text with a role, and lines made of such pieces; what pure renderers return."""

from __future__ import annotations

from msgspec import Struct

from backends.model.safetext import SafeText
from widgets.cells import chop, tame, width_of
from widgets.roles import Role


class Span(Struct, frozen=True):
    text: SafeText
    role: Role = "text"


Spans = tuple[Span, ...]
"""One line."""


def spans_width(spans: Spans) -> int:
    """Cells of a line."""
    return sum(width_of(tame(span.text)) for span in spans)


def wrap(spans: Spans, width: int) -> list[Spans]:
    """The line broken at spaces into lines of at most ``width`` cells; a longer word is cut. Lines after
    the first are indented like the first."""
    if width < 2 or spans_width(spans) <= width:
        return [spans]
    whole = "".join(span.text for span in spans)
    indent = min(len(whole) - len(whole.lstrip(" ")), width // 2)
    lines: list[list[Span]] = [[]]
    used = 0
    for word, role in _words(spans):
        rest = word
        while rest:
            room = width - used
            if width_of(rest.rstrip(" ")) <= room:
                lines[-1].append(Span(SafeText(rest), role))
                used = min(width, used + width_of(rest))
                break
            if used > indent and width_of(rest.rstrip(" ")) <= width - indent:
                head = ""
            else:
                head, rest = chop(rest, room)
            if head:
                lines[-1].append(Span(SafeText(head), role))
            lines.append([Span(SafeText(" " * indent), role)] if indent else [])
            used = indent
    return [tuple(line) for line in lines]


def _words(spans: Spans) -> list[tuple[str, Role]]:
    """Words with the spaces behind them, a number with its unit; none crosses a change of role."""
    words: list[tuple[str, Role]] = []
    for span in spans:
        word = ""
        for char in tame(span.text):
            if word.endswith(" ") and char != " " and not _is_number(word):
                words.append((word, span.role))
                word = ""
            word += char
        if word:
            words.append((word, span.role))
    return words


def _is_number(word: str) -> bool:
    """Whether what follows after one space belongs to it: ``1.01 s``, ``2 rows``."""
    return word[:-1].replace(".", "").replace(",", "").isdecimal()
