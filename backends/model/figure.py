"""Numbers as people read them, wherever they are told."""

from __future__ import annotations


def figure(value: float, unit: str = "") -> str:
    """With thousands parted, the decimals that mean something, and its ``unit``: ``1,234.5 USD``, ``5%``."""
    text = f"{value:,}" if isinstance(value, int) else _decimal(value, 2 if unit == "%" else 4)
    return f"{text}{unit}" if unit == "%" else f"{text} {unit}".rstrip()


def _decimal(value: float, places: int) -> str:
    if value != 0 and (abs(value) < 0.001 or abs(value) >= 1e12):
        return f"{value:.3g}"
    text = f"{value:,.{places if abs(value) < 100 else 2}f}"
    return text.rstrip("0").rstrip(".")
