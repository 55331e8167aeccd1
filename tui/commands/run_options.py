"""What a ``run`` was given on the command line, and the values chosen for its procedure."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from backends.model.procedure import Procedure
from backends.model.secret import Secret
from tui.commands.exitcode import UsageError
from tui.crash import SECRETS

LIMIT: Final = 64 * 1024
"""Bytes a file with a secret value may have."""


class RunOptions(Struct, frozen=True):
    """One ``controlroom run``, as typed."""

    reason: str = ""
    params: tuple[str, ...] = ()
    """``NAME=VALUE``."""
    param_files: tuple[str, ...] = ()
    """``NAME=PATH``: the value is what the file holds."""
    plan: str | None = None
    confirm: str | None = None
    """What a dialog would have had typed: the live value, the phrase or the target's name."""
    approval: str | None = None
    attests: tuple[str, ...] = ()
    """Steps that the operator confirms when they wait for a person."""
    is_dry: bool = False
    as_json: bool = False
    watches: bool = True
    """Go on after a stop's verdict: whether it stands, and whether what was not proved yet may be."""


def params_of(procedure: Procedure, options: RunOptions) -> dict[str, str]:
    """The chosen values by name; asks for missing secrets where somebody can answer without an echo.

    Raises UsageError for what is not NAME=VALUE, for a name the procedure does not know or one that is
    missing, for a secret on the command line and for a file that is not the operator's alone. Whether a
    value is allowed is the procedure's to say.
    """
    secrets = {param.name: param.label for param in procedure.params if param.is_secret}
    values: dict[str, str] = {}
    for name, value in _pairs("--param", options.params):
        if name in secrets:
            raise UsageError(f"{name} is secret and never on a command line: use --param-file {name}=PATH")
        values[name] = value
    for name, path in _pairs("--param-file", options.param_files):
        values[name] = _content(path)
    for name, label in secrets.items():
        if name not in values and sys.stdin.isatty():
            from getpass import getpass

            values[name] = getpass(f"{label} (not shown): ").strip()
        if values.get(name):
            SECRETS.register(Secret(values[name]))
    _check_names(procedure, values)
    return values


def _check_names(procedure: Procedure, values: Mapping[str, str]) -> None:
    known = [param.name for param in procedure.params]
    for name in values:
        if name not in known:
            raise UsageError(f"{procedure.id} takes no {name}; it takes {', '.join(known) or 'no values'}")
    for param in procedure.params:
        if not values.get(param.name):
            how = f"--param-file {param.name}=PATH" if param.is_secret else f"--param {param.name}=VALUE"
            raise UsageError(f"{param.label} is missing: {how}")


def _pairs(option: str, given: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            # Not repeated here: it may be a secret typed in the wrong place.
            raise UsageError(f"{option} expects NAME=VALUE")
        if name in seen:
            raise UsageError(f"{option} gives {name} twice")
        seen.add(name)
        yield name, value


def _content(path: str) -> str:
    """The one line in a file or pipe that is the operator's alone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and (about.st_mode & 0o077 or about.st_uid != os.getuid()):
                raise UsageError(f"{path} must belong to you and be readable by nobody else: chmod 600")
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISFIFO(about.st_mode)):
                raise UsageError(f"{path} is neither a file nor a pipe")
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text") from None
    if len(data) > LIMIT or "\n" in text or not text:
        raise UsageError(f"{path} must hold one line, the value")
    return text
