"""A stack's runbook as inert lines: headings, paragraphs and lists; a link is no more than its letters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from backends.model.safetext import SafeText
from widgets.roles import Role
from widgets.span import Span, Spans

LARGEST: Final = 1024 * 1024
"""Bytes of a runbook that are read."""

_LINE: Final = 4000
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING: Final = re.compile(r"(#{1,6}) +(.+?) *#* *$")
_ITEM: Final = re.compile(r"(\s*)([-*+]|\d+[.)]) +(.*)")


class Heading(Struct, frozen=True):
    """Where a section begins."""

    line: int
    title: str


class Runbook(Struct, frozen=True):
    """The text in lines that are not wrapped yet."""

    lines: tuple[Spans, ...]
    headings: tuple[Heading, ...]

    def section(self, title: str) -> int | None:
        """The line at which the section of that title begins."""
        return next((it.line for it in self.headings if it.title == title), None)

    def beside(self, line: int, step: int) -> int | None:
        """The line of the next heading after this line, or with -1 of the one before; None at the end."""
        if step > 0:
            return next((it.line for it in self.headings if it.line > line), None)
        return next((it.line for it in reversed(self.headings) if it.line < line), None)

    def find(self, text: str, after: int) -> int | None:
        """The next line after this one that holds the text, in any case, from the top again at the end."""
        wanted = text.casefold()
        found = [number for number, line in enumerate(self.lines) if wanted and wanted in _plain(line)]
        return next((number for number in found if number > after), found[0] if found else None)


def read(path: Path | None) -> Runbook:
    """The runbook at ``path``; one that says why there is none. Never raises for a file."""
    if path is None:
        return parse("There is no runbook.md beside this stack's file.")
    try:
        with path.open("rb") as file:
            return parse(file.read(LARGEST).decode("utf-8", "replace"))
    except OSError as error:
        return parse(f"{path} cannot be read: {error.strerror}.")


def parse(text: str) -> Runbook:
    """A text in Markdown as lines. Nothing in it is followed, run or drawn otherwise than as text."""
    lines: list[Spans] = []
    headings: list[Heading] = []
    part: list[str] = []
    is_code = False

    def close() -> None:
        if part:
            lines.append(_line(" " + " ".join(part)))
            part.clear()

    for raw in _COMMENT.sub("", text).splitlines():
        stripped = raw.strip()
        if stripped.startswith("```"):
            close()
            is_code = not is_code
        elif is_code:
            lines.append(_line(f"   {raw}", "accent"))
        elif found := _HEADING.fullmatch(stripped):
            close()
            if lines and lines[-1]:
                lines.append(())
            headings.append(Heading(len(lines), str(SafeText(found[2], _LINE))))
            lines.append(_line(" " + found[2], "strong" if len(found[1]) == 1 else "accent"))
        elif item := _ITEM.fullmatch(raw):
            close()
            part.append(f"  {item[1]}{'•' if len(item[2]) == 1 else item[2]} {item[3]}")
        elif stripped:
            part.append(stripped)
        else:
            close()
            if lines and lines[-1]:
                lines.append(())
    close()
    return Runbook(tuple(lines), tuple(headings))


def marked(book: Runbook, text: str) -> tuple[Spans, ...]:
    """The lines with every place that holds the text marked."""
    wanted = text.casefold()
    return tuple(_marked(line, wanted) for line in book.lines) if wanted else book.lines


def _marked(line: Spans, wanted: str) -> Spans:
    return tuple(piece for span in line for piece in _pieces(span, wanted))


def _pieces(span: Span, wanted: str) -> list[Span]:
    folded, at, pieces = span.text.casefold(), 0, []
    if len(folded) != len(span.text):
        return [Span(span.text, "changed")] if wanted in folded else [span]
    while (found := folded.find(wanted, at)) >= 0:
        pieces += [Span(SafeText(span.text[at:found], _LINE), span.role)] if found > at else []
        pieces.append(Span(SafeText(span.text[found : found + len(wanted)], _LINE), "changed"))
        at = found + len(wanted)
    rest = span.text[at:]
    return [*pieces, Span(SafeText(rest, _LINE), span.role)] if rest else pieces


def _plain(line: Spans) -> str:
    return "".join(span.text for span in line).casefold()


def _line(text: str, role: Role = "text") -> Spans:
    return (Span(SafeText(text, _LINE), role),)
