"""What a table shows: cells in rows, each row with an identity that does not depend on its place."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from backends.model.safetext import NO_TEXT, SafeText
from widgets.roles import Role


class Cell(Struct, frozen=True):
    """One value. With a badge role the fill hugs the text and not the column."""

    text: SafeText = NO_TEXT
    role: Role = "text"
    is_changed: bool = False
    """Marked as changed since the last look. The caller decides, from typed values and not from texts."""


Cells = tuple[Cell, ...]
"""One for each column, in the order of the columns; missing ones are blank."""


class Row:
    """One line. ``key`` is what the row is about and what a choice reports."""

    __slots__ = ("_cells", "key")

    def __init__(self, key: str, cells: Cells | Callable[[], Cells]) -> None:
        """``cells``, or what makes them from things that do not change, once somebody looks: of a long table
        most rows are out of view."""
        self.key = key
        self._cells = cells

    @property
    def cells(self) -> Cells:
        """What stands in it."""
        if callable(self._cells):
            self._cells = self._cells()
        return self._cells

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and (self.key, self.cells) == (other.key, other.cells)

    def __hash__(self) -> int:
        return hash((self.key, self.cells))

    def __repr__(self) -> str:
        return f"Row({self.key!r}, {self.cells!r})"


class Heading(Struct, frozen=True):
    """A line that names the group of rows below it. The cursor passes over it."""

    key: str
    title: SafeText
    note: SafeText = NO_TEXT
    """Said quietly behind the title: a count, what is wrong in the group."""
    note_role: Role = "muted"


AnyRow = Row | Heading
