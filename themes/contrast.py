"""How well one colour is read on another, after the terminal has reduced both."""

from __future__ import annotations

from enum import Enum
from typing import Final

from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.color import Color

Rgb = tuple[int, int, int]


class Depth(Enum):
    """How many colours the terminal shows."""

    TRUE = "truecolor"
    INDEXED = "256"
    SIXTEEN = "standard"

    @classmethod
    def of(cls, color_system: str | None) -> Depth:
        """The depth of a Rich console's ``color_system``; 16 colours when it says none."""
        return {"truecolor": cls.TRUE, "256": cls.INDEXED}.get(color_system or "", cls.SIXTEEN)


XTERM: Final[tuple[Rgb, ...]] = (
    (0x00, 0x00, 0x00),
    (0xCD, 0x00, 0x00),
    (0x00, 0xCD, 0x00),
    (0xCD, 0xCD, 0x00),
    (0x00, 0x00, 0xEE),
    (0xCD, 0x00, 0xCD),
    (0x00, 0xCD, 0xCD),
    (0xE5, 0xE5, 0xE5),
    (0x7F, 0x7F, 0x7F),
    (0xFF, 0x00, 0x00),
    (0x00, 0xFF, 0x00),
    (0xFF, 0xFF, 0x00),
    (0x5C, 0x5C, 0xFF),
    (0xFF, 0x00, 0xFF),
    (0x00, 0xFF, 0xFF),
    (0xFF, 0xFF, 0xFF),
)
"""What xterm shows for the 16 colours. Users may have remapped them; nobody can compute that."""


def shown(color: str, depth: Depth, is_monochrome: bool = False) -> Rgb:
    """What a terminal of that depth shows for a CSS colour, with NO_COLOR when ``is_monochrome``."""
    parsed = Color.parse(color)
    rich_color: RichColor = (parsed.monochrome if is_monochrome else parsed).rich_color
    if depth is Depth.SIXTEEN:
        number = rich_color.downgrade(ColorSystem.STANDARD).number
        return XTERM[number or 0]
    if depth is Depth.INDEXED:
        rich_color = rich_color.downgrade(ColorSystem.EIGHT_BIT)
    red, green, blue = rich_color.get_truecolor()
    return red, green, blue


def ratio(one: Rgb, other: Rgb) -> float:
    """Contrast as WCAG 2 defines it, 1 (none) to 21 (black on white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Rgb) -> float:
    red, green, blue = (_linear(part / 255) for part in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
