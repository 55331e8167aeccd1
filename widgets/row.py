"""What a table shows: cells in rows, each row with an identity that does not depend on its place."""

from __future__ import annotations

from msgspec import Struct

from backends.model.safetext import NO_TEXT, SafeText
from widgets.roles import Role


class Cell(Struct, frozen=True):
    """One value. With a badge role the fill hugs the text and not the column."""

    text: SafeText = NO_TEXT
    role: Role = "text"
    is_changed: bool = False
    """Marked as changed since the last look. The caller decides, from typed values and not from texts."""


class Row(Struct, frozen=True):
    """One line. ``key`` is what the row is about and what a choice reports."""

    key: str
    cells: tuple[Cell, ...]
    """One for each column, in the order of the columns; missing ones are blank."""


class Heading(Struct, frozen=True):
    """A line that names the group of rows below it. The cursor passes over it."""

    key: str
    title: SafeText
    note: SafeText = NO_TEXT
    """Said quietly behind the title: a count, what is wrong in the group."""
    note_role: Role = "muted"


AnyRow = Row | Heading
