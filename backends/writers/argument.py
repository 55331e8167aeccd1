"""The arguments of a program that the stack file lists: a value stays one value, and no shell is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backends.model.substitution import fill, names_in

_SHELLS: Final = frozenset(
    ("ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "pwsh", "rbash", "sh", "tcsh",
     "xonsh", "yash", "zsh")
)  # fmt: skip
_END_OF_OPTIONS: Final = "--"


def arguments(templates: tuple[str, ...], values: Mapping[str, Any]) -> list[str]:
    """The arguments. Raises ValueError for a value that would become something else than a value."""
    if not templates or names_in(templates[0]):
        raise ValueError("the program itself must be named in the stack file")
    if Path(templates[0]).name in _SHELLS:
        raise ValueError(f"{templates[0]} is a shell; expected the program itself")
    argv: list[str] = []
    for position, template in enumerate(templates):
        value = fill(template, values)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{template} is not a text or a number")
        text = str(value)
        if "\0" in text:
            raise ValueError(f"{template} holds a zero byte")
        if names_in(template) and not text:
            raise ValueError(f"{template} is empty")
        is_option = text.startswith("-") and not template.startswith("-")
        if is_option and _END_OF_OPTIONS not in templates[:position]:
            raise ValueError(f"{template} is {text!r}, which would be taken for an option")
        argv.append(text)
    return argv
