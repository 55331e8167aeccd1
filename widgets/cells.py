"""Text cut and padded to an exact number of terminal cells, so that no column border ever moves."""

from __future__ import annotations

from typing import Final, Literal

from rich.cells import get_character_cell_size

Align = Literal["left", "right", "center"]

ELLIPSIS: Final = "…"

_CHARS_PER_CELL: Final = 5
"""SafeText lets a character carry at most four marks that take no cell."""

_TAMED: Final[dict[int, int | str | None]] = {
    0xFE0E: None,
    0xFE0F: None,
    **dict.fromkeys(range(127995, 128000)),
    **{0x1F1E6 + index: chr(ord("A") + index) for index in range(26)},
}
"""What terminals measure differently: variation selectors and skin tones go, flag letters become letters."""

_ODD: Final = frozenset(map(chr, _TAMED))


def tame(text: str) -> str:
    """The same text without the characters whose width depends on the terminal."""
    return text if text.isascii() or _ODD.isdisjoint(text) else text.translate(_TAMED)


def width_of(text: str) -> int:
    """Cells of a tamed text."""
    return len(text) if text.isascii() else sum(map(get_character_cell_size, text))


def fit(text: str, width: int, align: Align = "left") -> str:
    """``text`` in exactly ``width`` cells; what does not fit ends in an ellipsis."""
    if width <= 0:
        return ""
    used = len(text)
    if used > width or not text.isascii():
        text, used = _cut(text, width)
    spare = width - used
    if align == "right":
        return " " * spare + text
    if align == "center":
        return " " * (spare // 2) + text + " " * (spare - spare // 2)
    return text + " " * spare


def _cut(text: str, width: int) -> tuple[str, int]:
    """``text`` in at most ``width`` cells, and how many those are."""
    # Nobody needs four thousand characters measured to fill twenty cells.
    is_long = len(text) > _CHARS_PER_CELL * (width + 1)
    text = _led(tame(text[: _CHARS_PER_CELL * (width + 1)] if is_long else text))
    used = width_of(text)
    if used > width or is_long:
        text = _head(text, width - 1) + ELLIPSIS
        used = width_of(text)
    return text, used


def window(text: str, start: int, width: int) -> str:
    """The ``width`` cells of ``text`` from cell ``start`` on, padded; a wide character that is cut by an
    edge becomes a space."""
    if width <= 0:
        return ""
    if text.isascii():
        return text[start : start + width].ljust(width)
    out: list[str] = []
    at = used = 0
    for char in tame(text):
        size = get_character_cell_size(char)
        if size and used >= width:
            break
        if at >= start and used + size <= width and (size or out):
            out.append(char)
            used += size
        elif at < start < at + size or (at >= start and used < width < used + size):
            out.append(" ")
            used += 1
        at += size
    return "".join(out) + " " * (width - used)


def tail(text: str, width: int) -> str:
    """The end of ``text`` in at most ``width`` cells, without a mark of what is missing."""
    text = tame(text[-_CHARS_PER_CELL * width :]) if width > 0 else ""
    while width_of(text) > width:
        text = text[1:]
    return text


def reaches(text: str, width: int) -> bool:
    """Whether ``text`` needs more than ``width`` cells; as cheap for a long text as for a short one."""
    most = _CHARS_PER_CELL * (width + 1)
    return len(text) > most or width_of(tame(text[:most])) > width


def chop(text: str, width: int) -> tuple[str, str]:
    """The most of ``text`` that fits in ``width`` cells, and the rest. Never an empty head for a width of
    two or more, so that a caller who goes on with the rest comes to an end."""
    head = _head(text, width)
    return head, text[len(head) :]


def as_ascii(text: str) -> str:
    """``text`` with a question mark for every cell of what is not ASCII: same width, one byte a cell."""
    if text.isascii():
        return text
    return "".join(
        char if char.isascii() else _PLAIN.get(char, "?" * get_character_cell_size(char)) for char in text
    )


_PLAIN: Final = {
    "…": "~",
    "–": "-",
    "—": "-",
    "─": "-",
    "━": "-",
    "╌": "-",
    "│": "|",
    "▌": ">",
    "┃": "#",
    "·": ".",
    "•": "*",
    "‹": "<",
    "›": ">",
    "×": "x",
    "∆": "*",
    "→": ">",
    "↓": "v",
    "↑": "^",
}
"""The ASCII form of our own drawing characters."""


def _head(text: str, width: int) -> str:
    if text.isascii():
        return text[:width] if width > 0 else ""
    used = 0
    for index, char in enumerate(text):
        used += get_character_cell_size(char)
        if used > width:
            return text[:index]
    return text


def _led(text: str) -> str:
    """A mark with nothing to stand on would combine with the column before it: give it a base."""
    return f"◌{text}" if text and not text.isascii() and get_character_cell_size(text[0]) == 0 else text
