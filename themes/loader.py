"""Themes from TOML files: ours, and the user's own in the config folder.

A file holds ``title``, ``dark``, ``[colors]`` with every name in ``themes.meaning``, optionally
``[styles]`` (``state-bad = "bold underline"``) and ``[sixteen]``, the colours that replace those of
``[colors]`` on a terminal with 16. A theme nobody can read is refused like one that cannot be parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import tomli
from msgspec import Struct
from textual.color import Color, ColorParseError
from textual.theme import Theme

from themes.contrast import Depth, ratio, shown
from themes.meaning import COLORS, STYLES, pairs

FOLDER: Final = Path(__file__).parent
BASE_TCSS: Final = FOLDER / "base.tcss"
"""The layout every theme shares; the application's first style sheet."""

DEFAULT: Final = "dark"
_SIZE_LIMIT: Final = 64 * 1024
_KEYS: Final = frozenset({"title", "dark", "colors", "styles", "sixteen"})


class ThemeError(Exception):
    """A theme that cannot be used; the message names the file, the key and what was expected."""


class Shelf(Struct, frozen=True):
    """The themes that can be used, and what is wrong with those that cannot."""

    themes: Mapping[str, Theme]
    """By name, in the order in which to offer them: dark first."""
    problems: tuple[str, ...]
    """One sentence for each file that was refused; the theme of that name before it stays in use."""


def shelf(user: Path | None = None, depth: Depth = Depth.TRUE) -> Shelf:
    """Our themes, and those of the ``user`` folder over them. A broken file costs only itself."""
    themes = {name: _own(name, depth) for name in ("dark", "light", "contrast", "mono")}
    problems: list[str] = []
    for path in sorted(user.glob("*.toml")) if user is not None and user.is_dir() else ():
        try:
            themes[path.stem] = load(path, depth)
        except ThemeError as error:
            problems.append(str(error))
    return Shelf(themes, tuple(problems))


def load(path: Path, depth: Depth = Depth.TRUE) -> Theme:
    """The theme in ``path``, named after the file. Raises ThemeError."""
    raw, colors = _read(path, depth)
    _check_contrast(path, colors, depth)
    return _theme(path, raw, colors)


@cache
def _own(name: str, depth: Depth) -> Theme:
    """One of ours. That it can be read is tested, and not at each start."""
    path = FOLDER / f"{name}.toml"
    return _theme(path, *_read(path, depth))


def _read(path: Path, depth: Depth) -> tuple[Mapping[str, Any], dict[str, str]]:
    """What the file holds, and its colours at that depth. Raises ThemeError."""
    try:
        if path.stat().st_size > _SIZE_LIMIT:
            raise ThemeError(f"{path}: larger than {_SIZE_LIMIT // 1024} KiB, so not a theme")
        raw = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThemeError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ThemeError(f"{path}: not TOML: {error}") from error
    if unknown := sorted(raw.keys() - _KEYS):
        raise ThemeError(f"{path}: unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}")
    if not isinstance(raw.get("dark"), bool):
        raise ThemeError(f"{path}: dark: expected true or false")
    return raw, _colors(path, raw, depth)


def defaults() -> dict[str, str]:
    """The variables of our default theme, for ``App.get_theme_variable_defaults``: with them the style
    sheets parse under any theme, ours or not."""
    return dict(_own(DEFAULT, Depth.TRUE).variables)


def _colors(path: Path, raw: Mapping[str, Any], depth: Depth) -> dict[str, str]:
    colors = _table(path, raw, "colors")
    if missing := sorted(COLORS - colors.keys()):
        raise ThemeError(f"{path}: colors: missing {', '.join(missing)}")
    sixteen = _table(path, raw, "sixteen")
    if depth is Depth.SIXTEEN:
        colors |= sixteen
    for name, color in colors.items():
        try:
            if Color.parse(color).a != 1:
                raise ThemeError(f"{path}: {name}: {color!r} lets the field through; expected a solid colour")
        except ColorParseError as error:
            raise ThemeError(f"{path}: {name}: {color!r} is not a colour; expected #rrggbb") from error
    return colors


def _table(path: Path, raw: Mapping[str, Any], key: str) -> dict[str, str]:
    table = raw.get(key, {})
    if not isinstance(table, dict):
        raise ThemeError(f"{path}: {key}: expected a table")
    for name, value in table.items():
        if name not in COLORS:
            raise ThemeError(f"{path}: {key}: unknown colour {name!r}")
        if not isinstance(value, str):
            raise ThemeError(f"{path}: {key}: {name}: expected a string")
    return dict(table)


def _styles(path: Path, raw: Mapping[str, Any]) -> dict[str, str]:
    styles = _table(path, raw, "styles")
    for name, words in styles.items():
        if unknown := sorted(set(words.split()) - STYLES):
            raise ThemeError(
                f"{path}: styles: {name}: unknown style {unknown[0]!r}; expected {', '.join(sorted(STYLES))}",
            )
    return styles


def _check_contrast(path: Path, colors: Mapping[str, str], depth: Depth) -> None:
    faint = [
        f"{pair.ink} on {pair.field} is {found:.1f}:1, needs {pair.least:g}:1"
        for pair in pairs()
        if (found := ratio(shown(colors[pair.ink], depth), shown(colors[pair.field], depth))) < pair.least
    ]
    if faint:
        more = f" (and {len(faint) - 1} more)" if len(faint) > 1 else ""
        raise ThemeError(f"{path}: cannot be read with {depth.value} colours: {faint[0]}{more}")


def _theme(path: Path, raw: Mapping[str, Any], colors: Mapping[str, str]) -> Theme:
    styles = _styles(path, raw)
    variables = {key: value for key, value in colors.items() if key not in _TEXTUAL}
    variables |= {f"{key}-style": words for key, words in styles.items()}
    variables |= {key: colors[source] for key, source in _WIDGETS.items()}
    return Theme(
        name=path.stem,
        primary=colors["accent"],
        secondary=colors["muted"],
        warning=colors["state-warn"],
        error=colors["state-bad"],
        success=colors["state-ok"],
        accent=colors["accent"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        dark=raw["dark"],
        variables=variables,
    )


_TEXTUAL: Final = frozenset({"accent", "foreground", "background", "surface", "panel"})
"""Ours that Textual's Theme has a field for."""

_WIDGETS: Final = {
    "text": "foreground",
    "text-muted": "muted",
    "text-disabled": "muted",
    "border": "frame-focus",
    "border-blurred": "frame",
    "block-cursor-foreground": "strong",
    "block-cursor-background": "cursor",
    "block-cursor-blurred-foreground": "foreground",
    "block-cursor-blurred-background": "cursor",
    "block-hover-background": "cursor",
    "input-cursor-foreground": "background",
    "input-cursor-background": "foreground",
    "input-selection-background": "cursor",
    "scrollbar": "frame",
    "scrollbar-hover": "muted",
    "scrollbar-active": "muted",
    "scrollbar-background": "background",
    "scrollbar-background-hover": "background",
    "scrollbar-background-active": "background",
    "scrollbar-corner-color": "background",
}
"""Textual's own variables, so that its inputs and lists look like the rest of the room."""
