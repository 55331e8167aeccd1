"""A line to type into, for a text to look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.widgets import Input


def typed_line(text: str, placeholder: str, ident: str) -> Input:
    """The toolkit's, with a cursor that stands still: what blinks asks for its screen twice a second, and
    for a moment after it was taken away there is none, which would be the end of the program."""
    # Imported here: the widget costs more than what it stands in, and is seldom wanted.
    from textual.widgets import Input  # noqa: PLC0415

    line = Input(text, placeholder=placeholder, id=ident)
    line.cursor_blink = False
    return line
